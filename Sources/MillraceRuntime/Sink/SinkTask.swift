import Logging
import MillraceCore
import MillraceLog

/// Brings the log of one source to one sink: reads, writes, checkpoints, on one thread.
final class SinkTask: Sendable {
    let id: Int
    /// Name of the source connector.
    let source: String
    let host: LogHost
    private let setup: Setup
    let runner: TaskRunner
    private let state: Monitor<State>

    struct Setup: Sendable {
        var connector: String
        var plugin: any SinkPlugin
        var config: ConnectorConfig
        var source: SourceDescription
        var topics: TopicSelection
        var store: any CursorStore
        /// The cursor that is stored; nil for none.
        var stored: Cursor?
        var logger: Logger
        /// How long a durable cursor may be unstored. A crash repeats at most that much.
        var checkpointInterval: Duration = .seconds(1)
        /// Between two ticks while there is nothing to read.
        var tickInterval: Duration = .milliseconds(200)
    }

    struct State {
        var sink: (any Sink)?
        var reader: (any BatchReader)?
        var lastStatus = SinkStatus()
        /// Counts of sinks that were replaced after errors.
        var statusBefore = SinkStatus()
        var durable: Cursor?
        var stored: Cursor?
        var lastDelivered: Timestamp?
    }

    init(_ setup: Setup, id: Int, host: LogHost, phase: TaskRunner.Phase = .unassigned) {
        self.setup = setup
        self.id = id
        self.host = host
        source = setup.source.connectorName
        runner = TaskRunner(policy: RestartPolicy(setup.config), phase: phase, logger: setup.logger)
        state = Monitor(State(durable: setup.stored, stored: setup.stored))
        host.setReader(setup.connector, setup.stored)
    }

    func start(after previous: WorkerThread? = nil) {
        runner.start(name: "sink \(setup.connector)", after: previous) { () throws(ConnectorError) in
            try self.runOnce()
        }
    }

    func requestStop() {
        runner.requestStop()
        state.read { $0.reader }?.interrupt()
    }

    /// For a sink that does not come back from a call.
    func interrupt() {
        state.read { $0.sink }?.interrupt()
    }

    // MARK: What it is doing

    var topicPrefix: String { setup.source.topicPrefix }

    var info: TaskStateInfo {
        let snapshot = runner.snapshot
        return TaskStateInfo(
            id: id, state: snapshot.phase.rawValue, trace: snapshot.error?.description ?? suspendedTables)
    }

    /// A task goes on without tables that were suspended; whoever looks at it must not miss them.
    private var suspendedTables: String? {
        let suspended = status.suspended
        guard !suspended.isEmpty else { return nil }
        return suspended.map { "table_suspended: \($0.table) at \($0.position): \($0.reason)" }.joined(separator: "\n")
            + "\n  way out: mend the target's table or row, then POST /connectors/\(setup.connector)/tasks/\(id)/restart"
    }

    var status: SinkStatus {
        let (sink, last, before) = state.read { ($0.sink, $0.lastStatus, $0.statusBefore) }
        return before.adding(sink?.status() ?? last)
    }

    var details: SinkDetails {
        let snapshot = runner.snapshot
        let (durable, lastDelivered) = state.read { ($0.durable, $0.lastDelivered) }
        let log = host.log
        let end = log.durable.offset
        let place = durable.flatMap { $0.logID == log.id ? $0.offset : nil } ?? log.start.offset
        let lagBytes = end > place ? end - place : 0
        return SinkDetails(
            connector: setup.connector, task: id, source: source, state: info, cursor: durable, lagBytes: lagBytes,
            lagSeconds: lagBytes > 0 ? (lastDelivered ?? log.commitTime(before: place)).map(WallClock.age) ?? 0 : 0,
            status: status,
            errors: snapshot.errors, retries: snapshot.retries)
    }

    // MARK: Running

    private func runOnce() throws(ConnectorError) {
        if let failure = host.failure { throw failure }
        let sink = try setup.plugin.makeSink(
            setup.config, source: setup.source, topics: setup.topics,
            TaskContext(connectorName: setup.connector, taskID: id, logger: setup.logger))
        state.update { state in
            state.statusBefore = state.statusBefore.adding(state.lastStatus)
            state.lastStatus = SinkStatus()
            state.sink = sink
        }
        defer { end(sink) }
        guard !runner.isStopping else { return }
        try deliver(sink)
    }

