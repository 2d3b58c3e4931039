internal import Logging
internal import MillraceCore

/// Keys of tables that a full load fills. An index that is there from the beginning is changed row by row, at random places
/// where several connections read the source; built at the end, from sorted keys, it costs a quarter of that.
///
/// Only tables that this sink has made for this very load do without their keys meanwhile: nobody can rely on them yet.
/// What kill -9 does: the keys that are owed are recorded in the transaction that drops them, and the record goes with the
/// transaction that makes them again, which holds the load's end too.
extension ChangeApplier {
    /// Drops the keys of a table that is being loaded, if many rows are coming. The target as it is from now on.
    func deferKeys(_ table: SinkTable, _ target: TargetTable) throws(SinkFailure) -> TargetTable {
        guard table.mayDeferKeys, table.pendingCount >= keyDeferral, var record = records[table.id] else {
            return target
        }
        table.mayDeferKeys = false
        let keys = try keys(of: table, target.name)
        // A foreign key or a view that somebody has made meanwhile may need them.
        let drops = keys.map { "DROP CONSTRAINT \(Quoting.identifier($0.name))" }
        let isPlain = keys.allSatisfy { !$0.name.contains("\n") && !$0.definition.contains("\n") }
        guard !keys.isEmpty, isPlain,
            try tryToDefine(table, "ALTER TABLE \(target.quoted) \(drops.joined(separator: ", "))")
        else { return target }
        // The lock that this took has made every other sink that writes to the table known.
        let isShared = try server { () throws(PostgresError) in try ledger.isShared(target.name, besides: table.id) }
        if isShared {
            let adds = keys.map { "ADD CONSTRAINT \(Quoting.identifier($0.name)) \($0.definition)" }
            try define(
                table, "ALTER TABLE \(target.quoted) \(adds.joined(separator: ", "))", "keep keys of \(table.name)")
            return target
        }
        record.owedKeys = keys.map { "ADD CONSTRAINT \(Quoting.identifier($0.name)) \($0.definition)" }
        try remember(table, record)
        return try attachAgain(table)
    }

    /// Two sinks may fill one table, from two sources, say. The second one needs the keys, and waits for them.
    func awaitKeys(_ table: SinkTable, _ name: TargetNameFormat.Name) throws(SinkFailure) {
        let other = try server { () throws(PostgresError) in try ledger.sinkOwingKeys(name) }
        guard let other else { return }
        throw .connector(
            ConnectorError(
                .transient, code: "table_being_loaded",
                "\(name.description) has no keys while sink \(other) loads it; they are made at the end of that load"))
    }

    private func keys(
        of table: SinkTable, _ name: TargetNameFormat.Name
    ) throws(SinkFailure) -> [(name: String, definition: String)] {
        let rows = try forTable(table) { () throws(PostgresError) in
            try connection.execute(
                """
                SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
                WHERE conrelid = \(Quoting.literal(name.quoted))::regclass AND contype IN ('p', 'u') ORDER BY contype, conname
                """, "read the keys of \(name.description)"
            ).rows
        }
        return rows.compactMap { row in
            guard row.count == 2, let name = row[0], let definition = row[1] else { return nil }
            return (name, definition)
        }
    }

    /// Makes the keys that a table is owed.
    func makeOwedKeys(_ table: SinkTable, _ record: SinkLedger.TableRecord) throws(SinkFailure) {
        var record = record
        for key in record.owedKeys { try makeKey(table, record, key) }
        record.owedKeys = []
        try remember(table, record)
        table.target = nil
        logger.info("made the keys of a loaded table", metadata: ["table": "\(record.target.description)"])
    }

    private func makeKey(
        _ table: SinkTable, _ record: SinkLedger.TableRecord, _ key: String
    ) throws(SinkFailure) {
        let name = record.target
        let sql = "ALTER TABLE IF EXISTS \(name.quoted) \(key)"
        do {
            return try makeKey(table, sql)
        } catch {
            switch error {
            // Somebody has made it.
            case .server(let reason) where ["42P07", "42P16", "42710"].contains(reason.sqlState): return
            // A statement of snapshot.select.statement.overrides may bring a key twice; the later row would have replaced
            // the earlier one.
            case .server(let reason) where reason.sqlState == "23505": break
            case .server(let reason) where reason.isRefusal:
                throw .table(TableRefusal(table, reason, position: place.text))
            default: throw error
            }
        }
        try removeRepeated(table, record)
        do {
            try makeKey(table, sql)
        } catch {
            guard case .server(let reason) = error, reason.isRefusal else { throw error }
            throw .table(TableRefusal(table, reason, position: place.text))
        }
    }

    private func removeRepeated(_ table: SinkTable, _ record: SinkLedger.TableRecord) throws(SinkFailure) {
        let relation = record.definition
        let columns = SinkKey.columns(of: relation).map { Quoting.identifier(relation.columns[$0].name) }
        guard !columns.isEmpty else { return }
        // No index has the key: without a hash join this would be quadratic.
        try define(table, "SET LOCAL enable_hashjoin = on", "let the planner hash")
        try define(
            table,
            """
            DELETE FROM \(record.target.quoted) WHERE ctid IN (SELECT ctid FROM (SELECT ctid, pg_catalog.row_number() OVER
                (PARTITION BY \(columns.joined(separator: ", ")) ORDER BY ctid DESC) AS place
                FROM \(record.target.quoted)) AS placed WHERE place > 1)
            """, "remove rows whose key came again")
        try define(table, "SET LOCAL enable_hashjoin = off", "keep the planner from hashing")
    }

    /// Under a savepoint, to which it is rolled back on refusal.
    private func makeKey(_ table: SinkTable, _ sql: String) throws(SinkFailure) {
        try define(table, "SAVEPOINT millrace_key", "set a savepoint")
        do {
            try connection.execute(sql, "make a key of \(table.name)")
        } catch {
            guard error.isRefusal else { throw .server(error) }
            try define(table, "ROLLBACK TO SAVEPOINT millrace_key; RELEASE SAVEPOINT millrace_key", "roll back")
            throw .server(error)
        }
        try define(table, "RELEASE SAVEPOINT millrace_key", "release the savepoint")
    }
}
