import Envelope
import KafkaTesting
import Logging
import MillraceCore
import MillraceTesting

@testable import KafkaConnector

/// Feeds batches to Kafka sinks on one mock cluster, restarting them as the server would.
final class SinkRun {
    let kafka: MockKafka
    var properties: [String: String]
    private(set) var stored: Cursor?

    init(_ properties: [String: String] = [:], kafka: MockKafka? = nil) throws {
        self.kafka = try kafka ?? MockKafka()
        self.properties = ["bootstrap.servers": self.kafka.bootstrapServers].merging(properties) { $1 }
    }

    var source: SourceDescription {
        SourceDescription(connectorName: "s", topicPrefix: "srv", config: ConnectorConfig(properties))
    }

    var context: TaskContext {
        TaskContext(connectorName: "k", taskID: 0, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    func makeSink() throws -> any Sink {
        try KafkaSinkPlugin().makeSink(ConnectorConfig(properties), source: source, topics: .all, context)
    }

    /// Gives the sink what lies behind its cursor, as the log would; notes what it calls durable.
    func deliver(_ batches: [ChangeBatch], to sink: any Sink, logID: UInt64 = 1) throws {
        let begun = try sink.start(after: stored, logID: logID)
        for batch in batches where batch.end.offset > begun?.offset ?? 0 {
            if case .durable(let cursor) = try sink.write(batch) { stored = cursor }
        }
        if let cursor = try sink.flush() { stored = cursor }
    }

    /// A sink for these batches alone.
    func deliver(_ batches: ChangeBatch...) throws {
        let sink = try makeSink()
        defer { sink.stop() }
        try deliver(batches, to: sink)
    }

    func records(of topic: String = "srv.public.people") throws -> [KafkaRecord] {
        try KafkaReader(kafka.bootstrapServers).records(of: topic)
    }

    static let people = Relation.table(10, "people", [.int4("id", key: true), .text("name")])

    /// Inserts of `ids`, a transaction for each, from LSN 100 + id on.
    static func inserts(_ ids: ClosedRange<Int>, into builder: BatchBuilder, name: String = "n") -> ChangeBatch {
        for id in ids {
            builder.transaction(lsn: UInt64(100 + id * 10)) { transaction in
                transaction.relation(people)
                transaction.insert(people, [.text("\(id)"), .text(name)])
            }
        }
        return builder.build()
    }
}
