internal import MillraceCore

/// Asks the target whether everything is there that the sink needs: one finding per problem, with what mends it.
struct SinkPreflight {
    let options: SinkOptions

    init(_ options: SinkOptions) {
        self.options = options
    }

    func findings() -> [ConfigFinding] {
        do {
            return try check(try PostgresConnection(options.connection))
        } catch {
            let property =
                error.connectorError.code == "authentication_failed" ? "connection.username" : "connection.url"
            return [ConfigFinding(property, error.connectorError.message)]
        }
    }

    private func check(_ connection: PostgresConnection) throws(PostgresError) -> [ConfigFinding] {
        var findings: [ConfigFinding] = []
        let row =
            try connection.execute(
                """
                SELECT current_user, current_database(), pg_encoding_to_char(encoding), pg_is_in_recovery(),
                    has_database_privilege(current_database(), 'CREATE'),
                    has_database_privilege(current_database(), 'TEMPORARY'),
                    CASE WHEN to_regnamespace('millrace') IS NULL THEN NULL
                        ELSE has_schema_privilege('millrace', 'USAGE, CREATE') END
                FROM pg_database WHERE datname = current_database()
                """, "ask the target what is allowed"
            ).rows.first ?? []
        guard row.count == 7, let user = row[0], let database = row[1] else { return findings }
        let quotedUser = Quoting.identifier(user)
        let quotedDatabase = Quoting.identifier(database)
        if connection.serverVersion < 120_000 {
            findings.append(
                ConfigFinding(
                    "connection.url",
                    "the target is PostgreSQL \(connection.serverVersion / 10000); 12 or later is needed"))
        }
        if row[2] != "UTF8" {
            findings.append(
                ConfigFinding(
                    "connection.url",
                    "database \(database) has encoding \(row[2] ?? "?"); UTF8 is needed:"
                        + " CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0;"))
        }
        if row[3] == "t" {
            findings.append(ConfigFinding("connection.url", "the target is a standby in recovery: name its primary"))
        }
        let needsCreate = row[6] == nil || options.createsTables
        if row[4] != "t" && needsCreate {
            findings.append(
                ConfigFinding(
                    "connection.username",
                    "\(user) may not create schemas: GRANT CREATE ON DATABASE \(quotedDatabase) TO \(quotedUser);",
                    severity: row[6] == nil ? .error : .warning))
        }
        if row[5] != "t" {
            findings.append(
                ConfigFinding(
                    "connection.username",
                    "\(user) may not make temporary tables:"
                        + " GRANT TEMPORARY ON DATABASE \(quotedDatabase) TO \(quotedUser);"))
        }
        if row[6] == "f" {
            findings.append(
                ConfigFinding(
                    "connection.username",
                    "\(user) may not use the sink's schema:"
                        + " GRANT USAGE, CREATE ON SCHEMA millrace TO \(quotedUser);"))
        }
        if let finding = replicationRole(connection, quotedUser, user) { findings.append(finding) }
        return findings
    }

    private func replicationRole(
        _ connection: PostgresConnection, _ quotedUser: String, _ user: String
    ) -> ConfigFinding? {
        do {
            try connection.execute("SET session_replication_role = replica", "set session_replication_role")
            return nil
        } catch {
            let way =
                connection.serverVersion >= 150_000
                ? "GRANT SET ON PARAMETER session_replication_role TO \(quotedUser);"
                : "ALTER ROLE \(quotedUser) SUPERUSER; (finer rights exist from PostgreSQL 15 on)"
            return ConfigFinding(
                "connection.username",
                "\(user) may not set session_replication_role, which keeps triggers and foreign keys of the target out of"
                    + " the way: \(way)")
        }
    }
}
