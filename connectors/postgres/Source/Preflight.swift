package import MillraceCore

/// Checks of the source before anything starts: one finding per problem, each with the SQL or the setting that mends it.
package enum Preflight {
    /// Connects, looks and changes nothing. Empty: ready to go. Blocks for at most the connection's timeouts.
    package static func findings(_ config: ConnectorConfig) -> [ConfigFinding] {
        let options: SourceOptions
        do throws(ConnectorError) {
            options = try SourceOptions(config)
        } catch {
            return [ConfigFinding(property(of: error), error.message)]
        }
        do throws(PostgresError) {
            return masks(config) + (try findings(options, try connect(options)))
        } catch {
            return [connectFinding(error, options)]
        }
    }

    /// Waits for no longer than `connection.validation.timeout.ms`, for the connection and for each query.
    private static func connect(_ options: SourceOptions) throws(PostgresError) -> PostgresConnection {
        let seconds = options.validationTimeout.components.seconds
        var parameters = options.connection
        // libpq takes 1 for 2, and 0 for ever.
        parameters["connect_timeout"] = "\(min(max(seconds, 2), 10))"
        let connection = try PostgresConnection(parameters)
        try connection.execute("SET statement_timeout = '\(seconds)s'", "check the server")
        return connection
    }

    /// The same over a connection that is there.
    static func findings(
        _ options: SourceOptions, _ connection: PostgresConnection
    ) throws(PostgresError) -> [ConfigFinding] {
        var findings = version(connection.serverVersion)
        if findings.contains(where: { $0.severity == .error }) { return findings }
        if options.heartbeatPrefix != nil, connection.serverVersion < 140_000 {
            findings.append(
                ConfigFinding(
                    "heartbeat.interval.ms",
                    "there are no heartbeat events before PostgreSQL 14, whose pgoutput sends messages",
                    severity: .warning))
        }
        let server = try PreflightServer(options, connection)
        findings += server.findings()
        // A walsender asks other lines of pg_hba.conf than a query does, and there may be none left.
        if server.mayReplicate, server.hasFreeSender { findings += replicationConnection(options) }
        findings += try PreflightTables(options, connection, server).findings()
        return findings
    }

    /// Whoever masks a column must not believe that it is masked everywhere.
    private static func masks(_ config: ConnectorConfig) -> [ConfigFinding] {
        MaskingProperties.names(in: config).map { name in
            ConfigFinding(
                name,
                "masks and cuts are about events only: the change log and PostgreSQL sinks have the whole value; to keep it "
                    + "out of them, use column.exclude.list", severity: .warning)
        }
    }

    private static func property(of error: ConnectorError) -> String? {
        // "The 'x' value is invalid: …", as ConnectorError.invalid says it.
        let parts = error.message.split(separator: "'", maxSplits: 2)
        return parts.count == 3 && parts[0] == "The " ? String(parts[1]) : nil
    }

    /// Supported: 13 to 18. A later one is likely to do.
    static func version(_ serverVersion: Int) -> [ConfigFinding] {
        let major = serverVersion / 10_000
        if major < 13 {
            return [
                ConfigFinding(
                    "database.hostname",
                    "the server is PostgreSQL \(major), which is not supported: upgrade it to a version from 13 to 18")
            ]
        }
        if major > 18 {
            return [
                ConfigFinding(
                    "database.hostname", "PostgreSQL \(major) is newer than what was tested (13 to 18)",
                    severity: .warning)
            ]
        }
        return []
    }

    // MARK: Connecting

    /// Debezium reports everything about the connection at `database.hostname`.
    static func connectFinding(_ error: PostgresError, _ options: SourceOptions) -> ConfigFinding {
        let remedy = remedy(error, options).map { ". " + $0 } ?? ""
        return ConfigFinding(
            "database.hostname",
            "Error while validating connector config: cannot \(error.operation): \(error.message)\(remedy)")
    }

    private static func remedy(_ error: PostgresError, _ options: SourceOptions) -> String? {
        let user = options.connection["user"] ?? ""
        if error.message.contains("pg_hba.conf") {
            return "Add to the server's pg_hba.conf, then run SELECT pg_reload_conf(): "
                + "host \"\(options.databaseName)\" \"\(user)\" <our address>/32 scram-sha-256"
        }
        switch error.sqlState {
        case "28P01": return "Check database.user and database.password"
        case "28000":
            return "Check database.user, or: CREATE ROLE \(Quoting.identifier(user)) LOGIN REPLICATION PASSWORD '…';"
        case "3D000":
            return "Check database.dbname, or: CREATE DATABASE \(Quoting.identifier(options.databaseName));"
        case "53300":
            return "Close connections, or: ALTER SYSTEM SET max_connections = <more>; and restart the server"
        case nil: return "Check database.hostname and database.port, and that the server listens there"
        default: return nil
        }
    }

    private static func replicationConnection(_ options: SourceOptions) -> [ConfigFinding] {
        var parameters = options.connection
        parameters["replication"] = "database"
        do throws(PostgresError) {
            _ = try PostgresConnection(parameters)
            return []
        } catch {
            var error = error
            error.operation = "connect for replication to \(parameters.description)"
            return [connectFinding(error, options)]
        }
    }
}
