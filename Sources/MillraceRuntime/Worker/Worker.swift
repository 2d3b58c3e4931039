package import Logging
import MillraceCatalog
package import MillraceCore

/// Runs connectors: what Kafka Connect calls a worker with its herder. One per data directory.
///
/// For async callers: whatever blocks is done on threads of its own, one operation after the other.
package final class Worker: Sendable {
    package let workerID: String
    package let version: String
    package let plugins: PluginRegistry
    private let dataDirectory: String
    private let logger: Logger
    private let state = Monitor(State())

    private struct State {
        var herder: Herder?
        var housekeeper: WorkerThread?
        var isReady = false
        var isStopping = false
        /// Whether an operation is under way.
        var isBusy = false
    }

    package init(
        dataDirectory: String, workerID: String, plugins: PluginRegistry, version: String, logger: Logger
    ) throws {
        self.dataDirectory = dataDirectory
        self.workerID = workerID
        self.plugins = plugins
        self.version = version
        self.logger = logger
    }

    /// Locks the data directory, opens the catalog and brings every connector to its target state. Throws
    /// `ConnectorError` where the data directory cannot be used.
    package func start() async throws {
        try await blocking { [self] in
            let directory = try DataDirectory(dataDirectory)
            let catalog = try SQLiteCatalog(path: directory.catalogFile)
            let herder = Herder(
                catalog: catalog, directory: directory, plugins: plugins, version: version, logger: logger)
            try herder.start()
            state.update {
                $0.herder = herder
                $0.isReady = true
                $0.housekeeper = WorkerThread("housekeeper") { self.keepHouse(herder) }
            }
        }
    }

    /// Drains: stops every task, stores every cursor, closes the logs. Tasks that do not stop in time are left behind.
    package func stop(within limit: Duration) async {
        // An operation that is under way is not waited for in vain: all tasks begin to stop now.
        state.update { state in
            state.isStopping = true
            return state.herder
        }?.requestStop()
        try? await blocking { [self] in
            let (herder, housekeeper) = state.update { state in
                defer {
                    state.herder = nil
                    state.housekeeper = nil
                    state.isReady = false
                }
                return (state.herder, state.housekeeper)
            }
            housekeeper?.join()
            herder?.shutDown(within: limit)
        }
    }

    // MARK: What there is

    /// In the order in which they were created.
    package func connectorNames() async -> [String] {
        state.read { $0.herder }?.connectors.map(\.name) ?? []
    }

    package func info(_ name: String) async throws -> ConnectorInfo {
        guard let connector = try herder().find(name) else { throw WorkerError.notFound(name) }
        return connector.info
    }

    package func status(_ name: String) async throws -> ConnectorStatus {
        guard let connector = try herder().find(name) else { throw WorkerError.noStatus(name) }
        return connector.status(version: version)
    }

    // MARK: Life cycle

    /// 409 if it exists. The configuration has been validated; `config` gets `name` if it has none.
    package func create(
        name: String, config: ConnectorConfig, initialState: TargetState = .running
    ) async throws -> ConnectorInfo {
        try await operation { try $0.create(name, config, initialState) }
    }

    /// Creates the connector where there is none.
    package func putConfig(
        _ name: String, _ config: ConnectorConfig
    ) async throws -> (info: ConnectorInfo, created: Bool) {
        try await operation { try $0.putConfig(name, config) }
    }

    package func delete(_ name: String) async throws {
        try await operation { try $0.delete(name) }
    }

    package func pause(_ name: String) async throws {
        try await operation { try $0.setTarget(.paused, name, unknown: .unknown(name)) }
    }

    package func resume(_ name: String) async throws {
        try await operation { try $0.setTarget(.running, name, unknown: .unknown(name)) }
    }

    package func stop(_ name: String) async throws {
        try await operation { try $0.setTarget(.stopped, name, unknown: .unknownWithColon(name)) }
    }

    /// Nil where Kafka Connect answers 204: neither parameter was set.
    package func restart(
        _ name: String, includeTasks: Bool, onlyFailed: Bool
    ) async throws -> ConnectorStatus? {
        try await operation { try $0.restart(name, includeTasks: includeTasks, onlyFailed: onlyFailed) }
    }

    package func restartTask(_ name: String, _ id: Int) async throws {
        try await operation { try $0.restartTask(name, id) }
    }

    // MARK: Topics and offsets

    /// Empty for a connector that does not exist.
    package func topics(_ name: String) async -> [String] {
        let topics = try? await operation { herder in
            guard let connector = herder.find(name) else { return [String]() }
            try herder.storeTopics(of: connector)
            return try herder.catalog.topics(of: name)
        }
        return topics ?? []
    }

    package func resetTopics(_ name: String) async {
        try? await operation { herder in
            // What was used until now is forgotten; what is used from now on is news.
            _ = herder.find(name)?.newTopics()
            try herder.catalog.removeTopics(of: name)
        }
    }

    package func offsets(_ name: String) async throws -> [ConnectorOffset] {
        try await operation { try $0.offsets(name) }
    }

    /// The message to answer with.
    package func alterOffsets(_ name: String, _ offsets: [ConnectorOffset]) async throws -> String {
        try await operation { try $0.alterOffsets(name, offsets) }
    }

    /// The message to answer with.
    package func resetOffsets(_ name: String) async throws -> String {
        try await operation { try $0.resetOffsets(name) }
    }

    // MARK: Metrics and health

    package func sourceDetails(_ name: String) async throws -> SourceDetails {
        guard let source = try herder().find(name) as? SourceConnector else { throw WorkerError.notFound(name) }
        return source.details
    }

    package func sinkDetails(_ name: String) async throws -> [SinkDetails] {
        guard let sink = try herder().find(name) as? SinkConnector else { throw WorkerError.notFound(name) }
        return sink.tasks.map(\.details)
    }

    package func metrics() async -> WorkerMetrics {
        guard let herder = state.read({ $0.herder }) else { return WorkerMetrics() }
        return WorkerMetrics(
            sources: herder.sources.map(\.details), sinks: herder.sinks.flatMap { $0.tasks.map(\.details) },
            connectors: herder.connectors.map { $0.status(version: version) })
    }

    /// Unhealthy while a change log cannot be written: then sources are not acknowledged.
    package func health() async -> (isHealthy: Bool, message: String) {
        let (herder, isStopping) = state.read { ($0.herder, $0.isStopping) }
        guard let herder else {
            return (false, isStopping ? "Worker is shutting down." : "Worker is starting up.")
        }
        for source in herder.sources {
            if let trouble = source.failure ?? source.host?.trouble {
                return (false, "Connector \(source.name): \(trouble)")
            }
        }
        return (true, "Worker has completed startup and is ready to handle requests.")
    }

    // MARK: Threads

    /// Nil before `start` and after `stop`.
    var currentHerder: Herder? { state.read { $0.herder } }

    private func herder() throws(WorkerError) -> Herder {
        guard let herder = state.read({ $0.herder }) else {
            throw WorkerError(status: 503, "Worker is starting up or shutting down")
        }
        return herder
    }

    private func operation<Result: Sendable>(
        _ body: @escaping @Sendable (Herder) throws -> Result
    ) async throws -> Result {
        do {
            return try await blocking { [self] in try body(herder()) }
        } catch let error as ConnectorError {
            throw WorkerError(status: 500, error.description)
        }
    }

    /// Runs `body` on a thread of its own, when the operation before it is done.
    private func blocking<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await WorkerThread.run("herder") { [state] in
            _ = state.wait { state -> Bool? in
                guard !state.isBusy else { return nil }
                state.isBusy = true
                return true
            }
            defer { state.update { $0.isBusy = false } }
            return try body()
        }
    }

    private func keepHouse(_ herder: Herder) {
        var round = 0
        while state.wait(for: .seconds(1), until: { $0.isStopping ? true : nil }) == nil {
            // Not while an operation is under way, which may be removing just what this would store.
            guard
                state.update({ state in
                    defer { state.isBusy = true }
                    return !state.isBusy
                })
            else { continue }
            defer { state.update { $0.isBusy = false } }
            herder.trimLogs()
            round += 1
            if round % 5 == 0 { herder.storeTopicsAndOffsets() }
        }
    }
}
