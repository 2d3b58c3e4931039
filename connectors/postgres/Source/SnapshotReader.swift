internal import MillraceCore

/// One thread of the full load: takes piece after piece and copies it.
///
/// Every piece is read in a transaction of its own at the common snapshot, so that no more than one table is locked at a
/// time; ten thousand tables would not fit into the server's lock table.
final class SnapshotReader: Sendable {
    /// Bytes of one snapshot transaction, about: enough for COPY into a target to be worth its while.
    static let transactionBytes = 2 << 20

    private let options: SourceOptions
    private let tables: [CapturedTable]
    private let pieces: [SnapshotPlan.Piece]
    private let snapshotName: String
    /// What the rows carry as their LSN: the load is the state of the tables there.
    private let consistentLSN: LSN
    private let writer: SnapshotWriter
    private let control: SnapshotControl

    init(
        options: SourceOptions, tables: [CapturedTable], pieces: [SnapshotPlan.Piece], snapshotName: String,
        consistentLSN: LSN, writer: SnapshotWriter, control: SnapshotControl
    ) {
        self.options = options
        self.tables = tables
        self.pieces = pieces
        self.snapshotName = snapshotName
        self.consistentLSN = consistentLSN
        self.writer = writer
        self.control = control
    }

    /// Returns when there are no more pieces, or after an error, which `control` then has.
    func run() {
        do throws(ConnectorError) {
            let connection: PostgresConnection
            do throws(PostgresError) {
                connection = try options.connect()
            } catch {
                throw error.connectorError
            }
            try control.add(connection)
            while let number = control.takePiece(), number < pieces.count {
                try read(pieces[number], connection)
            }
        } catch {
            control.fail(error)
        }
    }

    private func read(_ piece: SnapshotPlan.Piece, _ connection: PostgresConnection) throws(ConnectorError) {
        let table = tables[piece.table]
        let operation = "load \(table.name.qualified)"
        try writer.beginPiece(piece.table)
        try Self.begin(connection, snapshotName)
        do throws(PostgresError) {
            try connection.startCopyOut(piece.sql, operation)
        } catch {
            throw Self.error(error, table)
        }
        let rows = try copy(piece, connection, operation)
        let rewritten: Bool
        do throws(PostgresError) {
            rewritten = try isRewritten(piece.leaf, connection)
            try connection.execute("COMMIT", operation)
        } catch {
            throw Self.error(error, table)
        }
        try checkUnmoved(piece, table, rows, rewritten)
        try writer.endPiece(piece.table)
    }

    /// Opens a transaction that sees the exported snapshot `name`.
    static func begin(_ connection: PostgresConnection, _ name: String) throws(ConnectorError) {
        do throws(PostgresError) {
            try connection.execute(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT " + Quoting.literal(name),
                "take the snapshot of the full load")
        } catch {
            // Nobody holds it any more: an invalid identifier, or a process that is gone (snapmgr.c).
            guard ["22023", "42704", "55000"].contains(error.sqlState) else { throw error.connectorError }
            throw ConnectorError(
                .transient, code: "snapshot_lost",
                "the snapshot of the full load is gone (\(error.message)); the full load starts over",
                foreignCode: error.sqlState)
        }
    }

    /// Returns the number of rows.
    private func copy(
        _ piece: SnapshotPlan.Piece, _ connection: PostgresConnection, _ operation: String
    ) throws(ConnectorError) -> UInt64 {
        let table = tables[piece.table]
        let id = table.relation.relation.id
        let columnCount = table.relation.relation.columns.count
        let lsn = consistentLSN
        var rows: UInt64 = 0
        var buffer = writer.makeBuffer()
        var isIntact = true
        while true {
            let hasRow: Bool
            do throws(PostgresError) {
                hasRow = try connection.nextCopyRow(operation) { line in
                    isIntact = CopyTextReader.appendInsert(
                        line, columnCount: columnCount, relation: id, lsn: lsn, to: buffer)
                }
            } catch {
                throw Self.error(error, table)
            }
            guard hasRow else { break }
            guard isIntact else {
                throw ConnectorError(
                    .protocolViolation, code: "malformed_copy",
                    "a row of \(table.name.qualified) does not have \(columnCount) columns")
            }
            rows += 1
            if buffer.count >= Self.transactionBytes {
                try writer.submit(buffer, table: piece.table)
                buffer = writer.makeBuffer()
            }
        }
        try writer.submit(buffer, table: piece.table)
        return rows
    }

    /// Whether the table has another file than at the time of the snapshot. The catalog is read at the snapshot, the
    /// function sees what is now; the lock that COPY took keeps that from changing.
    private func isRewritten(
        _ leaf: CapturedTable.Leaf, _ connection: PostgresConnection
    ) throws(PostgresError) -> Bool {
        let result = try connection.execute(
            "SELECT relfilenode <> pg_relation_filenode(oid) FROM pg_class WHERE oid = \(leaf.oid)",
            "check \(leaf.name.qualified)")
        return result.scalar == "t"
    }

    /// A table that was rewritten (ALTER COLUMN … TYPE) or truncated after the snapshot looks empty at the snapshot, and
    /// the stream brings no rows for a rewrite. CLUSTER and VACUUM FULL keep what is visible, but move rows between the
    /// pieces of a table.
    private func checkUnmoved(
        _ piece: SnapshotPlan.Piece, _ table: CapturedTable, _ rows: UInt64, _ isRewritten: Bool
    ) throws(ConnectorError) {
        guard isRewritten, rows == 0 || piece.isPartOfLeaf else { return }
        throw Self.changed(table, "was rewritten or truncated after the snapshot was taken")
    }

    // MARK: Errors

    private static func changed(_ table: CapturedTable, _ what: String) -> ConnectorError {
        ConnectorError(
            .transient, code: "table_changed_during_load",
            "the table \(table.name.qualified) \(what); the full load starts over",
            hint: "do not run ALTER TABLE, TRUNCATE or VACUUM FULL on \(table.name.quoted) until the full load is done")
    }

    private static func error(_ error: PostgresError, _ table: CapturedTable) -> ConnectorError {
        switch error.sqlState {
        case "42P01", "42703", "3F000":
            return changed(table, "has other columns or another name than when the load began")
        case "42501":
            var denied = error.connectorError
            denied.hint =
                "GRANT USAGE ON SCHEMA \(Quoting.identifier(table.name.schema)) and GRANT SELECT ON "
                + "\(table.name.quoted) to the role of database.user; a table with row-level security needs a role with BYPASSRLS"
            return denied
        default: return error.connectorError
        }
    }
}
