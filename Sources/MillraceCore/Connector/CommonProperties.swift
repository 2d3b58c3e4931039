/// The properties that Kafka Connect's worker understands for every connector, whatever its class.
package enum CommonProperties {
    package static let jsonConverter = "org.apache.kafka.connect.json.JsonConverter"
    package static let headerConverter = "org.apache.kafka.connect.storage.SimpleHeaderConverter"
    /// The converters that there are, by the names of their classes.
    package static let knownConverters = [
        "org.apache.kafka.connect.json.JsonConverter",
        "org.apache.kafka.connect.storage.StringConverter",
        "org.apache.kafka.connect.storage.SimpleHeaderConverter",
        "org.apache.kafka.connect.converters.ByteArrayConverter",
        "org.apache.kafka.connect.converters.BooleanConverter",
        "org.apache.kafka.connect.converters.ShortConverter",
        "org.apache.kafka.connect.converters.IntegerConverter",
        "org.apache.kafka.connect.converters.LongConverter",
        "org.apache.kafka.connect.converters.FloatConverter",
        "org.apache.kafka.connect.converters.DoubleConverter",
        "io.debezium.converters.BinaryDataConverter",
        "io.debezium.converters.ByteBufferConverter",
        "io.debezium.converters.CloudEventsConverter",
        "io.confluent.connect.avro.AvroConverter",
        "io.confluent.connect.protobuf.ProtobufConverter",
    ]

    /// Beginnings of names that are known without being listed: options of converters, of Kafka clients, and the like.
    package static let knownPrefixes = [
        "key.converter.", "value.converter.", "header.converter.", "transforms.", "predicates.", "topic.creation.",
        "producer.override.", "consumer.override.", "admin.override.", "config.providers", "metrics.context.",
    ]

    package static let recordsAreNotInKafka = "nothing is written to Kafka topics here"
    package static let nothingIsSkipped = "nothing is skipped: a row that is refused suspends its table"

    /// Of every connector. `version`: of the plugin.
    package static func shared(version: String) -> [ConfigKey] {
        [
            ConfigKey(
                "name", .string, required: true, importance: .high, group: "Common", order: 1, width: .medium,
                displayName: "Connector name", check: connectorName,
                "Name of the connector, unique in this server."),
            ConfigKey(
                "connector.class", .string, required: true, importance: .high, group: "Common", order: 2,
                width: .long, displayName: "Connector class",
                "Class of the connector: a name of Millrace's own, or one of the names that stand for it."),
            ConfigKey(
                "connector.plugin.version", .string, default: version, group: "Common", order: 3, width: .medium,
                displayName: "Connector version", recommendedValues: [version], "Version of the connector."),
            ConfigKey(
                "tasks.max", .int, default: "1", importance: .high, group: "Common", order: 4, width: .short,
                displayName: "Tasks max", range: 1...Int64.max,
                "Most tasks of the connector. A source has one; a sink has one for each source that it reads."),
            ConfigKey(
                "tasks.max.enforce", .boolean, default: "true", importance: .low, group: "Common", order: 5,
                width: .short, displayName: "Enforce tasks max", "Whether tasks.max is a strict limit."),
        ] + converters(version: version) + [
            ConfigKey(
                "transforms", .list, default: "", importance: .low, group: "Transforms", order: 12, width: .long,
                displayName: "Transforms", "Names of the transformations of events, in order."),
            ConfigKey(
                "predicates", .list, default: "", importance: .low, group: "Predicates", order: 13, width: .long,
                displayName: "Predicates", "Names of the predicates that transformations use."),
            ConfigKey(
                "config.action.reload", .string, default: "restart", importance: .low, group: "Common", order: 14,
                width: .medium, displayName: "Reload Action", allowedValues: ["none", "restart"],
                recommendedValues: [], "What to do when values from configuration providers change."),
        ] + errorHandling
    }

    static func converters(version: String) -> [ConfigKey] {
        let kinds = [
            ("key", "Key", jsonConverter, 6), ("value", "Value", jsonConverter, 8),
            ("header", "Header", headerConverter, 10),
        ]
        return kinds.flatMap { kind, title, standard, order in
            [
                ConfigKey(
                    "\(kind).converter", .class, default: standard, importance: .low, group: "Common", order: order,
                    width: .short, displayName: "\(title) converter class", recommendedValues: [standard],
                    "Form of the \(kind)s of events in sinks that carry events."),
                ConfigKey(
                    "\(kind).converter.plugin.version", .string, default: version, importance: .low, group: "Common",
                    order: order + 1, width: .short, displayName: "\(title) converter version",
                    recommendedValues: [version], "Version of the converter."),
            ]
        }
    }

    static let errorHandling = [
        ConfigKey(
            "errors.retry.timeout", .long, default: "0", group: "Error Handling", order: 1, width: .medium,
            displayName: "Retry Timeout for Errors",
            withoutEffect: "what may pass is tried again for as long as it takes",
            "How long a failed operation is tried again, in milliseconds."),
        ConfigKey(
            "errors.retry.delay.max.ms", .long, default: "60000", group: "Error Handling", order: 2, width: .medium,
            displayName: "Maximum Delay Between Retries for Errors", "Longest pause between attempts, in milliseconds."),
        ConfigKey(
            "errors.tolerance", .string, default: "none", group: "Error Handling", order: 3, width: .short,
            displayName: "Error Tolerance", allowedValues: ["none", "all"], recommendedValues: [],
            withoutEffect: nothingIsSkipped, "Whether errors are skipped. They never are."),
        ConfigKey(
            "errors.log.enable", .boolean, default: "false", group: "Error Handling", order: 4, width: .short,
            displayName: "Log Errors", "Whether tolerated errors are logged. All errors are."),
        ConfigKey(
            "errors.log.include.messages", .boolean, default: "false", group: "Error Handling", order: 5,
            width: .short, displayName: "Log Error Details",
            withoutEffect: "values of rows are never logged", "Whether the log shows the record that failed."),
    ]

    static let ofSources = [
        ConfigKey(
            "topic.creation.groups", .list, default: "", importance: .low, group: "Topic Creation", order: 1,
            width: .long, displayName: "Topic Creation Groups", withoutEffect: recordsAreNotInKafka,
            "Groups of settings for topics that Kafka Connect creates."),
        ConfigKey(
            "exactly.once.support", .string, default: "requested", group: "Exactly Once Support", order: 2,
            width: .short, displayName: "Exactly once support", allowedValues: ["requested", "required"],
            recommendedValues: [], "Whether exactly-once is demanded. The change log has every change once in any case."
        ),
        ConfigKey(
            "transaction.boundary", .string, default: "poll", group: "Exactly Once Support", order: 3, width: .short,
            displayName: "Transaction Boundary", allowedValues: ["poll", "interval", "connector"],
            recommendedValues: [], withoutEffect: "the source's own transactions are kept",
            "Where Kafka Connect ends its transactions."),
        ConfigKey(
            "transaction.boundary.interval.ms", .long, importance: .low, group: "Exactly Once Support", order: 4,
            width: .short, displayName: "Transaction boundary interval", range: 0...Int64.max,
            withoutEffect: "the source's own transactions are kept",
            "How often Kafka Connect ends its transactions."),
        ConfigKey(
            "offsets.storage.topic", .string, importance: .low, group: "offsets.topic", order: 1, width: .long,
            displayName: "Offsets topic", withoutEffect: "positions are kept with the change log",
            "Topic in which Kafka Connect keeps this connector's offsets."),
    ]

    static let ofSinks = [
        ConfigKey(
            "topics", .list, default: "", importance: .high, group: "Common", order: 4, width: .long,
            displayName: "Topics", "Topics to read (<topic.prefix>.<schema>.<table>), comma-separated."),
        ConfigKey(
            "topics.regex", .string, default: "", importance: .high, group: "Common", order: 4, width: .long,
            displayName: "Topics regex",
            check: { value in
                value.isEmpty ? nil : ConfigCheck.fault(inPattern: value).map { "Invalid regex: \($0)" }
            }, "Regular expression that the whole name of a topic must match."),
        ConfigKey(
            "source", .string, default: "", importance: .high, group: "Common", order: 4, width: .medium,
            displayName: "Source", "Name of the source connector of which to read all topics."),
        ConfigKey(
            "errors.deadletterqueue.topic.name", .string, default: "", group: "Error Handling", order: 6,
            width: .medium, displayName: "Dead Letter Queue Topic Name", withoutEffect: nothingIsSkipped,
            "Where records go that cannot be processed."),
        ConfigKey(
            "errors.deadletterqueue.topic.replication.factor", .short, default: "3", group: "Error Handling",
            order: 7, width: .medium, displayName: "Dead Letter Queue Topic Replication Factor",
            withoutEffect: recordsAreNotInKafka, "Copies of that topic."),
        ConfigKey(
            "errors.deadletterqueue.context.headers.enable", .boolean, default: "false", group: "Error Handling",
            order: 8, width: .medium, displayName: "Enable Error Context Headers", withoutEffect: nothingIsSkipped,
            "Whether those records carry the error in headers."),
    ]

    /// Kafka Connect's rule: not empty, no control characters.
    static let connectorName: @Sendable (String) -> String? = { value in
        if value.isEmpty { return "String may not be empty" }
        let controls = value.utf8.filter { $0 < 0x20 || $0 == 0x7F }
        if controls.isEmpty { return nil }
        return "String may not contain control sequences but had the following ASCII chars: "
            + controls.map { String($0) }.joined(separator: ", ")
    }
}
