internal import MillraceCore

/// What a source needs of the server and of its role: settings, slots, walsenders.
struct PreflightServer {
    private struct Slot {
        var plugin: String?
        var database: String?
        var isActive: Bool
        var activePID: String
        var walStatus: String
    }

    private let options: SourceOptions
    let version: Int
    let role: String
    let isSuperuser: Bool
    let mayReplicate: Bool
    let mayCreateInDatabase: Bool
    private let walLevel: String
    private let encoding: String
    private let isStandby: Bool
    private let slotCount: Int
    private let slotLimit: Int
    private let senderCount: Int
    private let senderLimit: Int
    private let slot: Slot?

    var hasFreeSender: Bool { senderCount < senderLimit }

    init(_ options: SourceOptions, _ connection: PostgresConnection) throws(PostgresError) {
        self.options = options
        version = connection.serverVersion
        let row =
            try connection.execute(
                """
                SELECT current_user, r.rolsuper, r.rolsuper OR r.rolreplication OR EXISTS (
                        SELECT FROM pg_roles m WHERE m.rolname = 'rds_replication' AND pg_has_role(m.oid, 'USAGE')),
                    has_database_privilege(current_database(), 'CREATE'), current_setting('wal_level'),
                    current_setting('server_encoding'), pg_is_in_recovery(),
                    (SELECT count(*) FROM pg_replication_slots), current_setting('max_replication_slots'),
                    (SELECT count(*) FROM pg_stat_get_wal_senders()), current_setting('max_wal_senders')
                FROM pg_roles r WHERE r.rolname = current_user
                """, "check the server"
            ).rows.first ?? []
        func text(_ index: Int) -> String { row.indices.contains(index) ? row[index] ?? "" : "" }
        role = text(0)
        isSuperuser = text(1) == "t"
        mayReplicate = text(2) == "t"
        mayCreateInDatabase = text(3) == "t"
        walLevel = text(4)
        encoding = text(5)
        isStandby = text(6) == "t"
        slotCount = Int(text(7)) ?? 0
        slotLimit = Int(text(8)) ?? 0
        senderCount = Int(text(9)) ?? 0
        senderLimit = Int(text(10)) ?? 0
        let slots = try connection.execute(
            "SELECT plugin, database, active, active_pid, wal_status FROM pg_replication_slots WHERE slot_name = $1",
            [options.slotName], "check the slot")
        slot = slots.rows.first.map { row in
            Slot(
                plugin: row[0], database: row[1], isActive: row[2] == "t", activePID: row[3] ?? "",
                walStatus: row[4] ?? "")
        }
    }

    func findings() -> [ConfigFinding] {
        server() + (slot.map { existing($0) } ?? missingSlot())
    }

    private func server() -> [ConfigFinding] {
        var findings: [ConfigFinding] = []
        if walLevel != "logical" {
            findings.append(
                ConfigFinding(
                    "database.hostname",
                    "wal_level is \(walLevel), it must be logical: ALTER SYSTEM SET wal_level = logical; and restart the server"
                ))
        }
        if encoding == "SQL_ASCII" {
            findings.append(
                ConfigFinding(
                    "database.dbname",
                    "the database has the encoding SQL_ASCII, so that nobody knows what its texts mean: move it into one made "
                        + "with CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8'"))
        }
        if isStandby, version < 160_000 {
            findings.append(
                ConfigFinding(
                    "database.hostname",
                    "the server is a standby, which cannot decode changes before PostgreSQL 16: connect to the primary")
            )
        }
        if !mayReplicate {
            findings.append(
                ConfigFinding(
                    "database.user",
                    "the role \(role) may not replicate: ALTER ROLE \(Quoting.identifier(role)) REPLICATION; "
                        + "(Amazon RDS: GRANT rds_replication TO \(Quoting.identifier(role));)"))
        }
        if !hasFreeSender, slot?.isActive != true {
            findings.append(
                ConfigFinding(
                    "database.hostname",
                    "all \(senderLimit) WAL senders are in use: ALTER SYSTEM SET max_wal_senders = \(senderLimit + 5); and restart "
                        + "the server"))
        }
        return findings
    }

    private func missingSlot() -> [ConfigFinding] {
        guard slotCount >= slotLimit else { return [] }
        return [
            ConfigFinding(
                "slot.name",
                "all \(slotLimit) replication slots are in use: drop one that nobody needs (SELECT slot_name FROM "
                    + "pg_replication_slots WHERE NOT active; SELECT pg_drop_replication_slot('…');) or ALTER SYSTEM SET "
                    + "max_replication_slots = \(slotLimit + 5); and restart the server")
        ]
    }

    private func existing(_ slot: Slot) -> [ConfigFinding] {
        let name = options.slotName
        let drop =
            "choose another slot.name, or if nobody needs it: SELECT pg_drop_replication_slot(\(Quoting.literal(name)));"
        func finding(_ problem: String, severity: ConfigFinding.Severity = .error) -> ConfigFinding {
            ConfigFinding("slot.name", "the replication slot \(name) \(problem)", severity: severity)
        }
        guard let plugin = slot.plugin else { return [finding("is a physical one: \(drop)")] }
        if plugin != "pgoutput" { return [finding("uses the plugin \(plugin), not pgoutput: \(drop)")] }
        if let database = slot.database, database != options.databaseName {
            return [finding("belongs to the database \(database): \(drop)")]
        }
        if slot.walStatus == "lost" {
            return [
                finding("has lost WAL that it needs (max_slot_wal_keep_size), so that changes are missing: \(drop)")
            ]
        }
        if slot.isActive {
            // By this very connector, if what is checked is a new configuration of one that runs.
            return [
                finding(
                    "is in use by process \(slot.activePID); unless that is this connector: "
                        + "SELECT pg_terminate_backend(\(slot.activePID));", severity: .warning)
            ]
        }
        return []
    }
}
