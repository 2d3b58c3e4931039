import Envelope
import Logging
package import MillraceCore
import SchemaRegistry

/// `kafka-sink`: the changes of each source as Debezium events in Kafka.
package struct KafkaSinkPlugin: SinkPlugin {
    package init() {}

    package var className: String { "kafka-sink" }
    package var aliases: [String] { [] }
    package var definition: ConfigDefinition { KafkaSinkDefinition.definition }

    package func preflight(_ config: ConnectorConfig) -> [ConfigFinding] {
        var findings = EnvelopeOptions.refusals(config)
        do throws(ConnectorError) {
            _ = try TransformChain(config)
        } catch {
            findings.append(ConfigFinding("transforms", error.message))
        }
        do {
            let options = try KafkaSinkOptions(config, connector: config["name"] ?? "check", source: nil)
            findings += options.warnings
            let logger = Logger(label: "preflight") { _ in SwiftLogNoOpLogHandler() }
            let client = try KafkaClient(.producer, options.producer, logger: logger)
            try client.awaitBrokers(for: .seconds(5)) { false }
        } catch {
            findings.append(Self.finding(error))
        }
        return findings
    }

    /// An error of the configuration names its property first.
    private static func finding(_ error: ConnectorError) -> ConfigFinding {
        guard error.code == "invalid_property" else {
            return ConfigFinding("bootstrap.servers", "\(error.message). \(error.hint ?? "")")
        }
        let name = error.message.split(separator: ":").first.map(String.init)
        return ConfigFinding(name, error.message)
    }

    package func makeSink(
        _ config: ConnectorConfig, source: SourceDescription, topics: TopicSelection, _ context: TaskContext
    ) throws(ConnectorError) -> any Sink {
        let isWanted: (String) -> Bool
        do {
            isWanted = try topics.makeMatcher()
        } catch {
            throw ConnectorError(.configuration, code: "invalid_property", "topics.regex: \(error)")
        }
        var form = try EventForm(ofSource: source, sink: config, taskID: context.taskID)
        form.registries = HTTPSchemaRegistry.factory
        return try KafkaSink(
            try KafkaSinkOptions(config, connector: context.connectorName, source: source), form, source: source,
            isWanted: isWanted, context: context)
    }

    /// With transactions the cursor is in Kafka, and is changed there.
    package func alterOffsets(
        _ config: ConnectorConfig, source: SourceDescription, to cursor: Cursor?, logID: UInt64, _ context: TaskContext
    ) throws(ConnectorError) {
        let options = try KafkaSinkOptions(config, connector: context.connectorName, source: source)
        guard let transactions = options.transactions else { return }
        let envelope = try EnvelopeOptions(source: source, sink: config)
        let deadline = ContinuousClock.now + .seconds(60)
        let producer = try EventProducer(options, EventHeaders(envelope), context) { ContinuousClock.now > deadline }
        try producer.connect()
        try producer.move(
            to: cursor.map { EncodedBoundary(cursor: $0, lastCommitEnd: nil) },
            CursorTopic(transactions, connector: context.connectorName, source: source.connectorName))
    }
}
