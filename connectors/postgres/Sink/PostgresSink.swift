internal import Logging
internal import MillraceCore

/// Applies a change log to a PostgreSQL database: whole transactions, in order, exactly once. The cursor is a row of the
/// target and moves in the transactions that move the data.
// SAFETY: everything but `active`, `published` and `isInterrupted`, which are monitors, belongs to the task's thread.
final class PostgresSink: Sink, @unchecked Sendable {
    let options: SinkOptions
    private let sinkName: String
    private let sourceName: String
    private let topicPrefix: String
    private let isWanted: (String) -> Bool
    let logger: Logger

    private let active = Monitor<PostgresConnection?>(nil)
    private let isInterrupted = Monitor(false)
    let published = Monitor(SinkStatus())

    var session: SinkSession?
    /// Behind everything that is applied, but for suspended tables.
    var main: Cursor?
    /// Behind everything that is read: less than `main` while suspended tables catch up.
    var progress: Cursor?
    /// Where each suspended table stands (nil: at the beginning), tried again or not.
    var suspended: [RelationID: SinkLedger.Suspension] = [:]
    var horizon: CommitHorizon?
    private var lastSequenceSync = ContinuousClock.now

    init(
        _ options: SinkOptions, sink: String, source: SourceDescription, isWanted: @escaping (String) -> Bool,
        logger: Logger
    ) {
        self.options = options
        sinkName = sink
        sourceName = source.connectorName
        topicPrefix = source.topicPrefix
        self.isWanted = isWanted
        self.logger = logger
    }

    /// Large enough that a round trip per table and batch does not count, small enough for many sinks in one process.
    var batchByteLimit: Int { 16 << 20 }

    /// So that changes that come one after the other do not wait for the disk of the target each.
    var flushPause: Duration { .milliseconds(100) }

    // MARK: Start and stop

    func start(after stored: Cursor?, logID: UInt64) throws(ConnectorError) -> Cursor? {
        close()
        isInterrupted.update { $0 = false }
        do {
            return try connect(logID)
        } catch {
            close()
            throw stoppedOr(error.connectorError)
        }
    }

    private func connect(_ logID: UInt64) throws(PostgresError) -> Cursor? {
        var parameters = options.connection
        if parameters["application_name"] == nil { parameters["application_name"] = "millrace \(sinkName)" }
        let connection = try PostgresConnection(parameters)
        active.update { $0 = connection }
        try SinkSession.configure(connection)
        let ledger = SinkLedger(connection: connection, sink: sinkName, source: sourceName)
        try ledger.prepare()
        guard try ledger.lock() else {
            throw PostgresError(
                sqlState: "55P03", message: "another session still holds the lock of sink \(sinkName)",
                operation: "take over the sink's cursor")
        }
        main = try ledger.readCursor(logID: logID)
        horizon = try CommitHorizon(ledger)
        let session = try SinkSession(
            connection, ledger, options, logID: logID, isWanted: isWanted, logger: logger)
        suspended = [:]
        progress = main
        for suspension in try ledger.readSuspensions() {
            guard isWanted("\(topicPrefix).\(suspension.table)") else {
                // Given up: the log need not be kept for it.
                try ledger.endSuspension(suspension.relation)
                continue
            }
            suspended[suspension.relation] = suspension
            if suspension.isHeld {
                session.applier.held.insert(suspension.relation)
                continue
            }
            session.applier.retried[suspension.relation] = suspension.cursor?.offset ?? 0
            if let known = progress { progress = suspension.cursor.map { min($0, known) } }
        }
        if !session.applier.held.isEmpty { try ledger.releaseHeld() }
        session.applier.appliedThrough = session.applier.retried.isEmpty ? nil : main?.offset
        self.session = session
        publishSuspensions()
        horizon?.begin(at: committedThrough)
        return progress
    }

    func stop() {
        if let session, !session.isInTransaction, !isInterrupted.read({ $0 }) { syncSequences(session, all: true) }
        close()
    }

    private func close() {
        session = nil
        horizon = nil
        active.update { $0 = nil }
    }

    func interrupt() {
        isInterrupted.update { $0 = true }
        active.read { $0 }?.interrupt()
    }

    /// What a broken connection means after `interrupt`.
    func stoppedOr(_ error: ConnectorError) -> ConnectorError {
        isInterrupted.read { $0 } ? .stopped : error
    }

    // MARK: Time

    func flush() throws(ConnectorError) -> Cursor? {
        if let session, !session.isInTransaction {
            // A load may have filled columns without an index, of which the largest value is looked for once.
            let afterLoad = session.applier.loadHasEnded
            if afterLoad || ContinuousClock.now - lastSequenceSync > .seconds(10) {
                session.applier.loadHasEnded = false
                syncSequences(session, all: afterLoad)
            }
        }
        do {
            try settle()
        } catch {
            throw stoppedOr(error.connectorError)
        }
        return horizon?.durable
    }

    /// Makes sure of what is committed. Inside a large transaction that was done before it began.
    func settle() throws(PostgresError) {
        guard let session, !session.isInTransaction else { return }
        try horizon?.settle(committedThrough, session.ledger)
    }

    func tick() throws(ConnectorError) -> Cursor? {
        try flush()
    }

    private func syncSequences(_ session: SinkSession, all: Bool) {
        lastSequenceSync = .now
        do {
            try session.applier.syncSequences(all: all)
        } catch {
            // The next statement on the connection tells whether it is lost.
            logger.warning("cannot set sequences", metadata: ["error": "\(error.message)"])
        }
    }

    /// Behind what needs never be read again once it is on the target's disk: what suspended tables have not got is still
    /// needed.
    var committedThrough: Cursor? {
        guard var cursor = progress else { return nil }
        for (id, suspension) in suspended where session?.applier.retried[id] == nil {
            guard let own = suspension.cursor else { return nil }
            cursor = min(cursor, own)
        }
        return cursor
    }

    // MARK: Status

    func status() -> SinkStatus {
        published.read { $0 }
    }

    func publishSuspensions() {
        let retried = session?.applier.retried ?? [:]
        let tables = suspended.values.filter { retried[$0.relation] == nil }.sorted { $0.table < $1.table }.map {
            SinkStatus.SuspendedTable(
                table: $0.table, position: $0.position, reason: $0.message + ($0.key.map { "; row \($0)" } ?? ""))
        }
        published.update { $0.suspended = tables }
    }
}
