import Logging
import MillraceCore
import MillraceLog

/// Brings the log of one source to one sink: reads, writes, checkpoints, on one thread.
final class SinkTask: Sendable {
    let id: Int
    /// Name of the source connector.
    let source: String
    let host: LogHost
    let setup: Setup
    let runner: TaskRunner
    let state: Monitor<State>

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
        var clock = TaskClock.system
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
        let trouble = snapshot.phase == .running ? status.trouble : nil
        return TaskStateInfo(
            id: id, state: snapshot.phase.rawValue,
            trace: (snapshot.error ?? trouble)?.description ?? suspendedTables)
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
}
