internal import MillraceCore

/// A replication slot as `pg_replication_slots` shows it.
struct Slot: Hashable, Sendable {
    var name: String
    /// Nil for a physical slot.
    var plugin: String?
    var database: String?
    var activePID: Int?
    /// Where the server thinks that we are; nil for a physical slot.
    var confirmedFlushLSN: LSN?
    var restartLSN: LSN?
    /// reserved, extended, unreserved or lost.
    var walStatus: String?
    /// Why it can no longer be used (`invalidation_reason`, from version 17; `conflicting` in 16).
    var invalidation: String?

    var isLost: Bool { walStatus == "lost" || invalidation != nil || restartLSN == nil }

    /// Nil if there is no slot of this name.
    static func find(_ name: String, _ connection: PostgresConnection) throws(PostgresError) -> Slot? {
        let invalidation =
            connection.serverVersion >= 170_000
            ? "invalidation_reason"
            : connection.serverVersion >= 160_000 ? "CASE WHEN conflicting THEN 'conflict with recovery' END" : "NULL"
        let sql = """
            SELECT plugin, database, active_pid, confirmed_flush_lsn, restart_lsn, wal_status, \(invalidation)
            FROM pg_catalog.pg_replication_slots WHERE slot_name = $1
            """
        let result = try connection.execute(sql, [name], "look up the replication slot \(name)")
        guard let row = result.rows.first, row.count == 7 else { return nil }
        return Slot(
            name: name, plugin: row[0], database: row[1], activePID: row[2].flatMap { Int($0) },
            confirmedFlushLSN: row[3].flatMap { LSN($0) }, restartLSN: row[4].flatMap { LSN($0) }, walStatus: row[5],
            invalidation: row[6])
    }

    /// Throws if this slot cannot serve us at all, whatever our position is.
    func check(database wanted: String) throws(ConnectorError) {
        guard let plugin else {
            throw ConnectorError(
                .configuration, code: "slot_physical", "the replication slot \(name) is physical, not logical",
                hint: "set slot.name to another name")
        }
        guard plugin == "pgoutput" else {
            throw ConnectorError(
                .configuration, code: "slot_wrong_plugin",
                "the replication slot \(name) belongs to the output plugin \(plugin); Millrace reads pgoutput",
                hint: "set slot.name to another name, or drop the slot if nothing else needs it: "
                    + Self.dropStatement(name))
        }
        guard database == wanted else {
            throw ConnectorError(
                .configuration, code: "slot_other_database",
                "the replication slot \(name) belongs to the database \(database ?? "?"), not to \(wanted)",
                hint: "set slot.name to another name")
        }
        guard !isLost else {
            throw ConnectorError(
                .consistency, code: "slot_lost",
                "the replication slot \(name) can no longer be used: "
                    + (invalidation ?? "the server has removed WAL that it needed (max_slot_wal_keep_size)")
                    + position,
                hint:
                    "changes are missing, so the tables must be loaded again: \(Self.dropStatement(name)) on the source, "
                    + "then " + Self.reload)
        }
    }

    /// For messages.
    var position: String { confirmedFlushLSN.map { "; confirmed_flush_lsn \($0)" } ?? "" }

    /// Somebody reads the slot, of which only one at a time can.
    static func active(_ name: String, _ reason: String, foreignCode: String?) -> ConnectorError {
        ConnectorError(
            .transient, code: "slot_active", "the replication slot \(name) is in use: \(reason)",
            hint:
                "another program reads the slot \(name), or the server has not noticed yet that a connection of ours is "
                + "gone (wal_sender_timeout)", foreignCode: foreignCode)
    }

    static func dropStatement(_ name: String) -> String {
        "SELECT pg_drop_replication_slot(\(Quoting.literal(name)));"
    }

    /// The ways to load everything again, for hints.
    static let reload =
        "delete the connector's offsets while it is stopped (DELETE /connectors/{name}/offsets), or set "
        + "snapshot.mode=when_needed; sinks then get the tables afresh"
}
