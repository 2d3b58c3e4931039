/// libpq's connection keywords (section 34.1.2 of PostgreSQL's documentation) with values.
package struct ConnectionParameters: Hashable, Sendable {
    package private(set) var values: [String: String]

    package init(_ values: [String: String] = [:]) {
        self.values = values
    }

    package subscript(keyword: String) -> String? {
        get { values[keyword] }
        set { values[keyword] = newValue }
    }

    /// `host:port/database` for messages: no user, no password.
    package var description: String {
        "\(values["host"] ?? "localhost"):\(values["port"] ?? "5432")/\(values["dbname"] ?? "")"
    }

    /// Parameters that every connection of ours has: UTF-8, detection of dead peers in about a minute, and the settings
    /// under which text output is exact and independent of the server's configuration. Without compiling: of the catalog
    /// queries, which are asked once per table, it takes a hundred times as long as running them.
    package static let pinnedOptions =
        "-c DateStyle=ISO -c IntervalStyle=postgres -c TimeZone=UTC -c extra_float_digits=3 -c bytea_output=hex"
        + " -c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 -c search_path=pg_catalog"
        + " -c row_security=off -c jit=off"

    /// How long the other machine may give no sign of life before the kernel gives the connection up: keepalive probes while
    /// nothing is under way, the user timeout (tcp(7)) while something is. What is set already counts.
    package mutating func setTCPTimeout(_ timeout: Duration) {
        let milliseconds = max(
            timeout.components.seconds * 1000 + timeout.components.attoseconds / 1_000_000_000_000_000, 1000)
        let seconds = milliseconds / 1000
        let settings = [
            "keepalives_idle": max(seconds / 3, 1), "keepalives_interval": max(seconds / 6, 1), "keepalives_count": 4,
            "tcp_user_timeout": milliseconds,
        ]
        for (keyword, value) in settings where self[keyword] == nil { self[keyword] = "\(value)" }
    }

    package func pinned() -> ConnectionParameters {
        var pinned = self
        pinned["client_encoding"] = "UTF8"
        let defaults = [
            "fallback_application_name": "millrace", "connect_timeout": "10", "keepalives_idle": "20",
            "keepalives_interval": "10", "keepalives_count": "4", "tcp_user_timeout": "60000",
        ]
        for (keyword, value) in defaults where pinned[keyword] == nil { pinned[keyword] = value }
        let own = values["options"].map { $0 + " " } ?? ""
        pinned["options"] = own + Self.pinnedOptions + pinned.serverTimeouts
        return pinned
    }

    /// The same times for the server's end, where hours are usual: until then a backend that has lost us holds our locks,
    /// our slot and our snapshot.
    private var serverTimeouts: String {
        let settings = [
            ("tcp_keepalives_idle", "keepalives_idle"), ("tcp_keepalives_interval", "keepalives_interval"),
            ("tcp_keepalives_count", "keepalives_count"), ("tcp_user_timeout", "tcp_user_timeout"),
        ]
        return settings.compactMap { setting, keyword in
            values[keyword].flatMap { UInt32($0) }.map { " -c \(setting)=\($0)" }
        }.joined()
    }
}
