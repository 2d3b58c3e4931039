import Logging
import MillraceCore

/// A source connector: its log, which is open for as long as the connector exists, and its one task.
final class SourceConnector: ManagedConnector {
    let name: String
    private let directory: DataDirectory
    private let logger: Logger
    private let state: Monitor<State>

    private struct State {
        var plugin: any SourcePlugin
        var profile: ConnectorProfile
        var host: LogHost?
        var openError: ConnectorError?
        var task: SourceTask?
        /// A thread of an earlier task that did not stop in time.
        var leftBehind: WorkerThread?
        var topics = TopicTracker()
        /// Offset document as it is in the catalog.
        var storedOffset: String?
    }

    init(
        name: String, plugin: any SourcePlugin, profile: ConnectorProfile, directory: DataDirectory, logger: Logger
    ) {
        self.name = name
        self.directory = directory
        var logger = logger
        logger[metadataKey: "connector"] = "\(name)"
        self.logger = logger
        state = Monitor(State(plugin: plugin, profile: profile))
    }

    // MARK: What it is

    var type: ConnectorType { .source }
    var config: ConnectorConfig { state.read { $0.profile.config } }
    var target: TargetState { state.read { $0.profile.target } }
    var host: LogHost? { state.read { $0.host } }
    var task: SourceTask? { state.read { $0.task } }
    var topicPrefix: String { state.read { $0.plugin.topicPrefix($0.profile.config) } }
    var sourceStatus: SourceStatus? { task?.status }

    var failure: ConnectorError? {
        let (openError, host) = state.read { ($0.openError, $0.host) }
        return openError ?? host?.failure
    }

    var description: SourceDescription {
        state.read {
            SourceDescription(
                connectorName: name, topicPrefix: $0.plugin.topicPrefix($0.profile.config), config: $0.profile.config)
        }
    }

    var taskStates: [TaskStateInfo] {
        let (profile, task) = state.read { ($0.profile, $0.task) }
        guard profile.target != .stopped, profile.hasTasks, let task else { return [] }
        return [task.info]
    }

    func newTopics() -> Set<String> {
        guard let status = sourceStatus else { return [] }
        var counts: [String: UInt64] = [:]
        for table in status.tables {
            counts[table.topic] = table.rowsLoaded &+ table.inserts &+ table.updates &+ table.deletes &+ table.truncates
        }
        return state.update { $0.topics.changed(counts) }
    }

    // MARK: Operations, by one thread at a time

    /// Opens the log where it is not open, or has failed. Nobody may be reading the old one.
    func openLog() {
        let settings = state.read { LogSettings($0.profile.config, $0.plugin.definition) }
        if let host, host.failure == nil {
            host.settings = settings
            return
        }
        // The old object lets go of its files before the directory is looked at.
        state.update { $0.host = nil }
        do {
            let host = try LogHost.open(
                connector: name, directory: directory.logDirectory(of: name), settings: settings, logger: logger)
            state.update {
                $0.host = host
                $0.openError = nil
            }
        } catch {
            logger.error("cannot open the change log: \(error)")
            state.update { $0.openError = error }
        }
    }

    func setConfig(_ config: ConnectorConfig, _ plugin: any SourcePlugin) {
        state.update {
            $0.profile.config = config
            $0.plugin = plugin
        }
    }

    func setTarget(_ target: TargetState) {
        state.update {
            $0.profile.target = target
            if target == .running { $0.profile.hasTasks = true }
            if target == .stopped { $0.profile.hasTasks = true }
        }
    }

    /// Puts a new task in place of the old one, which has been stopped, and starts it if the connector is to run.
    func makeTask() {
        let (profile, plugin, host, leftBehind) = state.read { ($0.profile, $0.plugin, $0.host, $0.leftBehind) }
        guard let host, profile.hasTasks, profile.target != .stopped else { return }
        let task = SourceTask(
            connector: name, host: host, plugin: plugin, config: profile.config, phase: profile.idlePhase,
            lastStatus: sourceStatus, logger: logger)
        state.update { $0.task = task }
        if profile.target == .running { task.start(after: leftBehind) }
    }

    /// After a pause or a stop: the task as it is to be shown. One that was stopped comes back as paused, if there was
    /// one before.
    func showIdleTask() {
        let (profile, task) = state.read { ($0.profile, $0.task) }
        guard let task else { return makeTask() }
        task.runner.setPhase(profile.idlePhase)
    }

    /// Stops the task; it is then shown as the target state says.
    func stopTask(within limit: Duration = TaskStopping.limit) {
        guard let task else { return }
        noteStopped(TaskStopping.stop([task], within: limit))
    }

    func noteStopped(_ leftBehind: [any StoppableTask]) {
        guard let task else { return }
        let isLeft = leftBehind.contains { $0.runner === task.runner }
        if isLeft { logger.error("the source did not stop in time; its thread is left behind") }
        task.runner.setPhase(state.read { $0.profile.idlePhase })
        state.update { $0.leftBehind = isLeft ? task.runner.leftBehind : nil }
    }

    /// Lets go of the log.
    func close() {
        state.update { $0.host = nil }
    }

    /// The log was discarded: nothing that was known of the source holds any more.
    func forgetHistory() {
        state.update {
            $0.task = nil
            $0.storedOffset = nil
        }
    }

    var storedOffset: String? {
        get { state.read { $0.storedOffset } }
        set { state.update { $0.storedOffset = newValue } }
    }
}

extension SourceConnector {
    var details: SourceDetails {
        let status = sourceStatus
        let log = host?.details
        let snapshot = task?.runner.snapshot
        var lagBytes: UInt64?
        var lagSeconds: Double?
        let durableLSN = task?.durableLSN ?? host?.recovered.lastEndLSN
        if let status, log != nil, status.serverLSN > .zero {
            // Where nothing of ours is in the WAL, what was received and acknowledged runs ahead of the log.
            let isDrained = task?.isDrained ?? false
            let done = max(status.acknowledgedLSN, durableLSN ?? .zero, isDrained ? status.receivedLSN : .zero)
            lagBytes = status.serverLSN > done ? status.serverLSN.value - done.value : 0
            lagSeconds = lagBytes == 0 ? 0 : status.lastCommitTime.map { WallClock.age(of: $0) }
        }
        return SourceDetails(
            connector: name, topicPrefix: topicPrefix, source: status, log: log, durableLSN: durableLSN,
            lagBytes: lagBytes,
            lagSeconds: lagSeconds, retries: snapshot?.retries ?? 0, errors: snapshot?.errors ?? 0,
            lastError: failure ?? log?.trouble ?? snapshot?.error ?? status?.lastError)
    }
}
