internal import Logging
internal import MillraceCore

/// One connection to the target with everything that lives as long as it.
final class SinkSession {
    let connection: PostgresConnection
    let ledger: SinkLedger
    let applier: ChangeApplier
    private let begin: PreparedStatement
    private let commit: PreparedStatement
    private let cursor: PreparedStatement
    private let logID: UInt64
    /// The tables as recorded at the last commit.
    private var committedRecords: [RelationID: SinkLedger.TableRecord]
    private(set) var isInTransaction = false

    /// Settings of the session: no triggers or foreign keys in the way of changes that were checked on the source, and a
    /// planner that looks the keys of a batch up in the table's index. Left alone it reads a table of a million rows as a
    /// whole for every batch, which took three times as long.
    private static let settings = [
        "session_replication_role = replica", "jit = off", "random_page_cost = 1.1", "work_mem = '32MB'",
        "enable_hashjoin = off", "enable_mergejoin = off",
        "temp_buffers = '32MB'", "client_min_messages = warning", "default_transaction_isolation = 'read committed'",
        "default_transaction_read_only = off",
    ]

    static func configure(_ connection: PostgresConnection) throws(PostgresError) {
        for setting in settings { try connection.execute("SET \(setting)", "set \(setting)") }
    }

    init(
        _ connection: PostgresConnection, _ ledger: SinkLedger, _ options: SinkOptions, logID: UInt64,
        isWanted: @escaping (String) -> Bool, logger: Logger
    ) throws(PostgresError) {
        self.connection = connection
        self.ledger = ledger
        self.logID = logID
        committedRecords = try ledger.readTables()
        let database = try connection.execute("SELECT current_database()", "ask for the database").scalar ?? ""
        applier = ChangeApplier(
            connection, options, ledger, database: database, logID: logID, records: committedRecords,
            isWanted: isWanted, logger: logger)
        begin = try applier.pipeline.prepare("BEGIN", "prepare")
        commit = try applier.pipeline.prepare("COMMIT", "prepare")
        cursor = try applier.pipeline.prepare(SinkLedger.cursorStatement, "prepare the cursor's statement")
    }

    func beginTransaction() throws(SinkFailure) {
        guard !isInTransaction else { return }
        try server { () throws(PostgresError) in try connection.execute("BEGIN", "begin") }
        isInTransaction = true
    }

    /// Ends the transaction with `cursor` in it. An error of the connection leaves open whether it was committed: the
    /// cursor says so at the next start.
    func commitTransaction(_ cursor: Cursor?) throws(SinkFailure) {
        if let cursor {
            let parameters = [cursor.description, ledger.sink, ledger.source, String(logID, radix: 16)]
            let moved = try server { () throws(PostgresError) in
                try connection.execute(SinkLedger.cursorStatement, parameters, "write the cursor").affectedRows
            }
            guard moved == 1 else {
                throw .connector(
                    ConnectorError(
                        .transient, code: "cursor_lost", "the sink's row in millrace.sink_cursor was changed by others")
                )
            }
        }
        try server { () throws(PostgresError) in
            let tag = try connection.execute("COMMIT", "commit").commandTag
            // A transaction that failed before is rolled back by COMMIT without an error.
            guard tag == "COMMIT" else {
                throw PostgresError(sqlState: "40000", message: "the transaction was rolled back", operation: "commit")
            }
        }
        committedRecords = applier.records
        isInTransaction = false
    }

    func rollBack() throws(SinkFailure) {
        isInTransaction = false
        try server { () throws(PostgresError) in try connection.execute("ROLLBACK", "roll back") }
        applier.rollBack(committedRecords)
    }

    /// Applies a few changes as one transaction with one round trip. False if that is not possible, or was refused;
    /// nothing has been applied then.
    func applyAtOnce(_ range: Range<Int>, cursor end: Cursor) throws(SinkFailure) -> Bool {
        guard !isInTransaction, applier.isPlain(range) else { return false }
        let pipeline = applier.pipeline
        do {
            try pipeline.queue(begin, [])
            try applier.queueAll(range)
            try pipeline.queue(cursor, [end.description, ledger.sink, ledger.source, String(logID, radix: 16)])
            try pipeline.queue(commit, [])
            guard try pipeline.finish() != nil else { return true }
        } catch {
            throw .server(error)
        }
        try rollBack()
        return false
    }
}
