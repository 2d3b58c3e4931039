package import Logging
package import MillraceCore

/// Runs connectors: what Kafka Connect calls a worker with its herder. One per data directory.
package final class Worker: Sendable {
    package let workerID: String
    package let version: String
    package let plugins: PluginRegistry

    package init(
        dataDirectory: String, workerID: String, plugins: PluginRegistry, version: String, logger: Logger
    ) throws {
        self.workerID = workerID
        self.version = version
        self.plugins = plugins
    }

    /// Opens the catalog and brings every connector to its target state.
    package func start() async throws {
        throw WorkerError.notBuiltYet
    }

    /// Drains: stops every task, stores every cursor, closes the logs. Tasks that do not stop in time are left behind.
    package func stop(within: Duration) async {}

    // MARK: What there is

    /// In the order in which they were created.
    package func connectorNames() async -> [String] { [] }
    package func info(_ name: String) async throws -> ConnectorInfo { throw WorkerError.notBuiltYet }
    package func status(_ name: String) async throws -> ConnectorStatus { throw WorkerError.notBuiltYet }

    // MARK: Life cycle

    /// 409 if it exists. The configuration has been validated; `config` gets `name` if it has none.
    package func create(
        name: String, config: ConnectorConfig, initialState: TargetState = .running
    ) async throws -> ConnectorInfo { throw WorkerError.notBuiltYet }

    package func putConfig(
        _ name: String, _ config: ConnectorConfig
    ) async throws -> (info: ConnectorInfo, created: Bool) { throw WorkerError.notBuiltYet }

    package func delete(_ name: String) async throws { throw WorkerError.notBuiltYet }
    package func pause(_ name: String) async throws { throw WorkerError.notBuiltYet }
    package func resume(_ name: String) async throws { throw WorkerError.notBuiltYet }
    package func stop(_ name: String) async throws { throw WorkerError.notBuiltYet }

    /// Nil where Kafka Connect answers 204: neither parameter was set.
    package func restart(
        _ name: String, includeTasks: Bool, onlyFailed: Bool
    ) async throws -> ConnectorStatus? { throw WorkerError.notBuiltYet }

    package func restartTask(_ name: String, _ id: Int) async throws { throw WorkerError.notBuiltYet }

    // MARK: Topics and offsets

    /// Empty for a connector that does not exist.
    package func topics(_ name: String) async -> [String] { [] }
    package func resetTopics(_ name: String) async {}

    package func offsets(_ name: String) async throws -> [ConnectorOffset] { throw WorkerError.notBuiltYet }

    /// The message to answer with.
    package func alterOffsets(_ name: String, _ offsets: [ConnectorOffset]) async throws -> String {
        throw WorkerError.notBuiltYet
    }

    /// The message to answer with.
    package func resetOffsets(_ name: String) async throws -> String { throw WorkerError.notBuiltYet }

    // MARK: Metrics and health

    package func sourceDetails(_ name: String) async throws -> SourceDetails { throw WorkerError.notBuiltYet }
    package func sinkDetails(_ name: String) async throws -> [SinkDetails] { throw WorkerError.notBuiltYet }
    package func metrics() async -> WorkerMetrics { WorkerMetrics() }
    package func health() async -> (isHealthy: Bool, message: String) { (false, "Worker is starting up.") }
}

extension WorkerError {
    static let notBuiltYet = WorkerError(status: 500, "not built yet")
}
