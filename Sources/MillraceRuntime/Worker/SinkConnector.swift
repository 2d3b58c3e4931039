import Logging
import MillraceCatalog
import MillraceCore

/// A sink connector: one task for the log of each source that it reads.
final class SinkConnector: ManagedConnector {
    let name: String
    private let catalog: any Catalog
    private let logger: Logger
    private let state: Monitor<State>

    private struct State {
        var plugin: any SinkPlugin
        var profile: ConnectorProfile
        /// In the order of their ids.
        var tasks: [SinkTask] = []
        /// By source: threads of earlier tasks that did not stop in time.
        var leftBehind: [String: WorkerThread] = [:]
        var topics = TopicTracker()
        /// Why its tasks cannot be made: the catalog does not answer.
        var failure: ConnectorError?
    }

    init(name: String, plugin: any SinkPlugin, profile: ConnectorProfile, catalog: any Catalog, logger: Logger) {
        self.name = name
        self.catalog = catalog
        var logger = logger
        logger[metadataKey: "connector"] = "\(name)"
        self.logger = logger
        state = Monitor(State(plugin: plugin, profile: profile))
    }

    // MARK: What it is

    var type: ConnectorType { .sink }
    var config: ConnectorConfig { state.read { $0.profile.config } }
    var target: TargetState { state.read { $0.profile.target } }
    var failure: ConnectorError? { state.read { $0.failure } }
    var tasks: [SinkTask] { state.read { $0.tasks } }
    var taskStates: [TaskStateInfo] { tasks.map(\.info) }

    func newTopics() -> Set<String> {
        var counts: [String: UInt64] = [:]
        for task in tasks {
            for (table, count) in task.status.changesByTable { counts["\(task.topicPrefix).\(table)"] = count }
        }
        return state.update { $0.topics.changed(counts) }
    }

    func reads(from source: SourceConnector) -> Bool {
        SourceSelection(config).matches(sourceName: source.name, topicPrefix: source.topicPrefix)
    }

    // MARK: Operations, by one thread at a time

    func setConfig(_ config: ConnectorConfig, _ plugin: any SinkPlugin) {
        state.update {
            $0.profile.config = config
            $0.plugin = plugin
        }
    }

    func setTarget(_ target: TargetState) {
        state.update {
            $0.profile.target = target
            if target != .paused { $0.profile.hasTasks = true }
        }
    }

    /// Which of its tasks must go: the source is no longer there, or its log is another one. `replacing`: further sources
    /// whose task is to be made anew; nil: all.
    func staleTasks(_ sources: [SourceConnector], replacing: Set<String>? = []) -> [SinkTask] {
        let profile = state.read { $0.profile }
        return tasks.filter { task in
            guard profile.target != .stopped, replacing?.contains(task.source) == false else { return true }
            guard let source = sources.first(where: { $0.name == task.source }), source.host === task.host
            else { return true }
            return !reads(from: source)
        }
    }

    /// Forgets tasks that have been stopped. `leftBehind`: those of them whose thread still runs.
    func remove(_ tasks: [SinkTask], leftBehind: [any StoppableTask]) {
        for task in tasks {
            let isLeft = leftBehind.contains { $0.runner === task.runner }
            if isLeft { logger.error("task \(task.id) did not stop in time; its thread is left behind") }
            state.update { state in
                state.tasks.removeAll { $0 === task }
                state.leftBehind[task.source] = isLeft ? task.runner.leftBehind : nil
            }
        }
    }

    /// Makes the tasks that are missing, and tells every log that it is needed.
    func makeTasks(_ sources: [SourceConnector]) {
        let profile = state.read { $0.profile }
        state.update { $0.failure = nil }
        for source in sources {
            guard let host = source.host else { continue }
            guard reads(from: source) else {
                host.removeReader(name)
                continue
            }
            guard !tasks.contains(where: { $0.source == source.name }) else { continue }
            do {
                let stored = try catalog.cursors(onSource: source.name)[name]
                host.setReader(name, stored)
                guard profile.hasTasks, profile.target != .stopped else { continue }
                makeTask(source, host, stored)
            } catch {
                // Without knowing how far the sink is, nothing may be removed from the log.
                host.setReader(name, nil)
                state.update { $0.failure = error }
                logger.error("\(error)")
            }
        }
    }

    /// Makes the sink's own cursor in its foreign system follow what somebody asked for. Only while it is stopped.
    func alterOffsets(to cursor: Cursor?, of source: SourceConnector) throws(ConnectorError) {
        guard let log = source.host?.log else { return }
        let (profile, plugin) = state.read { ($0.profile, $0.plugin) }
        let context = TaskContext(connectorName: name, taskID: 0, logger: logger)
        try plugin.alterOffsets(profile.config, source: source.description, to: cursor, logID: log.id, context)
    }

    private func makeTask(_ source: SourceConnector, _ host: LogHost, _ stored: Cursor?) {
        let (profile, plugin, taken, leftBehind) = state.read {
            ($0.profile, $0.plugin, Set($0.tasks.map(\.id)), $0.leftBehind[source.name])
        }
        let id = (0...taken.count).first { !taken.contains($0) } ?? taken.count
        let setup = SinkTask.Setup(
            connector: name, plugin: plugin, config: profile.config, source: source.description,
            topics: SourceSelection(profile.config).topics, store: CatalogCursorStore(catalog: catalog), stored: stored,
            logger: logger)
        let task = SinkTask(setup, id: id, host: host, phase: profile.idlePhase)
        state.update {
            $0.tasks.append(task)
            $0.tasks.sort { $0.id < $1.id }
        }
        if profile.target == .running { task.start(after: leftBehind) }
    }
}
