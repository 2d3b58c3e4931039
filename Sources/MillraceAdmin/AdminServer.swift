package import Hummingbird
package import Logging
package import MillraceRuntime
import Synchronization

/// What this binary is.
package struct BuildInfo: Sendable {
    package var version: String
    /// The commit it was built from, as far as the build said.
    package var commit: String

    package init(version: String, commit: String) {
        self.version = version
        self.commit = commit
    }
}

/// The HTTP side: Kafka Connect's REST interface over a worker, `/metrics`, and what is our own under `/v1`.
package struct AdminServer: Sendable {
    package let worker: Worker
    package let checker: ConfigChecker
    package let levels: LogLevels
    package let build: BuildInfo
    package let requestGuard: RequestGuard
    package let logger: Logger
    /// Until then only `/`, `/health` and the loggers answer.
    package let readiness = Readiness()

    package init(
        worker: Worker, levels: LogLevels, build: BuildInfo, requestGuard: RequestGuard, logger: Logger
    ) {
        self.worker = worker
        self.checker = ConfigChecker(plugins: worker.plugins, version: worker.version)
        self.levels = levels
        self.build = build
        self.requestGuard = requestGuard
        self.logger = logger
    }

    package func responder() -> AdminResponder {
        let documents = ConnectorDocuments(worker: worker, checker: checker)
        let connectors = ConnectorRoutes(
            worker: worker, checker: checker, documents: documents, locks: NameLocks(), logger: logger)
        let routes =
            connectors.routes + StateRoutes(worker: worker, documents: documents).routes
            + OffsetRoutes(worker: worker).routes + PluginRoutes(worker: worker, checker: checker).routes
            + DetailRoutes(worker: worker, checker: checker, build: build, startedAt: .now).routes
        let early = ServerRoutes(worker: worker, build: build, levels: levels, readiness: readiness).routes
        return AdminResponder(
            routes: routes, earlyRoutes: early, readiness: readiness, requestGuard: requestGuard)
    }

    /// Serves until the task is cancelled. Throws where the address cannot be listened on.
    package func run(host: String, port: Int, onRunning: @escaping @Sendable (Int) async -> Void) async throws {
        try await application(host: host, port: port, onRunning: onRunning).run()
    }

    /// The server, not running yet. `onRunning` is told the port that is listened on.
    package func application(
        host: String, port: Int, onRunning: @escaping @Sendable (Int) async -> Void = { _ in }
    ) -> Application<AdminResponder> {
        Application(
            responder: responder(),
            configuration: ApplicationConfiguration(address: .hostname(host, port: port), serverName: "Millrace"),
            onServerRunning: { channel in await onRunning(channel.localAddress?.port ?? port) },
            logger: logger)
    }
}

/// Whether the worker can be asked: not before it has brought up what is stored, and not while it drains.
package final class Readiness: Sendable {
    package enum Phase: UInt8, Sendable {
        case starting
        case ready
        case stopping
    }

    private let raw = Atomic(Phase.starting.rawValue)

    package init() {}

    package var phase: Phase {
        get { Phase(rawValue: raw.load(ordering: .acquiring)) ?? .starting }
        set { raw.store(newValue.rawValue, ordering: .releasing) }
    }
}
