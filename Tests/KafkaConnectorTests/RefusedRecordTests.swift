import KafkaTesting
import MillraceCore
import MillraceTesting
import Testing

@testable import KafkaConnector

/// Records that Kafka refuses: they stop the task, or go to the dead letter topic.
@Suite struct RefusedRecordTests {
    private static let topic = "srv.public.people"
    private static let aside = [
        "errors.tolerance": "all", "errors.deadletterqueue.topic.name": "dead",
        "errors.deadletterqueue.context.headers.enable": "true",
    ]

    /// Rows 1 and 3 are small, row 2 is larger than `producer.message.max.bytes`.
    private func largeRow() -> ChangeBatch {
        let builder = BatchBuilder()
        builder.transaction(lsn: 100) { transaction in
            transaction.relation(SinkRun.people)
            for (id, name) in [("1", "a"), ("2", String(repeating: "x", count: 3000)), ("3", "c")] {
                transaction.insert(SinkRun.people, [.text(id), .text(name)])
            }
        }
        return builder.build()
    }

    private func deliveryFailure(_ run: SinkRun, _ batch: ChangeBatch) -> ConnectorError? {
        do {
            try run.deliver(batch)
            return nil
        } catch {
            return error as? ConnectorError
        }
    }

    @Test func aRecordThatIsTooLargeStopsTheTask() throws {
        let run = try SinkRun(["producer.message.max.bytes": "2000"])
        let failure = try #require(deliveryFailure(run, largeRow()))
        #expect(failure.code == "record_too_large")
        #expect(failure.message.contains("0/64:1") && failure.message.contains(Self.topic), "\(failure)")
        #expect(!failure.description.contains("xxx"))
        #expect(run.stored == nil)
    }

    @Test func aRecordThatIsTooLargeGoesToTheDeadLettersWithoutItsValue() throws {
        let run = try SinkRun(["producer.message.max.bytes": "2000"].merging(Self.aside) { $1 })
        let batch = largeRow()
        try run.deliver(batch)
        #expect(run.stored == batch.end)
        #expect(Set(try run.records().compactMap(\.key)) == ["{\"id\":1}", "{\"id\":3}"])
        let dead = try run.records(of: "dead")
        #expect(dead.count == 1)
        let letter = try #require(dead.first)
        #expect(letter.key == "{\"id\":2}")
        #expect(letter.value == nil)
        #expect(letter.position == "0/64:1")
        #expect(letter.header("__debezium.context.connectorLogicalName") == "srv")
        #expect(letter.header("__connect.errors.topic") == Self.topic)
        #expect(letter.header("__connect.errors.connector.name") == "k")
        #expect(letter.header("__connect.errors.task.id") == "0")
        #expect(letter.header("__connect.errors.stage") == "KAFKA_PRODUCE")
        #expect(
            letter.header("__connect.errors.exception.class.name")
                == "org.apache.kafka.common.errors.RecordTooLargeException")
        #expect(letter.header("__connect.errors.exception.message")?.contains("too large") == true)
    }

    /// Code 29: the broker does not authorize the topic.
    @Test func aTopicWithoutPermissionStopsTheTask() throws {
        let run = try SinkRun(kafka: MockKafka(topics: [Self.topic: 1]))
        try run.kafka.failNext(MockKafka.API.produce, [29])
        let failure = try #require(deliveryFailure(run, SinkRun.inserts(1...3, into: BatchBuilder())))
        #expect(failure.code == "topic_not_authorized")
        #expect(failure.kind == .configuration)
        #expect(failure.hint?.contains("--operation Write") == true)
        #expect(run.stored == nil)
    }

    @Test func recordsThatABrokerRefusesGoToTheDeadLettersWhole() throws {
        let run = try SinkRun(Self.aside, kafka: MockKafka(topics: [Self.topic: 1, "dead": 1]))
        let builder = BatchBuilder()
        let sink = try run.makeSink()
        defer { sink.stop() }
        try run.deliver([SinkRun.inserts(1...1, into: builder)], to: sink)
        // Code 87: against a rule that the broker has for records.
        try run.kafka.failNext(MockKafka.API.produce, [87])
        let refused = SinkRun.inserts(2...2, into: builder)
        _ = try sink.write(refused)
        #expect(try sink.flush() == refused.end)
        _ = try sink.write(SinkRun.inserts(3...3, into: builder))
        _ = try sink.flush()
        #expect(try run.records().map(\.key) == ["{\"id\":1}", "{\"id\":3}"])
        let dead = try run.records(of: "dead")
        #expect(dead.map(\.key) == ["{\"id\":2}"])
        #expect(dead.first?.value?.contains("\"after\":{\"id\":2") == true)
        #expect(dead.first?.header("__connect.errors.partition") == "0")
    }

    @Test func withoutADeadLetterTopicTheRestGoesOn() throws {
        let run = try SinkRun(["producer.message.max.bytes": "2000", "errors.tolerance": "all"])
        let batch = largeRow()
        try run.deliver(batch)
        #expect(run.stored == batch.end)
        #expect(try run.records().count == 2)
    }

    @Test func aDeadLetterThatIsRefusedStopsTheTask() throws {
        let run = try SinkRun(Self.aside, kafka: MockKafka(topics: [Self.topic: 1, "dead": 1]))
        try run.kafka.failNext(MockKafka.API.produce, [29, 29])
        let failure = try #require(deliveryFailure(run, SinkRun.inserts(1...1, into: BatchBuilder())))
        #expect(failure.code == "dead_letter_refused")
        #expect(run.stored == nil)
    }

    /// Code 3: metadata says that there is no such topic.
    @Test func aTopicThatIsNotThereStopsTheTask() throws {
        let run = try SinkRun([
            "producer.topic.metadata.propagation.max.ms": "200",
            "producer.topic.metadata.refresh.fast.interval.ms": "50",
        ])
        try run.kafka.tell("topic-error \(Self.topic) 3")
        let failure = try #require(deliveryFailure(run, SinkRun.inserts(1...3, into: BatchBuilder())))
        #expect(failure.code == "unknown_topic")
        #expect(failure.hint?.contains("topic.creation.default.partitions") == true)
    }

    /// The mock cluster knows no CreateTopics, and does not answer.
    @Test func aTopicThatCannotBeCreatedStopsTheTask() throws {
        let run = try SinkRun([
            "topic.creation.default.partitions": "3", "topic.creation.default.replication.factor": "1",
            "producer.request.timeout.ms": "1000",
        ])
        let failure = try #require(deliveryFailure(run, SinkRun.inserts(1...3, into: BatchBuilder())))
        #expect(failure.code == "topic_not_created")
        #expect(failure.message.contains(Self.topic))
        #expect(failure.kind == .transient)
    }

    @Test func topicsThatAreThereAreNotCreated() throws {
        let properties = ["topic.creation.default.partitions": "3", "topic.creation.default.replication.factor": "1"]
        let run = try SinkRun(properties, kafka: MockKafka(topics: [Self.topic: 1]))
        try run.deliver(SinkRun.inserts(1...3, into: BatchBuilder()))
        #expect(try run.records().count == 3)
    }
}
