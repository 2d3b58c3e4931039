/// Reads one foreign system and hands its changes to the log. Runs on a thread of its own; may start others.
package protocol Source: Sendable {
    /// Delivers changes to `output` until `stop()` is called or something happens that this connection cannot survive.
    /// Returns normally only after `stop()`, or when there is nothing more to read (`snapshot.mode=initial_only`).
    func run(into output: any SourceOutput) throws(ConnectorError)

    /// Asks `run` to return soon. Callable from any thread, any number of times, before `run` too.
    func stop()

    /// What is going on, for status and metrics. Callable from any thread.
    func status() -> SourceStatus
}

/// The log, as a source sees it.
///
/// Order: what is submitted first lies first in the log. Whoever submits from several threads must not mix the parts of
/// two transactions: a buffer that ends inside a transaction is followed by the rest of it.
package protocol SourceOutput: AnyObject, Sendable {
    /// What the log held when the task started.
    var recovered: RecoveredLog { get }

    /// An empty buffer, reused where possible.
    func makeBuffer() -> RecordBuffer

    /// Hands `buffer` over for writing. False if the log is still busy with what it has after `timeout`: nothing has been
    /// taken then, and the caller may answer keepalives and try again. Throws when the log has failed.
    func submit(_ buffer: RecordBuffer, timeout: Duration) throws(ConnectorError) -> Bool

    /// Takes back what was submitted of a transaction whose end never came (lost connection).
    func rollBackOpenTransaction() throws(ConnectorError)

    /// A place outside the log for a transaction that is received before its commit.
    func makeSpool(xid: UInt32) throws(ConnectorError) -> any TransactionSpool

    /// Appends a spooled transaction as one. As `submit`, false when the log is busy.
    func submit(_ spool: any TransactionSpool, _ info: TransactionInfo, timeout: Duration) throws(ConnectorError)
        -> Bool

    /// Everything up to this LSN (`TransactionInfo.endLSN`) is fsynced: what may be acknowledged to the source.
    var durableLSN: LSN { get }

    /// Whether everything that was submitted is durable. Then a keepalive's WAL end may be acknowledged too.
    var isDrained: Bool { get }

    /// Waits until everything that was submitted is durable; false after `timeout`.
    func waitUntilDrained(timeout: Duration) throws(ConnectorError) -> Bool

    /// A file descriptor that becomes readable whenever `durableLSN` has moved or the log has failed: to be watched with
    /// the socket, and to be read empty (it is an eventfd).
    var durableEvent: Int32 { get }

    /// Discards the whole log and begins a new one with another id: an initial load starts over.
    func reset() throws(ConnectorError)
}

/// What a log held when it was opened.
package struct RecoveredLog: Sendable {
    package var logID: UInt64
    /// Commit LSN of the last complete transaction; nil for none.
    package var lastCommitLSN: LSN?
    /// End LSN of the last complete transaction; nil for none.
    package var lastEndLSN: LSN?
    /// Number of changes of the last complete transaction (of all full-load transactions so far, if it was one).
    package var lastOrdinal: UInt64
    /// What the source last stored of itself, as it stands in the log; empty for nothing.
    package var sourceState: [UInt8]
    /// Every relation as it was last defined.
    package var relations: [RelationID: Relation]

    package init(
        logID: UInt64, lastCommitLSN: LSN? = nil, lastEndLSN: LSN? = nil, lastOrdinal: UInt64 = 0,
        sourceState: [UInt8] = [], relations: [RelationID: Relation] = [:]
    ) {
        self.logID = logID
        self.lastCommitLSN = lastCommitLSN
        self.lastEndLSN = lastEndLSN
        self.lastOrdinal = lastOrdinal
        self.sourceState = sourceState
        self.relations = relations
    }
}