    private func end(_ sink: any Sink) {
        sink.stop()
        let status = sink.status()
        state.update {
            $0.lastStatus = status
            $0.sink = nil
            $0.reader = nil
        }
    }

    private func deliver(_ sink: any Sink) throws(ConnectorError) {
        let logID = host.log.id
        let stored = state.read { $0.durable }
        let begun = try sink.start(after: stored.flatMap { $0.logID == logID ? $0 : nil }, logID: logID)
        let reader = try makeReader(after: begun, logID: logID)
        state.update {
            $0.reader = reader
            $0.durable = begun?.logID == logID ? begun : nil
        }
        var checkpoint = CheckpointClock(interval: setup.checkpointInterval)
        do {
            try storeCursor()
            try loop(sink, reader, &checkpoint)
            note(try sink.flush())
        } catch {
            // What is durable is worth storing whatever happened; this error is the one to tell.
            try? storeCursor()
            throw error
        }
        try storeCursor()
    }

    private func loop(
        _ sink: any Sink, _ reader: any BatchReader, _ checkpoint: inout CheckpointClock
    ) throws(ConnectorError) {
        // Whether something was accepted that a flush might make durable.
        var isDirty = false
        while !runner.isStopping {
            if let failure = host.failure { throw failure }
            let timeout: Duration = isDirty ? .zero : setup.tickInterval
            if let batch = try next(reader, sink.batchByteLimit, timeout) {
                isDirty = try write(batch, to: sink)
            } else if runner.isStopping {
                break
            } else if isDirty {
                note(try sink.flush())
                isDirty = false
            } else {
                note(try sink.tick())
                // Everything there is was taken: whatever went wrong before is over.
                runner.noteProgress()
            }
            if checkpoint.isDue { try storeCursor() }
        }
    }

    /// Returns whether a flush could still make something of it durable.
    private func write(_ batch: ChangeBatch, to sink: any Sink) throws(ConnectorError) -> Bool {
        let delivery = try sink.write(batch)
        if let time = batch.lastCommitTime { state.update { $0.lastDelivered = time } }
        guard case .durable(let cursor) = delivery else { return true }
        note(cursor)
        return cursor < batch.end
    }

    private func note(_ cursor: Cursor?) {
        guard let cursor else { return }
        let isNews = state.read { state in state.durable.map { $0.logID == cursor.logID && $0 < cursor } ?? true }
        guard isNews else { return }
        state.update { $0.durable = cursor }
        runner.noteProgress()
    }

    private func storeCursor() throws(ConnectorError) {
        let (durable, stored) = state.read { ($0.durable, $0.stored) }
        guard let durable, durable != stored else { return }
        try setup.store.setCursor(durable, sink: setup.connector, source: source)
        state.update { $0.stored = durable }
        // Only what is stored lets the log go: after a crash the sink starts from there.
        host.setReader(setup.connector, durable)
    }

    // MARK: Reading

    private func makeReader(after cursor: Cursor?, logID: UInt64) throws(ConnectorError) -> any BatchReader {
        let log = host.log
        let start = log.start
        let durable = log.durable
        guard let cursor, cursor.logID == logID else {
            // A log that was trimmed lacks its beginning, the full load: what is left would be taken for the whole.
            guard !log.isTrimmed else {
                throw LogTrouble.trimmed(connector: setup.connector, source: source, from: nil, start: start)
            }
            return try reader(after: nil, logID)
        }
        guard cursor.offset >= start.offset else {
            throw LogTrouble.trimmed(connector: setup.connector, source: source, from: cursor, start: start)
        }
        guard cursor.offset <= durable.offset || log.id != logID else {
            throw LogTrouble.ahead(connector: setup.connector, source: source, cursor: cursor, durable: durable)
        }
        return try reader(after: cursor, logID)
    }

    private func reader(after cursor: Cursor?, _ logID: UInt64) throws(ConnectorError) -> any BatchReader {
        do {
            return try host.log.makeReader(after: cursor)
        } catch {
            // The log was discarded in between: start over with the new one.
            throw host.log.id == logID ? error.connectorError : LogError.discarded.connectorError
        }
    }

    private func next(
        _ reader: any BatchReader, _ byteLimit: Int, _ timeout: Duration
    ) throws(ConnectorError) -> ChangeBatch? {
        do { return try reader.next(byteLimit: byteLimit, timeout: timeout) } catch { throw error.connectorError }
    }
}
