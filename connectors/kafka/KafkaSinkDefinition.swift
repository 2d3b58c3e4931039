package import MillraceCore

/// The properties of `kafka-sink`.
package enum KafkaSinkDefinition {
    package static let definition = ConfigDefinition(
        keys: kafka + errors + topics, knownPrefixes: ["producer.", "topic.creation."])

    private static let kafka = [
        ConfigKey(
            "bootstrap.servers", .string, required: true, importance: .high, group: "Kafka", order: 1, width: .long,
            displayName: "Bootstrap servers", check: checkServers,
            "Brokers to begin with, as host:port, comma-separated. Any property of librdkafka may follow behind "
                + "'producer.', security.protocol and sasl.* among them."),
        ConfigKey(
            "headers.position.enabled", .boolean, default: "true", group: "Kafka", order: 2, width: .short,
            displayName: "Position header",
            "Whether every record carries the header millrace.position: <commit LSN>:<ordinal of the change>."),
        ConfigKey(
            "exactly.once.support", .string, default: "requested", group: "Kafka", order: 3, width: .short,
            displayName: "Exactly once support", allowedValues: ["requested", "required"],
            "required: records are written in Kafka transactions, which carry the cursor. requested: the producer is "
                + "idempotent, and only a crash may repeat records."),
        ConfigKey(
            "offsets.storage.topic", .string, default: "millrace-offsets", importance: .low, group: "Kafka", order: 4,
            width: .long, displayName: "Offsets topic",
            check: { $0.trimmed.isEmpty ? "the name of a topic is expected" : nil },
            "Topic that holds the cursor when exactly.once.support is required. Should be compacted."),
    ]

    private static let errors = [
        ConfigKey(
            "errors.tolerance", .string, default: "none", group: "Error Handling", order: 3, width: .short,
            displayName: "Error Tolerance", allowedValues: ["none", "all"], recommendedValues: [],
            "none: a record that Kafka refuses stops the task. all: it goes to the dead letter topic, or, without one, is "
                + "logged and left out."),
        ConfigKey(
            "errors.deadletterqueue.topic.name", .string, default: "", group: "Error Handling", order: 6,
            width: .medium, displayName: "Dead Letter Queue Topic Name",
            "Topic for records that Kafka refuses, when errors.tolerance is all."),
        ConfigKey(
            "errors.deadletterqueue.topic.replication.factor", .short, default: "3", group: "Error Handling", order: 7,
            width: .medium, displayName: "Dead Letter Queue Topic Replication Factor",
            "Copies of that topic, where the sink creates topics (topic.creation.default.partitions)."),
        ConfigKey(
            "errors.deadletterqueue.context.headers.enable", .boolean, default: "false", group: "Error Handling",
            order: 8, width: .medium, displayName: "Enable Error Context Headers",
            "Whether those records say in headers (__connect.errors.…) what was wrong with them."),
    ]

    private static let topics = [
        ConfigKey(
            "topic.creation.groups", .list, default: "", importance: .low, group: "Topic Creation", order: 1,
            width: .long, displayName: "Topic Creation Groups",
            "Groups of topics with settings of their own: topic.creation.<group>.include, exclude, partitions, "
                + "replication.factor, and any setting of a topic."),
        ConfigKey(
            "topic.creation.default.partitions", .int, importance: .low, group: "Topic Creation", order: 2,
            width: .short, displayName: "Partitions",
            "Partitions of topics that the sink creates; -1: the brokers' default. Without any topic.creation.* the sink "
                + "creates none."),
        ConfigKey(
            "topic.creation.default.replication.factor", .int, importance: .low, group: "Topic Creation", order: 3,
            width: .short, displayName: "Replication factor",
            "Copies of topics that the sink creates; -1: the brokers' default."),
    ]

    private static let checkServers: @Sendable (String) -> String? = { value in
        let servers = value.split(separator: ",", omittingEmptySubsequences: false).map(\.trimmed)
        if servers.isEmpty || servers.contains(where: \.isEmpty) { return "host:port is expected, comma-separated" }
        for server in servers {
            guard let colon = server.lastIndex(of: ":"), colon > server.startIndex,
                let port = Int(server[server.index(after: colon)...]), (1...65535).contains(port)
            else { return "host:port is expected, comma-separated" }
        }
        return nil
    }
}
