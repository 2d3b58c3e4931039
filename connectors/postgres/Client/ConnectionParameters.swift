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
    /// under which text output is exact and independent of the server's configuration.
    package static let pinnedOptions =
        "-c DateStyle=ISO -c IntervalStyle=postgres -c TimeZone=UTC -c extra_float_digits=3 -c bytea_output=hex"
        + " -c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 -c search_path=pg_catalog"
        + " -c row_security=off"

    package func pinned() -> ConnectionParameters {
        var pinned = self
        pinned["client_encoding"] = "UTF8"
        let own = values["options"].map { $0 + " " } ?? ""
        pinned["options"] = own + Self.pinnedOptions
        let defaults = [
            "fallback_application_name": "millrace", "connect_timeout": "10", "keepalives_idle": "20",
            "keepalives_interval": "10", "keepalives_count": "4", "tcp_user_timeout": "60000",
        ]
        for (keyword, value) in defaults where pinned[keyword] == nil { pinned[keyword] = value }
        return pinned
    }
}
