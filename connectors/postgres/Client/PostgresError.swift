package import MillraceCore

/// An error that PostgreSQL or libpq reported.
package struct PostgresError: Error, Hashable, Sendable {
    /// Five characters (appendix A of PostgreSQL's documentation); nil where libpq itself failed (no connection).
    package var sqlState: String?
    /// The primary message, one line.
    package var message: String
    package var detail: String?
    package var hint: String?
    package var schema: String?
    package var table: String?
    package var column: String?
    package var constraint: String?
    /// Where in the server it happened: `slot "s", output plugin "pgoutput", in the change callback, …`.
    package var context: String?
    /// What was being done, for people: `connect to 127.0.0.1:5432/app`, `create the slot`.
    package var operation: String

    package init(sqlState: String?, message: String, operation: String) {
        self.sqlState = sqlState
        self.message = message
        self.operation = operation
    }

    /// Whether the same may succeed later without anyone changing anything.
    package var isTransient: Bool {
        guard let sqlState else { return true }
        switch sqlState.prefix(2) {
        case "08", "53", "58": return true  // connection, resources, system error
        case "57": return sqlState != "57014"  // operator intervention, but for a cancelled query
        case "40": return true  // serialization failure, deadlock
        // Object in use, lock not available, a standby that may be promoted.
        default: return sqlState == "55006" || sqlState == "55P03" || sqlState == "25006"
        }
    }

    /// The same as the connector contract's error.
    package var connectorError: ConnectorError {
        let kind: ConnectorError.Kind
        let code: String
        var hint = hint
        switch sqlState {
        case nil: (kind, code) = (.transient, "unreachable")
        case let state? where state.hasPrefix("28"): (kind, code) = (.configuration, "authentication_failed")
        case "42501": (kind, code) = (.configuration, "permission_denied")
        case "3D000": (kind, code) = (.configuration, "unknown_database")
        case "25006":
            (kind, code) = (.transient, "server_read_only")
            hint = "name the primary in the connector's configuration, or promote the standby: SELECT pg_promote();"
        case _ where isTransient: (kind, code) = (.transient, "server_unavailable")
        case let state? where state.hasPrefix("22") || state.hasPrefix("23"):
            (kind, code) = (.data, "refused_by_server")
        default: (kind, code) = (.configuration, "server_error")
        }
        return ConnectorError(
            kind, code: code, "cannot \(operation): \(message)" + (detail.map { " (\($0))" } ?? ""), hint: hint,
            foreignCode: sqlState)
    }
}
