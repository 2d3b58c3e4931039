import MillraceCore
import MillraceLog

/// The source's way into its log: takes buffers from the receiving thread and writes them on one of its own, many
/// transactions to an fsync.
///
/// The receiving thread never waits for the disk longer than it asked to. What is acknowledged to the source is
/// `durableLSN`, which moves only behind an fsync.
final class LogWriter: SourceOutput {
    /// Bytes that may wait to be written.
    static let queueByteLimit = 16 << 20

    let log: any ReplicationLog
    let maxByteCount: UInt64?
    /// Called on the writing thread when the disk or `log.max.bytes` is full: may free space.
    let onPressure: @Sendable () -> Void
    let onTrouble: @Sendable (ConnectorError?) -> Void
    let event: DurableEvent
    let state: Monitor<LogWriterState>
    let clock: TaskClock
    let retryPause: Duration
    private let queueByteLimit: Int
    private let thread = Monitor<WorkerThread?>(nil)

    /// `onTrouble` hears of every stall and failure, and nil when a stall is over.
    init(
        _ log: any ReplicationLog, recovered: RecoveredLog, maxByteCount: UInt64? = nil,
        queueByteLimit: Int = LogWriter.queueByteLimit, clock: TaskClock = .system,
        retryPause: Duration = .milliseconds(250), onPressure: @escaping @Sendable () -> Void = {},
        onTrouble: @escaping @Sendable (ConnectorError?) -> Void = { _ in }
    ) throws(ConnectorError) {
        self.log = log
        self.maxByteCount = maxByteCount
        self.queueByteLimit = queueByteLimit
        self.clock = clock
        self.retryPause = retryPause
        self.onPressure = onPressure
        self.onTrouble = onTrouble
        event = try DurableEvent()
        state = Monitor(LogWriterState(recovered: recovered))
    }

    func start(name: String) {
        thread.update { $0 = WorkerThread(name) { self.run() } }
    }

    /// Writes what is queued, takes back an unfinished transaction, and ends the thread. What cannot be written is left
    /// out: it was not acknowledged. Returns what the log holds for the next run.
    @discardableResult
    func finish() -> RecoveredLog {
        requestStop()
        thread.read { $0 }?.join()
        return state.read { $0.recovered }
    }

    func requestStop() {
        state.update { $0.isStopping = true }
    }

    // MARK: SourceOutput

    var recovered: RecoveredLog { state.read { $0.recovered } }
    var durableLSN: LSN { state.read { $0.durableLSN } }
    var durableEvent: Int32 { event.descriptor }

    /// False also while a transaction is half submitted: acknowledging the server's WAL end then could skip its rest.
    var isDrained: Bool {
        state.read { $0.durableCount == $0.submitted && !$0.submittedOpenTransaction }
    }

    func makeBuffer() -> RecordBuffer {
        state.update { $0.takeBuffer() }
    }

    func submit(_ buffer: RecordBuffer, timeout: Duration) throws(ConnectorError) -> Bool {
        try push(.buffer(buffer), byteCount: buffer.count, timeout: timeout)
    }

    func submit(
        _ spool: any TransactionSpool, _ info: TransactionInfo, timeout: Duration
    ) throws(ConnectorError) -> Bool {
        try push(.spool((spool as? WatchedSpool)?.spool ?? spool, info), byteCount: 0, timeout: timeout)
    }

    func rollBackOpenTransaction() throws(ConnectorError) {
        try state.update { state throws(ConnectorError) in
            if let failure = state.failure { throw failure }
            state.push(.rollBack)
        }
    }

    func makeSpool(xid: UInt32) throws(ConnectorError) -> any TransactionSpool {
        do { return WatchedSpool(try log.makeSpool(xid: xid), self) } catch { throw error.connectorError }
    }

    func waitUntilDrained(timeout: Duration) throws(ConnectorError) -> Bool {
        try wait(until: state.read { $0.submitted }, timeout: timeout)
    }

    func reset() throws(ConnectorError) {
        let target = try requestReset()
        guard try wait(until: target, timeout: nil) else { throw .stopped }
    }

    /// Queues a reset. Returns the number of items that must be durable for it to be done.
    func requestReset() throws(ConnectorError) -> UInt64 {
        try state.update { state throws(ConnectorError) -> UInt64 in
            if let failure = state.failure { throw failure }
            state.push(.reset)
            return state.submitted
        }
    }

    private func push(
        _ item: LogWriterState.Item, byteCount: Int, timeout: Duration
    ) throws(ConnectorError) -> Bool {
        let outcome = state.wait(for: timeout) { state -> Result<Bool, ConnectorError>? in
            if let failure = state.failure { return .failure(failure) }
            if state.isStopping { return .failure(.stopped) }
            let isFull = state.queuedBytes > 0 && state.queuedBytes + byteCount > queueByteLimit
            guard !isFull && !(byteCount == 0 && state.queuedBytes > queueByteLimit) else { return nil }
            state.push(item)
            return .success(true)
        }
        return try outcome?.get() ?? false
    }

    /// Waits until so many items are durable; false after `timeout`, or when the writer is to stop.
    func wait(until target: UInt64, timeout: Duration?) throws(ConnectorError) -> Bool {
        let outcome = state.wait(for: timeout) { state -> Result<Bool, ConnectorError>? in
            if let failure = state.failure { return .failure(failure) }
            if state.durableCount >= target { return .success(true) }
            return state.isStopping ? .success(false) : nil
        }
        return try outcome?.get() ?? false
    }

    // MARK: The writing thread

    private func run() {
        var session = makeSession()
        while true {
            switch step(&session) {
            case .again: continue
            case .idle: _ = state.wait { $0.isEmpty && !$0.isStopping ? nil : true }
            case .stalled(let pause): _ = state.wait(for: pause) { $0.isStopping ? true : nil }
            case .ended: return
            }
        }
    }
}
