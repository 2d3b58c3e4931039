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

    private let log: any ReplicationLog
    private let maxByteCount: UInt64?
    /// Called on the writing thread when the disk or `log.max.bytes` is full: may free space.
    private let onPressure: @Sendable () -> Void
    private let onTrouble: @Sendable (ConnectorError?) -> Void
    private let event: DurableEvent
    private let state: Monitor<LogWriterState>
    private let thread = Monitor<WorkerThread?>(nil)
    private let retryPause: Duration

    /// `onTrouble` hears of every stall and failure, and nil when a stall is over.
    init(
        _ log: any ReplicationLog, recovered: RecoveredLog, maxByteCount: UInt64? = nil,
        retryPause: Duration = .milliseconds(250), onPressure: @escaping @Sendable () -> Void = {},
        onTrouble: @escaping @Sendable (ConnectorError?) -> Void = { _ in }
    ) throws(ConnectorError) {
        self.log = log
        self.maxByteCount = maxByteCount
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
        state.update { $0.isStopping = true }
        thread.read { $0 }?.join()
        return state.read { $0.recovered }
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
        try push(.spool(spool, info), byteCount: 0, timeout: timeout)
    }

    func rollBackOpenTransaction() throws(ConnectorError) {
        try state.update { state throws(ConnectorError) in
            if let failure = state.failure { throw failure }
            state.push(.rollBack)
        }
    }

    func makeSpool(xid: UInt32) throws(ConnectorError) -> any TransactionSpool {
        do { return try log.makeSpool(xid: xid) } catch { throw error.connectorError }
    }

    func waitUntilDrained(timeout: Duration) throws(ConnectorError) -> Bool {
        try wait(until: state.read { $0.submitted }, timeout: timeout)
    }

    func reset() throws(ConnectorError) {
        let target = try state.update { state throws(ConnectorError) -> UInt64 in
            if let failure = state.failure { throw failure }
            state.push(.reset)
            return state.submitted
        }
        guard try wait(until: target, timeout: nil) else { throw .stopped }
    }

    private func push(
        _ item: LogWriterState.Item, byteCount: Int, timeout: Duration
    ) throws(ConnectorError) -> Bool {
        let outcome = state.wait(for: timeout) { state -> Result<Bool, ConnectorError>? in
            if let failure = state.failure { return .failure(failure) }
            if state.isStopping { return .failure(.stopped) }
            let isFull = state.queuedBytes > 0 && state.queuedBytes + byteCount > Self.queueByteLimit
            guard !isFull && !(byteCount == 0 && state.queuedBytes > Self.queueByteLimit) else { return nil }
            state.push(item)
            return .success(true)
        }
        return try outcome?.get() ?? false
    }

    private func wait(until target: UInt64, timeout: Duration?) throws(ConnectorError) -> Bool {
        let outcome = state.wait(for: timeout) { state -> Result<Bool, ConnectorError>? in
            if let failure = state.failure { return .failure(failure) }
            if state.durableCount >= target { return .success(true) }
            return state.isStopping ? .success(false) : nil
        }
        return try outcome?.get() ?? false
    }

    // MARK: The writing thread

    private func run() {
        var session = LogWritingSession(progress: SourceProgress(state.read { $0.recovered }))
        do {
            while let step = nextStep() {
                switch step {
                case .write(let item): try write(item, &session)
                case .end:
                    try endOrderly(&session)
                    return
                }
            }
        } catch {
            fail(error)
        }
    }

    private enum Step {
        case write(LogWriterState.Item)
        case end
    }

    private func nextStep() -> Step? {
        state.wait { state in
            if let item = state.pop() { return .write(item) }
            return state.isStopping ? .end : nil
        }
    }

    private func write(_ item: LogWriterState.Item, _ session: inout LogWritingSession) throws(LogError) {
        switch item {
        case .buffer(let buffer):
            let count = buffer.count
            guard try retrying(count, &session, { () throws(LogError) in try log.append(buffer) }) else { return }
            session.progress.noteAppended(buffer)
            session.noteAppended(UInt64(count))
            state.update {
                $0.noteWritten(count)
                $0.recycle(buffer)
            }
        case .spool(let spool, let info):
            let count = spool.byteCount
            // The spool's bytes are on the disk already; only its frames are new.
            guard try retrying(0, &session, { () throws(LogError) in try log.append(spool, info) }) else { return }
            session.progress.noteAppended(info)
            session.noteAppended(count)
        case .rollBack:
            try log.rollBackOpenTransaction()
            session.progress.noteRolledBack()
            session.noteAppended(0)
        case .reset:
            try log.reset()
            session.progress.noteReset(log.recovered)
            let recovered = log.recovered
            state.update {
                $0.recovered = recovered
                $0.durableLSN = .zero
            }
            session.noteAppended(0)
        }
        let isIdle = state.read { $0.isEmpty }
        if session.shouldFlush(isIdle: isIdle) { try flush(&session) }
    }

    private func flush(_ session: inout LogWritingSession) throws(LogError) {
        var end: Cursor?
        guard try retrying(0, &session, { () throws(LogError) in end = try log.flush() }), let end else { return }
        publish(end, &session)
    }

    private func publish(_ end: Cursor, _ session: inout LogWritingSession) {
        session.progress.noteFlushed(end)
        let recovered = session.progress.durable
        let count = session.takeUnsynced()
        state.update {
            $0.recovered = recovered
            $0.durableLSN = max($0.durableLSN, recovered.lastEndLSN ?? .zero)
            $0.durableCount += count
        }
        event.signal()
    }

    /// Before a wait for space: what was appended must reach the sinks, or the slowest one could never let go of the
    /// segments that are to make room.
    private func flushBeforeWaiting(_ session: inout LogWritingSession) throws(LogError) {
        guard session.hasUnsynced else { return }
        do { publish(try log.flush(), &session) } catch .noSpace { return }
    }

    /// Tries for as long as there is no space. False when the task is to stop before there is some; whatever had been
    /// queued is then dropped, unacknowledged.
    private func retrying(
        _ byteCount: Int, _ session: inout LogWritingSession, _ body: () throws(LogError) -> Void
    ) throws(LogError) -> Bool {
        var pause = retryPause
        while true {
            let trouble: ConnectorError
            if let full = limitReached(adding: byteCount) {
                trouble = full
            } else {
                do {
                    try body()
                    endStall()
                    return true
                } catch .noSpace(let path) {
                    trouble = LogTrouble.noSpace(path, byteCount: log.byteCount)
                }
            }
            try flushBeforeWaiting(&session)
            onPressure()
            beginStall(trouble)
            let isStopping = state.wait(for: pause) { $0.isStopping ? true : nil } ?? false
            if isStopping {
                state.update { $0.dropQueue() }
                return false
            }
            pause = min(pause * 2, .seconds(5))
        }
    }

    private func limitReached(adding byteCount: Int) -> ConnectorError? {
        guard let limit = maxByteCount, byteCount > 0, log.byteCount + UInt64(byteCount) > limit else { return nil }
        onPressure()
        guard log.byteCount + UInt64(byteCount) > limit else { return nil }
        return LogTrouble.limitReached(limit, byteCount: log.byteCount)
    }

    private func beginStall(_ trouble: ConnectorError) {
        let isNew = state.update { state in
            defer { state.stall = trouble }
            return state.stall?.code != trouble.code
        }
        if isNew { onTrouble(trouble) }
    }

    private func endStall() {
        guard state.read({ $0.stall != nil }) else { return }
        state.update { $0.stall = nil }
        onTrouble(nil)
    }

    private func endOrderly(_ session: inout LogWritingSession) throws(LogError) {
        if session.progress.hasOpenTransaction {
            try log.rollBackOpenTransaction()
            session.progress.noteRolledBack()
        }
        if session.hasUnsynced { try flush(&session) }
    }

    /// Nobody knows what is on the disk now: this log object is never written again.
    private func fail(_ error: LogError) {
        let failure = LogTrouble.failed(error)
        state.update {
            $0.failure = failure
            $0.dropQueue()
        }
        onTrouble(failure)
        event.signal()
    }
}
