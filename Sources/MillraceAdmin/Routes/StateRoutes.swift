import MillraceCore
import MillraceRuntime

/// `/connectors/{name}/…`: what a connector does, and its tasks and topics.
struct StateRoutes: Sendable {
    let worker: Worker
    let documents: ConnectorDocuments

    var routes: [Route] {
        [
            Route("connectors/*/status", [.get(status)]),
            Route("connectors/*/pause", [.put(pause)]),
            Route("connectors/*/resume", [.put(resume)]),
            Route("connectors/*/stop", [.put(stop)]),
            Route("connectors/*/restart", [.post(restart)]),
            Route("connectors/*/tasks", [.get(tasks), .post(takesBody: true, setTasks)]),
            Route("connectors/*/tasks/*/status", [.get(taskStatus)]),
            Route("connectors/*/tasks/*/restart", [.post(restartTask)]),
            Route("connectors/*/topics", [.get(topics)]),
            Route("connectors/*/topics/reset", [.put(resetTopics)]),
        ]
    }

    @Sendable private func status(_: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        .json(documents.status(try await worker.status(captures[0])))
    }

    @Sendable private func pause(_: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        try await worker.pause(captures[0])
        return .empty(202)
    }

    @Sendable private func resume(_: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        try await worker.resume(captures[0])
        return .empty(202)
    }

    @Sendable private func stop(_: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        try await worker.stop(captures[0])
        return .empty(204)
    }

    @Sendable private func restart(_ request: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        let status = try await worker.restart(
            captures[0], includeTasks: request.queryFlag("includeTasks"), onlyFailed: request.queryFlag("onlyFailed"))
        return status.map { .json(documents.status($0), status: 202) } ?? .empty(204)
    }

    @Sendable private func tasks(_: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        .json(documents.tasks(try await worker.info(captures[0])))
    }

    /// Internal to a Kafka Connect cluster: workers tell their leader of new tasks.
    @Sendable private func setTasks(_: AdminRequest, _: [String]) async throws -> AdminResponse {
        throw AdminError(
            500, "Kafka Connect in standalone mode does not support externally setting task configurations.")
    }

    @Sendable private func taskStatus(_: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        let task = try Self.taskID(captures[1])
        let missing = AdminError(404, "No status found for task \(captures[0])-\(task)")
        do {
            let status = try await worker.status(captures[0])
            guard let found = status.tasks.first(where: { $0.id == task }) else { throw missing }
            return .json(documents.task(found, version: status.version))
        } catch let error as WorkerError where error.status == 404 {
            throw missing
        }
    }

    /// Kafka Connect takes what is no number for a path that does not exist.
    private static func taskID(_ text: String) throws -> Int {
        guard let id = Int32(text) else { throw AdminError(404, AdminError.notFound.message) }
        return Int(id)
    }

    @Sendable private func restartTask(_: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        try await worker.restartTask(captures[0], try Self.taskID(captures[1]))
        return .empty(204)
    }

    @Sendable private func topics(_: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        let topics = await worker.topics(captures[0])
        return .json(.object([JSONTree.Member(captures[0], ["topics": .texts(topics)])]))
    }

    @Sendable private func resetTopics(_: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        await worker.resetTopics(captures[0])
        return .empty(202)
    }
}
