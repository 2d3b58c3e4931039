import MillraceCore

/// A connector as the herder holds it. Its blocking operations are called by one thread at a time; what it says about
/// itself, by any.
protocol ManagedConnector: AnyObject, Sendable {
    var name: String { get }
    var type: ConnectorType { get }
    var config: ConnectorConfig { get }
    var target: TargetState { get }
    /// Why the connector as a whole cannot run.
    var failure: ConnectorError? { get }
    var taskStates: [TaskStateInfo] { get }
    /// Topics that were used since the last call.
    func newTopics() -> Set<String>
}

extension ManagedConnector {
    var info: ConnectorInfo {
        ConnectorInfo(name: name, config: config, tasks: taskStates.map(\.id), type: type)
    }

    func status(version: String) -> ConnectorStatus {
        let failure = failure
        return ConnectorStatus(
            name: name, state: failure == nil ? target.rawValue : TaskRunner.Phase.failed.rawValue,
            trace: failure?.description, tasks: taskStates, type: type, version: version)
    }
}

/// What the REST API and the catalog know of a connector, whatever it is.
struct ConnectorProfile: Sendable {
    var config: ConnectorConfig
    var target: TargetState
    /// False for a connector that was created paused and never ran: Kafka Connect makes its tasks when it is resumed.
    var hasTasks: Bool

    /// The phase of a task that is not to run.
    var idlePhase: TaskRunner.Phase { target == .paused ? .paused : .stopped }
}

/// A connector whose class this server does not have (any more): kept, shown as failed, and deletable.
final class UnknownConnector: ManagedConnector {
    let name: String
    private let profile: Monitor<ConnectorProfile>

    init(name: String, config: ConnectorConfig, target: TargetState) {
        self.name = name
        profile = Monitor(ConnectorProfile(config: config, target: target, hasTasks: false))
    }

    var type: ConnectorType { .unknown }
    var config: ConnectorConfig { profile.read { $0.config } }
    var target: TargetState { profile.read { $0.target } }
    var taskStates: [TaskStateInfo] { [] }
    func newTopics() -> Set<String> { [] }

    var failure: ConnectorError? {
        ConnectorError(
            .configuration, code: "unknown_class",
            "this server has no connector class \(config["connector.class"] ?? "(none)")",
            hint: "put a configuration with a class that GET /connector-plugins lists")
    }

    func setTarget(_ target: TargetState) {
        profile.update { $0.target = target }
    }
}

/// Tells which topics have been used, from counts that only grow while a task lives.
struct TopicTracker: Sendable {
    private var counts: [String: UInt64] = [:]

    /// Topics whose count is another than at the last call, and not 0.
    mutating func changed(_ now: [String: UInt64]) -> Set<String> {
        var changed: Set<String> = []
        for (topic, count) in now where count > 0 && counts[topic] != count { changed.insert(topic) }
        counts.merge(now) { $1 }
        return changed
    }
}
