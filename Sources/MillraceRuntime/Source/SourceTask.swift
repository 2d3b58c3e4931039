import Logging
import MillraceCore

/// Runs a source: its own thread receives, the log writer's thread makes durable.
final class SourceTask: Sendable {
    let id = 0
    private let connector: String
    private let host: LogHost
    private let plugin: any SourcePlugin
    private let config: ConnectorConfig
    private let queueByteLimit: Int
    private let logger: Logger
    let runner: TaskRunner
    private let state: Monitor<State>

    private struct State {
        var source: (any Source)?
        var lastStatus: SourceStatus?
        var durableAtStart = LSN.zero
        var writer: LogWriter?
    }

    init(
        connector: String, host: LogHost, plugin: any SourcePlugin, config: ConnectorConfig,
        phase: TaskRunner.Phase = .unassigned, lastStatus: SourceStatus? = nil,
        queueByteLimit: Int = LogWriter.queueByteLimit, logger: Logger
    ) {
        self.connector = connector
        self.host = host
        self.plugin = plugin
        self.config = config
        self.queueByteLimit = queueByteLimit
        self.logger = logger
        state = Monitor(State(lastStatus: lastStatus))
        runner = TaskRunner(policy: RestartPolicy(config), phase: phase, logger: logger)
    }

    func start(after previous: WorkerThread? = nil) {
        runner.start(name: "src \(connector)", after: previous) { () throws(ConnectorError) in try self.runOnce() }
    }

    func requestStop() {
        runner.requestStop()
        state.read { $0.source }?.stop()
    }

    /// What the source says, or what it said last.
    var status: SourceStatus? {
        let (source, last) = state.read { ($0.source, $0.lastStatus) }
        return source?.status() ?? last
    }

    /// End LSN of the last transaction that is fsynced; nil while the source does not run.
    var durableLSN: LSN? { state.read { $0.writer }?.durableLSN }

    /// Whether everything received is durable; nil while the source does not run.
    var isDrained: Bool? { state.read { $0.writer }?.isDrained }

    var info: TaskStateInfo {
        var snapshot = runner.snapshot
        if let trouble = host.trouble, snapshot.phase == .running { snapshot.error = trouble }
        if snapshot.phase == .running, let status = state.read({ $0.source })?.status() {
            switch status.phase {
            case .snapshot, .catchingUp, .streaming, .finished: if host.trouble == nil { snapshot.error = nil }
            case .reconnecting: snapshot.error = status.lastError ?? snapshot.error
            case .starting: break
            }
        }
        return TaskStateInfo(
            id: id, state: snapshot.phase.rawValue, trace: snapshot.error?.description ?? staleTables)
    }

    /// A source goes on with a table whose copies are no longer equal to it; whoever looks at it must not miss that.
    private var staleTables: String? {
        let stale = (status?.tables ?? []).filter { $0.state == .stale }
        guard !stale.isEmpty else { return nil }
        return stale.map { "table_stale: \($0.name): \($0.remark ?? "")" }.joined(separator: "\n")
    }

    /// Whatever has become durable in this run lets the next error start with the shortest pause.
    func noteProgress() {
        let (writer, start) = state.read { ($0.writer, $0.durableAtStart) }
        if let writer, writer.durableLSN > start { runner.noteProgress() }
    }

    /// A source at work and the writer of its log.
    struct Run {
        let source: any Source
        let writer: LogWriter
    }

    private func runOnce() throws(ConnectorError) {
        let run = try begin()
        run.writer.start(name: "log \(connector)")
        defer {
            run.writer.finish()
            end(run)
        }
        // `requestStop` may have come before there was a source to tell.
        if runner.isStopping { run.source.stop() }
        do {
            try run.source.run(into: run.writer)
        } catch {
            // Whatever the source says when it is stopped for this: the log is the reason.
            throw host.failure ?? error
        }
        if let failure = host.failure { throw failure }
    }

    /// Makes a source and a writer for it. Neither does anything yet.
    func begin() throws(ConnectorError) -> Run {
        if let failure = host.failure { throw failure }
        let writer = try LogWriter(
            host.log, recovered: host.recovered, maxByteCount: host.settings.maxByteCount,
            queueByteLimit: queueByteLimit, clock: host.clock,
            onPressure: { [host] in host.trim(isUnderPressure: true) }, onTrouble: { [self] in note($0) })
        let source = try plugin.makeSource(
            config, TaskContext(connectorName: connector, taskID: id, logger: logger))
        state.update {
            $0.source = source
            $0.writer = writer
            $0.durableAtStart = writer.durableLSN
        }
        return Run(source: source, writer: writer)
    }

    /// The last step of every run; the writer has ended.
    func end(_ run: Run) {
        noteProgress()
        // A failed log has nothing to tell the next run, which will not come before the log was opened anew.
        if host.failure == nil {
            host.recovered = run.writer.recovered
            host.forgetStall()
        }
        let status = run.source.status()
        state.update {
            $0.source = nil
            $0.writer = nil
            $0.lastStatus = status
        }
    }

    private func note(_ trouble: ConnectorError?) {
        host.note(trouble)
        // A source that has nothing to send just now would not hear that its log has failed.
        if host.failure != nil { state.read { $0.source }?.stop() }
    }
}
