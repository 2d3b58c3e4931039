import MillraceRuntime

/// `/`, `/health` and `/admin/loggers`.
struct ServerRoutes: Sendable {
    let worker: Worker
    let build: BuildInfo
    let levels: LogLevels
    let readiness: Readiness

    var routes: [Route] {
        [
            Route("", [.get(root)]),
            Route("health", [.get(health)]),
            Route("admin/loggers", [.get(loggers)]),
            Route("admin/loggers/*", [.get(logger), .put(takesBody: true, setLogger)]),
        ]
    }

    @Sendable private func root(_: AdminRequest, _: [String]) async throws -> AdminResponse {
        .json([
            "version": .string(build.version), "commit": .string(build.commit), "kafka_cluster_id": "millrace",
        ])
    }

    @Sendable private func health(_: AdminRequest, _: [String]) async throws -> AdminResponse {
        var health = await worker.health()
        // Well is who takes requests: the worker may be ahead of the connectors that the settings ask for.
        if health.isHealthy && readiness.phase == .starting { health = (false, "Worker is starting up.") }
        let isStarting = !health.isHealthy && health.message.contains("starting")
        return .json(
            [
                "status": health.isHealthy ? "healthy" : isStarting ? "starting" : "unhealthy",
                "message": .string(health.message),
            ], status: health.isHealthy ? 200 : isStarting ? 503 : 500)
    }

    // MARK: Loggers

    @Sendable private func loggers(_: AdminRequest, _: [String]) async throws -> AdminResponse {
        .json(
            .object(
                levels.all().map { JSONTree.Member($0.name, Self.document($0.level, $0.lastModified)) }))
    }

    @Sendable private func logger(_: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        guard let found = levels.find(captures[0]) else {
            throw AdminError(404, "Logger \(captures[0]) not found.")
        }
        return .json(Self.document(found.level, found.lastModified))
    }

    private static func document(_ level: LogLevel, _ lastModified: Int64?) -> JSONTree {
        ["level": .string(level.rawValue), "last_modified": lastModified.map { .int($0) } ?? .null]
    }

    @Sendable private func setLogger(_ request: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        let body = try request.json()
        guard case .object = body else { throw AdminError.badRequest("The body must be an object, not \(body.kind)") }
        guard case .string(let text) = body["level"] ?? .null else {
            throw AdminError.badRequest("Desired 'level' parameter was not specified in request.")
        }
        guard let level = LogLevel(rawValue: text.uppercased()) else {
            throw AdminError(404, "invalid log level '\(text)'.")
        }
        switch request.queryValues("scope").first?.lowercased() ?? "worker" {
        case "worker":
            return .json(.texts(levels.set(captures[0], level)))
        case "cluster":
            _ = levels.set(captures[0], level)
            return .empty(204)
        default:
            return .json([])
        }
    }
}
