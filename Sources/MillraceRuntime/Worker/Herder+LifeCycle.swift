import MillraceCatalog
import MillraceCore

extension Herder {
    /// Bytes of a connector's name as a file name; file systems take 255.
    private static let longestFileName = 240

    func create(
        _ name: String, _ config: ConnectorConfig, _ initialState: TargetState
    ) throws -> ConnectorInfo {
        guard find(name) == nil else { throw WorkerError(status: 409, "Connector \(name) already exists") }
        guard DataDirectory.fileName(for: name).utf8.count <= Self.longestFileName else {
            throw WorkerError(status: 400, "Connector name is too long")
        }
        let config = named(config, name)
        let connector = make(name, config, initialState, hasTasks: initialState != .paused)
        guard !(connector is UnknownConnector) else {
            throw WorkerError(
                status: 500,
                "Failed to find any class that implements Connector and which name matches "
                    + "\(config["connector.class"] ?? "null"), available connectors are: "
                    + plugins.plugins.map(\.className).joined(separator: ", "))
        }
        // `delete` leaves nothing behind, even if it is cut short. A log that lies here without a connector was put
        // here, or its catalog was lost: somebody may still want it.
        guard !(connector is SourceConnector) || !directory.hasLog(of: name) else {
            throw WorkerError(
                status: 409,
                "\(directory.logDirectory(of: name)) holds the change log of an earlier connector; move it "
                    + "away or remove it first")
        }
        try catalog.insert(StoredConnector(name: name, config: config.values, targetState: initialState.rawValue))
        add(connector)
        bringUp(connector)
        return connector.info
    }

    /// Opens what a connector needs and starts its tasks.
    private func bringUp(_ connector: any ManagedConnector) {
        if let source = connector as? SourceConnector {
            source.openLog()
            reconcileSinks()
            source.makeTask()
        } else if let sink = connector as? SinkConnector {
            reconcileSinks([sink])
        }
    }

    func putConfig(_ name: String, _ config: ConnectorConfig) throws -> (info: ConnectorInfo, created: Bool) {
        guard let connector = find(name) else { return (try create(name, config, .running), true) }
        let config = named(config, name)
        let plugin = config["connector.class"].flatMap { plugins[$0] }
        guard let plugin, plugin.type == connector.type || connector.type == .unknown else {
            throw WorkerError(
                status: 400,
                "The class of connector \(name) cannot be changed to \(config["connector.class"] ?? "null"): "
                    + "it is not a class of a \(connector.type.rawValue) connector")
        }
        try catalog.setConfig(config.values, of: name)
        switch connector {
        case let source as SourceConnector:
            guard let plugin = plugin as? any SourcePlugin else { break }
            source.stopTask()
            source.setConfig(config, plugin)
            // Sinks were told the source's configuration when their tasks were made.
            restartSource(source)
        case let sink as SinkConnector:
            guard let plugin = plugin as? any SinkPlugin else { break }
            sink.setConfig(config, plugin)
            reconcileSinks([sink], replacingAll: true)
        default:
            let known = make(name, config, connector.target, hasTasks: true)
            replace(connector, by: known)
            bringUp(known)
        }
        return ((find(name) ?? connector).info, false)
    }

    func delete(_ name: String) throws {
        guard let connector = find(name) else { throw WorkerError.notFound(name) }
        try catalog.beginDeletion(of: name)
        switch connector {
        case let source as SourceConnector:
            source.stopTask()
            // Without this source in the table its readers are stale, and must be gone before its files are.
            stopStaleTasks(sinks, sources: sources.filter { $0 !== source })
            source.close()
            try directory.removeLog(of: name)
        case let sink as SinkConnector:
            let tasks = sink.tasks
            sink.remove(tasks, leftBehind: TaskStopping.stop(tasks))
            for source in sources { source.host?.removeReader(name) }
        default: break
        }
        try catalog.finishDeletion(of: name)
        remove(connector)
    }

    // MARK: Target states

    func setTarget(_ target: TargetState, _ name: String, unknown: WorkerError) throws {
        guard let connector = find(name) else { throw unknown }
        guard connector.target != target else { return }
        try catalog.setTargetState(target.rawValue, of: name)
        switch connector {
        case let source as SourceConnector:
            source.setTarget(target)
            source.stopTask()
            try storeTopics(of: source)
            try storeOffset(of: source)
            if target == .running { source.makeTask() } else { source.showIdleTask() }
        case let sink as SinkConnector:
            try storeTopics(of: sink)
            sink.setTarget(target)
            reconcileSinks([sink], replacingAll: true)
        case let unknown as UnknownConnector: unknown.setTarget(target)
        default: break
        }
    }

    // MARK: Restarts

    /// Nil where neither parameter was set. The status says what is about to be restarted.
    func restart(_ name: String, includeTasks: Bool, onlyFailed: Bool) throws -> ConnectorStatus? {
        guard let connector = find(name) else { throw WorkerError.unknownWithColon(name) }
        var status = connector.status(version: version)
        let failed = TaskRunner.Phase.failed.rawValue
        let restarting = TaskRunner.Phase.restarting.rawValue
        let restartsConnector = !onlyFailed || status.state == failed
        if restartsConnector { status.state = restarting }
        var ids: [Int] = []
        for index in status.tasks.indices where includeTasks && (!onlyFailed || status.tasks[index].state == failed) {
            status.tasks[index].state = restarting
            ids.append(status.tasks[index].id)
        }
        try restart(connector, restartsConnector: restartsConnector, tasks: ids)
        return includeTasks || onlyFailed ? status : nil
    }

    func restartTask(_ name: String, _ id: Int) throws {
        guard let connector = find(name) else { throw WorkerError.unknownWithColon(name) }
        guard connector.taskStates.contains(where: { $0.id == id }) else { throw WorkerError.noTask(name, id) }
        try restart(connector, restartsConnector: false, tasks: [id])
    }

    private func restart(_ connector: any ManagedConnector, restartsConnector: Bool, tasks: [Int]) throws {
        switch connector {
        case let source as SourceConnector:
            // A log that could not be opened, or has failed, is opened anew by either kind of restart.
            guard !tasks.isEmpty || (restartsConnector && source.failure != nil) else { return }
            source.stopTask()
            restartSource(source, replacesReaders: source.failure != nil)
        case let sink as SinkConnector:
            let chosen = sink.tasks.filter { tasks.contains($0.id) }
            sink.remove(chosen, leftBehind: TaskStopping.stop(chosen))
            reconcileSinks([sink])
        default: break
        }
    }

    /// Starts a source whose task was stopped. A failed log is opened anew, for which its readers must be gone.
    private func restartSource(_ source: SourceConnector, replacesReaders: Bool = true) {
        if replacesReaders { stopStaleTasks(sinks, sources: sources, replacing: [source.name]) }
        source.openLog()
        reconcileSinks()
        source.makeTask()
    }
}
