package import MillraceCore

/// What a user wants a connector to do. Raw values are Kafka Connect's.
package enum TargetState: String, Sendable, CaseIterable {
    case running = "RUNNING"
    case paused = "PAUSED"
    case stopped = "STOPPED"
}

/// Raw values are those of `type` in Kafka Connect's documents.
package enum ConnectorType: String, Sendable {
    case source
    case sink
    case unknown
}

package struct ConnectorInfo: Sendable {
    package var name: String
    /// As posted, with `name`: passwords are in clear here.
    package var config: ConnectorConfig
    package var tasks: [Int]
    package var type: ConnectorType
}

package struct TaskStateInfo: Hashable, Sendable {
    package var id: Int
    /// `UNASSIGNED`, `RUNNING`, `PAUSED`, `FAILED`, `RESTARTING` or `STOPPED`.
    package var state: String
    /// The last error: of a task that has failed, or of one that runs and tries again.
    package var trace: String?
}

package struct ConnectorStatus: Sendable {
    package var name: String
    package var state: String
    package var trace: String?
    package var tasks: [TaskStateInfo]
    package var type: ConnectorType
    package var version: String
}
