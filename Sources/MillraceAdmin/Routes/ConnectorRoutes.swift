import Logging
import MillraceCore
import MillraceRuntime

/// `/connectors`: what there is, and its configuration.
struct ConnectorRoutes: Sendable {
    let worker: Worker
    let checker: ConfigChecker
    let documents: ConnectorDocuments
    let locks: NameLocks
    let logger: Logger

    var routes: [Route] {
        [
            Route("connectors", [.get(list), .post(takesBody: true, create)]),
            Route("connectors/*", [.get(info), .delete(delete)]),
            Route("connectors/*/config", [.get(config), .put(takesBody: true, putConfig), .patch(patchConfig)]),
        ]
    }

    // MARK: Reading

    @Sendable private func list(_ request: AdminRequest, _: [String]) async throws -> AdminResponse {
        let names = await worker.connectorNames()
        let expansions = request.queryValues("expand")
        if expansions.isEmpty { return .json(.texts(names)) }
        var members: [JSONTree.Member] = []
        for name in names {
            do {
                var document: JSONTree = [:]
                for expansion in expansions {
                    switch expansion {
                    case "status": document = document.adding("status", documents.status(try await worker.status(name)))
                    case "info": document = document.adding("info", documents.info(try await worker.info(name)))
                    default: continue
                    }
                }
                members.append(JSONTree.Member(name, document))
            } catch let error as WorkerError where error.status == 404 {
                // Deleted since the names were read.
                continue
            }
        }
        return .json(.object(members))
    }

    @Sendable private func info(_: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        .json(documents.info(try await worker.info(captures[0])))
    }

    @Sendable private func config(_: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        .json(documents.config(try await worker.info(captures[0])))
    }

    // MARK: Changing

    @Sendable private func create(_ request: AdminRequest, _: [String]) async throws -> AdminResponse {
        let body = try CreateRequest(try request.json())
        return try await locks.withLock(body.name) {
            var config = try Self.named(body.config, body.name)
            config = try checker.mask(config).unmasked(config, stored: [:])
            let report = try checker.properties(config)
            try refuse(report)
            if await worker.connectorNames().contains(body.name) {
                throw AdminError(409, "Connector \(body.name) already exists")
            }
            try await preflight(report, config)
            let info = try await worker.create(
                name: body.name, config: ConnectorConfig(config), initialState: body.initialState)
            logger.notice("connector created", metadata: ["connector": "\(body.name)"])
            return created(info, request)
        }
    }

    @Sendable private func putConfig(_ request: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        let name = captures[0]
        let posted = try ConfigReader.config(try request.json(), of: "The configuration")
        return try await locks.withLock(name) {
            let stored = try? await worker.info(name)
            return try await store(try Self.named(posted, name), name, stored, request)
        }
    }

    @Sendable private func patchConfig(_ request: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        let name = captures[0]
        let changes = try ConfigReader.changes(try request.json(), of: "The configuration")
        return try await locks.withLock(name) {
            let stored = try await worker.info(name)
            var merged = stored.config.values
            for change in changes { merged[change.name] = change.value }
            return try await store(try Self.named(merged, name), name, stored, request)
        }
    }

    private func store(
        _ posted: [String: String], _ name: String, _ stored: ConnectorInfo?, _ request: AdminRequest
    ) async throws -> AdminResponse {
        let config = try checker.mask(posted).unmasked(posted, stored: stored?.config.values ?? [:])
        let report = try checker.properties(config)
        try refuse(report)
        try await preflight(report, config)
        let (info, isNew) = try await worker.putConfig(name, ConnectorConfig(config))
        logger.notice("configuration stored", metadata: ["connector": "\(name)"])
        return isNew ? created(info, request) : .json(documents.info(info))
    }

    @Sendable private func delete(_: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        try await locks.withLock(captures[0]) {
            try await worker.delete(captures[0])
            logger.notice("connector deleted", metadata: ["connector": "\(captures[0])"])
            return .empty(204)
        }
    }

    // MARK: Steps of a change

    /// The configuration with its `name`, which must be that of the request.
    private static func named(_ config: [String: String], _ name: String) throws -> [String: String] {
        var config = config
        if let other = config["name"], !other.trimmed.isEmpty, other.trimmed != name {
            throw AdminError.badRequest(
                "Connector name configuration (\(other)) doesn't match connector name in the URL (\(name))")
        }
        config["name"] = name
        return config
    }

    private func refuse(_ report: ConfigReport) throws {
        if let refusal = report.refusal { throw AdminError.badRequest(refusal) }
    }

    private func preflight(_ report: ConfigReport, _ config: [String: String]) async throws {
        let report = try await checker.preflight(report, config)
        try refuse(report)
        for warning in report.warnings {
            logger.warning(
                "\(warning.message)", metadata: ["connector": "\(config["name"] ?? "")"])
        }
    }

    private func created(_ info: ConnectorInfo, _ request: AdminRequest) -> AdminResponse {
        var response = AdminResponse.json(documents.info(info), status: 201)
        let address = request.authority ?? worker.workerID
        response.location = "http://\(address)/connectors/" + AdminRequest.percentEncoded(segment: info.name)
        return response
    }
}

/// The body of `POST /connectors`.
private struct CreateRequest: Sendable {
    var name: String
    var config: [String: String]
    var initialState: TargetState = .running

    init(_ body: JSONDocument) throws {
        try ConfigReader.members(body, known: ["config", "name", "initial_state"])
        switch body["name"] {
        case .string(let text), .number(let text): name = text.trimmed
        case nil, .null: name = ""
        case .some(let other): throw AdminError.badRequest("The field 'name' must be text, not \(other.kind)")
        }
        guard let config = body["config"], config != .null else {
            throw AdminError.badRequest("The field 'config' is missing")
        }
        self.config = try ConfigReader.config(config, of: "The field 'config'")
        switch body["initial_state"] {
        case nil, .null: break
        case .string(let text):
            guard let state = TargetState(rawValue: text.uppercased()) else {
                let states = TargetState.allCases.map(\.rawValue).joined(separator: ", ")
                throw AdminError.badRequest("The field 'initial_state' must be one of \(states), not '\(text)'")
            }
            initialState = state
        case .some(let other): throw AdminError.badRequest("The field 'initial_state' must be text, not \(other.kind)")
        }
    }
}