/// Holds the changes of one transaction whose end is not known yet: in memory while it is small, then in a file.
/// Used by one thread.
package protocol TransactionSpool: AnyObject {
    /// Bytes spooled so far.
    var byteCount: UInt64 { get }
    /// Changes spooled so far.
    var changeCount: UInt64 { get }

    /// Takes the finished records (row changes, relations, truncates, messages; neither begin nor commit) of `buffer`,
    /// which the caller keeps.
    func append(_ buffer: RecordBuffer) throws(ConnectorError)

    /// The place reached so far, for `truncate`.
    func mark() throws(ConnectorError) -> SpoolMark

    /// Forgets everything behind `mark`: a subtransaction was rolled back.
    func truncate(to mark: SpoolMark) throws(ConnectorError)

    /// Deletes the spool: the transaction was rolled back, or the connection lost.
    func discard()
}

/// A place in a spool.
package struct SpoolMark: Hashable, Sendable {
    package var byteCount: UInt64
    package var changeCount: UInt64

    package init(byteCount: UInt64, changeCount: UInt64) {
        self.byteCount = byteCount
        self.changeCount = changeCount
    }
}

/// What a source is doing.
package struct SourceStatus: Sendable {
    package enum Phase: String, Sendable {
        case starting
        case snapshot
        /// A large backlog is drained, in another way than it is streamed.
        case catchingUp = "catching_up"
        case streaming
        case reconnecting
        case finished
    }

    package struct Table: Sendable {
        package enum State: String, Sendable {
            case waiting
            case loading
            case streaming
            case stale
        }

        package var name: String
        package var topic: String
        package var state: State
        /// Rows that the full load has read, and an estimate of how many there are (nil: not known).
        package var rowsLoaded: UInt64
        package var rowsEstimated: UInt64?
        package var inserts: UInt64
        package var updates: UInt64
        package var deletes: UInt64
        package var truncates: UInt64
        package var bytes: UInt64
        /// Why the table is stale, and the way out.
        package var remark: String?

        package init(
            name: String, topic: String, state: State, rowsLoaded: UInt64 = 0, rowsEstimated: UInt64? = nil,
            inserts: UInt64 = 0, updates: UInt64 = 0, deletes: UInt64 = 0, truncates: UInt64 = 0, bytes: UInt64 = 0,
            remark: String? = nil
        ) {
            self.name = name
            self.topic = topic
            self.state = state
            self.rowsLoaded = rowsLoaded
            self.rowsEstimated = rowsEstimated
            self.inserts = inserts
            self.updates = updates
            self.deletes = deletes
            self.truncates = truncates
            self.bytes = bytes
            self.remark = remark
        }
    }

    package var phase: Phase
    /// End of WAL at the server, as it last said.
    package var serverLSN: LSN
    /// How far the server's messages have been received.
    package var receivedLSN: LSN
    /// What was last reported to the server as flushed.
    package var acknowledgedLSN: LSN
    package var transactions: UInt64
    package var lastCommitTime: Timestamp?
    /// Of the last transaction received.
    package var lastXID: UInt32
    /// LSN with which the full load is consistent, once there was one.
    package var snapshotLSN: LSN?
    package var tables: [Table]
    /// Why the source is reconnecting, if it is.
    package var lastError: ConnectorError?

    package init(
        phase: Phase, serverLSN: LSN = .zero, receivedLSN: LSN = .zero, acknowledgedLSN: LSN = .zero,
        transactions: UInt64 = 0, lastCommitTime: Timestamp? = nil, lastXID: UInt32 = 0, snapshotLSN: LSN? = nil,
        tables: [Table] = [], lastError: ConnectorError? = nil
    ) {
        self.phase = phase
        self.serverLSN = serverLSN
        self.receivedLSN = receivedLSN
        self.acknowledgedLSN = acknowledgedLSN
        self.transactions = transactions
        self.lastCommitTime = lastCommitTime
        self.lastXID = lastXID
        self.snapshotLSN = snapshotLSN
        self.tables = tables
        self.lastError = lastError
    }
}
