import MillraceCore
import MillraceRuntime

/// The documents that describe connectors.
struct ConnectorDocuments: Sendable {
    let worker: Worker
    let checker: ConfigChecker

    func config(_ info: ConnectorInfo) -> JSONTree {
        .map(checker.mask(info.config.values).masked(info.config.values))
    }

    func info(_ info: ConnectorInfo) -> JSONTree {
        [
            "name": .string(info.name), "config": config(info),
            "tasks": .array(info.tasks.map { Self.taskID(info.name, $0) }), "type": .string(info.type.rawValue),
        ]
    }

    static func taskID(_ name: String, _ task: Int) -> JSONTree {
        ["connector": .string(name), "task": .int(Int64(task))]
    }

    func tasks(_ info: ConnectorInfo) -> JSONTree {
        let masked = checker.mask(info.config.values).masked(info.config.values)
        return .array(
            info.tasks.map { task in
                var config = masked
                config["task.class"] = (masked["connector.class"] ?? "") + "Task"
                return ["id": Self.taskID(info.name, task), "config": .map(config)]
            })
    }

    func status(_ status: ConnectorStatus) -> JSONTree {
        [
            "name": .string(status.name),
            "connector": state(status.state, trace: status.trace, version: status.version),
            "tasks": .array(status.tasks.map { task($0, version: status.version) }),
            "type": .string(status.type.rawValue),
        ]
    }

    func task(_ task: TaskStateInfo, version: String) -> JSONTree {
        guard case .object(let members) = state(task.state, trace: task.trace, version: version) else { return .null }
        return .object([JSONTree.Member("id", .int(Int64(task.id)))] + members)
    }

    private func state(_ state: String, trace: String?, version: String) -> JSONTree {
        let document: JSONTree = [
            "state": .string(state), "worker_id": .string(worker.workerID), "version": .string(version),
        ]
        return trace.map { document.adding("trace", .string($0)) } ?? document
    }
}
