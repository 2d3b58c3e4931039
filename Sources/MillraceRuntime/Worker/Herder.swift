import Logging
import MillraceCatalog
import MillraceCore

/// Creates, changes and deletes connectors: Kafka Connect's herder. Its operations block, and take turns (`Worker` sees
/// to that); what it tells of connectors may be asked at any time.
final class Herder: Sendable {
    let catalog: any Catalog
    let directory: DataDirectory
    let plugins: PluginRegistry
    let version: String
    let logger: Logger
    /// In order of creation.
    private let table = Monitor<[any ManagedConnector]>([])

    init(
        catalog: any Catalog, directory: DataDirectory, plugins: PluginRegistry, version: String, logger: Logger
    ) {
        self.catalog = catalog
        self.directory = directory
        self.plugins = plugins
        self.version = version
        self.logger = logger
    }

    // MARK: What there is

    var connectors: [any ManagedConnector] { table.read { $0 } }
    var sources: [SourceConnector] { connectors.compactMap { $0 as? SourceConnector } }
    var sinks: [SinkConnector] { connectors.compactMap { $0 as? SinkConnector } }

    func find(_ name: String) -> (any ManagedConnector)? {
        table.read { $0.first { $0.name == name } }
    }

    // MARK: Start and stop of the server

    /// Brings every connector of the catalog to its target state.
    func start() throws(ConnectorError) {
        for stored in try catalog.connectors() {
            if stored.isDeleted {
                // A deletion that was cut short: whoever asked for it was not told that it was done, but it was begun.
                try directory.removeLog(of: stored.name)
                try catalog.finishDeletion(of: stored.name)
                continue
            }
            let target = TargetState(rawValue: stored.targetState) ?? .paused
            add(make(stored.name, ConnectorConfig(stored.config), target, hasTasks: true))
        }
        // Side by side: each reads the end of its log.
        let opening = sources.map { source in WorkerThread("open \(source.name)") { source.openLog() } }
        for thread in opening { thread.join() }
        for source in sources { source.storedOffset = try storedOffset(of: source) }
        // Sinks first: every log must know what is still needed before it may free anything.
        reconcileSinks()
        for source in sources { source.makeTask() }
    }

    /// Tells every task to stop, and waits for none.
    func requestStop() {
        for source in sources { source.task?.requestStop() }
        for sink in sinks { for task in sink.tasks { task.requestStop() } }
    }

    /// Stops every task and stores what there is to store.
    func shutDown(within limit: Duration) {
        let sources = sources
        let tasks = sources.compactMap { $0.task as (any StoppableTask)? } + sinks.flatMap(\.tasks)
        let left = TaskStopping.stop(tasks, within: limit)
        if !left.isEmpty { logger.error("\(left.count) tasks did not stop in time and are left behind") }
        storeTopicsAndOffsets()
        for source in sources { source.close() }
        table.update { $0.removeAll() }
        catalog.close()
    }

    // MARK: Making connectors

    /// Kafka Connect shows `name` as one of the properties.
    func named(_ config: ConnectorConfig, _ name: String) -> ConnectorConfig {
        var config = config
        config["name"] = name
        return config
    }

    func make(
        _ name: String, _ config: ConnectorConfig, _ target: TargetState, hasTasks: Bool
    ) -> any ManagedConnector {
        let profile = ConnectorProfile(config: config, target: target, hasTasks: hasTasks)
        switch config["connector.class"].flatMap({ plugins[$0] }) {
        case let plugin as any SourcePlugin:
            return SourceConnector(
                name: name, plugin: plugin, profile: profile, directory: directory, logger: logger)
        case let plugin as any SinkPlugin:
            return SinkConnector(name: name, plugin: plugin, profile: profile, catalog: catalog, logger: logger)
        default:
            return UnknownConnector(name: name, config: config, target: target)
        }
    }

    func add(_ connector: any ManagedConnector) {
        table.update { $0.append(connector) }
    }

    func replace(_ old: any ManagedConnector, by new: any ManagedConnector) {
        table.update { connectors in
            guard let index = connectors.firstIndex(where: { $0 === old }) else { return }
            connectors[index] = new
        }
    }

    func remove(_ connector: any ManagedConnector) {
        table.update { $0.removeAll { $0 === connector } }
    }

    // MARK: Sinks follow sources

    /// Gives every sink the tasks that it is to have. Those that read from `replacing` (names of sources) get new ones.
    func reconcileSinks(_ sinks: [SinkConnector]? = nil, replacing: Set<String> = [], replacingAll: Bool = false) {
        let sinks = sinks ?? self.sinks
        stopStaleTasks(sinks, sources: sources, replacing: replacingAll ? nil : replacing)
        for sink in sinks { sink.makeTasks(sources) }
    }

    func stopStaleTasks(_ sinks: [SinkConnector], sources: [SourceConnector], replacing: Set<String>? = []) {
        let stale = sinks.map { ($0, $0.staleTasks(sources, replacing: replacing)) }
        let left = TaskStopping.stop(stale.flatMap(\.1))
        for (sink, tasks) in stale { sink.remove(tasks, leftBehind: left) }
    }

    // MARK: Housekeeping

    /// Once a second: lets the logs go that nobody needs.
    func trimLogs() {
        for source in sources {
            source.task?.noteProgress()
            source.host?.trim()
        }
    }

    /// Remembers what the REST API shows: which topics were used, and how far sources are.
    func storeTopicsAndOffsets() {
        for connector in connectors {
            do {
                try storeTopics(of: connector)
                if let source = connector as? SourceConnector { try storeOffset(of: source) }
            } catch {
                logger.warning("\(error)", metadata: ["connector": "\(connector.name)"])
            }
        }
    }

    func storeTopics(of connector: any ManagedConnector) throws(ConnectorError) {
        try catalog.addTopics(connector.newTopics(), of: connector.name)
    }
}
