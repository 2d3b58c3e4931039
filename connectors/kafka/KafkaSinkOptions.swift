import MillraceCore

/// The properties, read.
struct KafkaSinkOptions {
    var producer: [ProducerProperty]
    var warnings: [ConfigFinding]
    var writesPosition: Bool
    /// Nil: not in transactions.
    var transactions: Transactions?
    var errors: Errors
    var topicCreation: TopicCreation?
    /// Milliseconds for what is asked of the brokers besides records.
    var requestTimeout: Int32

    struct Transactions {
        var id: String
        var offsetsTopic: String
    }

    /// What to do with records that Kafka refuses.
    struct Errors {
        var toleratesAll: Bool
        /// Nil: logged and left out.
        var deadLetterTopic: String?
        var replicationFactor: Int32
        var writesContextHeaders: Bool
    }

    /// `source`: has a say in how topics are made, where the sink's configuration is silent.
    init(_ config: ConnectorConfig, connector: String, source: SourceDescription?) throws(ConnectorError) {
        let definition = KafkaSinkDefinition.definition
        guard let servers = config["bootstrap.servers"]?.trimmed, !servers.isEmpty else {
            throw Self.invalid("bootstrap.servers", "host:port is expected, comma-separated")
        }
        errors = Errors(
            toleratesAll: config.string("errors.tolerance", definition)?.trimmed.lowercased() == "all",
            deadLetterTopic: config["errors.deadletterqueue.topic.name"].map(\.trimmed).flatMap {
                $0.isEmpty ? nil : $0
            },
            replicationFactor: Int32(
                clamping: config.int("errors.deadletterqueue.topic.replication.factor", definition) ?? 3),
            writesContextHeaders: config.bool("errors.deadletterqueue.context.headers.enable", definition))
        var properties = try ProducerProperties(config)
        properties.setDefault("bootstrap.servers", servers)
        properties.setDefault("client.id", "millrace-\(connector)")
        transactions = Self.transactions(config, connector, source)
        if let transactions {
            guard !errors.toleratesAll else {
                throw Self.invalid(
                    "errors.tolerance",
                    "'all' does not go with exactly.once.support=required: a refused record spoils its whole transaction"
                )
            }
            properties.setDefault("transactional.id", transactions.id)
            properties.setDefault("transaction.timeout.ms", "300000")
        } else {
            if properties["transactional.id"] != nil {
                throw Self.invalid("producer.transactional.id", "is for exactly.once.support=required only")
            }
            // A broker may be away for as long as it likes.
            properties.setDefault("message.timeout.ms", "0", unless: ["delivery.timeout.ms"])
        }
        Self.setDefaults(&properties, errors, isTransactional: transactions != nil)
        producer = properties.list
        warnings = properties.warnings
        requestTimeout = properties["request.timeout.ms"].flatMap { Int32($0) } ?? 30_000
        writesPosition = config.bool("headers.position.enabled", definition)
        topicCreation = try TopicCreation(config)
        if topicCreation == nil, let source { topicCreation = try TopicCreation(source.config) }
    }

    private static func transactions(
        _ config: ConnectorConfig, _ connector: String, _ source: SourceDescription?
    ) -> Transactions? {
        let definition = KafkaSinkDefinition.definition
        guard config.string("exactly.once.support", definition)?.trimmed.lowercased() == "required" else { return nil }
        // A task for each source: they must not fence each other.
        let id = "millrace-\(connector)-\(source?.connectorName ?? "check")"
        return Transactions(
            id: config["producer.transactional.id"]?.trimmed ?? config["producer.override.transactional.id"]?.trimmed
                ?? id, offsetsTopic: (config.string("offsets.storage.topic", definition) ?? "").trimmed)
    }

    private static func setDefaults(
        _ properties: inout ProducerProperties, _ errors: Errors, isTransactional: Bool
    ) {
        let acks = properties["acks"] ?? properties["request.required.acks"] ?? "all"
        let isWeak = !["all", "-1"].contains(acks.lowercased())
        // As in the Java client, weaker acknowledgements turn idempotence off unless it is demanded.
        properties.setDefault("enable.idempotence", isWeak ? "false" : "true")
        if isTransactional {
            // Whole or not at all: there are no gaps.
        } else if properties["enable.idempotence"]?.lowercased() == "true" {
            // Where a refused record stops the task, nothing behind it in its partition may be there already: it would
            // be older than what a reader has seen when it is sent at last.
            properties.setDefault("enable.gapless.guarantee", errors.toleratesAll ? "false" : "true")
        } else {
            // Keeps the order through retries.
            properties.setDefault(
                "max.in.flight.requests.per.connection", "1", unless: ["max.in.flight"])
        }
        properties.setDefault("partitioner", "murmur2_random")
        // A transaction waits for its acknowledgement when there is nothing else to send; a full queue fills batches anyway.
        properties.setDefault("linger.ms", "1", unless: ["queue.buffering.max.ms"])
        properties.setDefault("queue.buffering.max.kbytes", "65536")
        properties.setDefault("queue.buffering.max.messages", "100000")
        properties.setDefault("socket.keepalive.enable", "true")
    }

    private static func invalid(_ name: String, _ reason: String) -> ConnectorError {
        ConnectorError(.configuration, code: "invalid_property", "\(name): \(reason)")
    }
}
