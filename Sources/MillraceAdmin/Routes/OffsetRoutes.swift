import MillraceRuntime

/// `/connectors/{name}/offsets`: how far a connector is.
struct OffsetRoutes: Sendable {
    let worker: Worker

    var routes: [Route] {
        [Route("connectors/*/offsets", [.get(offsets), .patch(alter), .delete(reset)])]
    }

    @Sendable private func offsets(_: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        let offsets = try await worker.offsets(captures[0])
        return .json([
            "offsets": .array(offsets.map { ["partition": $0.partition ?? .null, "offset": $0.offset ?? .null] })
        ])
    }

    @Sendable private func alter(_ request: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        let offsets = try Self.read(try request.json())
        if offsets.isEmpty {
            throw AdminError.badRequest("Partitions / offsets need to be provided for an alter offsets request")
        }
        return .json(["message": .string(try await worker.alterOffsets(captures[0], offsets))])
    }

    @Sendable private func reset(_: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        .json(["message": .string(try await worker.resetOffsets(captures[0]))])
    }

    private static func read(_ body: JSONDocument) throws -> [ConnectorOffset] {
        try ConfigReader.members(body, known: ["offsets"])
        switch body["offsets"] {
        case nil, .null:
            return []
        case .array(let elements):
            return try elements.map { element in
                try ConfigReader.members(element, known: ["partition", "offset"])
                return ConnectorOffset(
                    partition: try object(element["partition"], "partition"),
                    offset: try object(element["offset"], "offset"))
            }
        case .some(let other):
            throw AdminError.badRequest("The field 'offsets' must be an array, not \(other.kind)")
        }
    }

    private static func object(_ value: JSONDocument?, _ name: String) throws -> JSONTree? {
        switch value {
        case nil, .null: return nil
        case .object: return value?.tree
        case .some(let other): throw AdminError.badRequest("The field '\(name)' must be an object, not \(other.kind)")
        }
    }
}
