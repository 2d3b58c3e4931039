package import Logging

/// A finding of a validation: what is wrong with which property, or nil for the whole. `message` says what mends it.
package struct ConfigFinding: Hashable, Sendable {
    package enum Severity: Sendable {
        case error
        case warning
    }

    package var property: String?
    package var severity: Severity
    package var message: String

    package init(_ property: String?, _ message: String, severity: Severity = .error) {
        self.property = property
        self.severity = severity
        self.message = message
    }
}

/// What a task is told about itself when it is made.
package struct TaskContext: Sendable {
    package var connectorName: String
    package var taskID: Int
    package var logger: Logger

    package init(connectorName: String, taskID: Int, logger: Logger) {
        self.connectorName = connectorName
        self.taskID = taskID
        self.logger = logger
    }
}

/// A connector class: what `connector.class` names.
package protocol ConnectorPlugin: Sendable {
    /// Millrace's own name, e.g. `postgres-sink`.
    var className: String { get }
    /// Names of other products' classes that this one stands in for.
    var aliases: [String] { get }
    var definition: ConfigDefinition { get }

    /// Checks that need more than one property, or the other system. Called when every property is well-formed by
    /// itself; may block for as long as the connector's timeouts say.
    func preflight(_ config: ConnectorConfig) -> [ConfigFinding]
}

package protocol SourcePlugin: ConnectorPlugin {
    /// `topic.prefix`: with which every topic of this source begins, followed by a dot.
    func topicPrefix(_ config: ConnectorConfig) -> String
    func makeSource(_ config: ConnectorConfig, _ context: TaskContext) throws(ConnectorError) -> any Source
}

package protocol SinkPlugin: ConnectorPlugin {
    /// `source`: the configuration of the source whose log is read; `topics` says which relations are wanted.
    func makeSink(
        _ config: ConnectorConfig, source: SourceDescription, topics: TopicSelection, _ context: TaskContext
    ) throws(ConnectorError) -> any Sink

    /// Sets how far the sink is, while it is stopped (`PATCH` and `DELETE /connectors/{name}/offsets`). A sink that keeps
    /// its cursor with its data changes it there, or throws why it cannot. `cursor`: nil for the beginning of the log
    /// `logID`. Blocks.
    func alterOffsets(
        _ config: ConnectorConfig, source: SourceDescription, to cursor: Cursor?, logID: UInt64, _ context: TaskContext
    ) throws(ConnectorError)
}

extension SinkPlugin {
    /// Sinks that go by the runtime's cursor have nothing to change.
    package func alterOffsets(
        _ config: ConnectorConfig, source: SourceDescription, to cursor: Cursor?, logID: UInt64, _ context: TaskContext
    ) throws(ConnectorError) {}
}

/// What a sink may know of the source that it reads from.
package struct SourceDescription: Sendable {
    package var connectorName: String
    package var topicPrefix: String
    package var config: ConnectorConfig

    package init(connectorName: String, topicPrefix: String, config: ConnectorConfig) {
        self.connectorName = connectorName
        self.topicPrefix = topicPrefix
        self.config = config
    }
}
