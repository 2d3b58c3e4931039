import MillraceCore
import Testing

@testable import KafkaConnector

@Suite struct DefinitionTests {
    private func errors(_ config: [String: String]) -> [String] {
        let all = ["name": "k", "connector.class": "kafka-sink", "source": "s"].merging(config) { $1 }
        return ConfigValidation.report(
            on: ConnectorConfig(all), for: KafkaSinkDefinition.definition, isSource: false, version: "1"
        ).errors
    }

    @Test func brokersAreRequired() {
        #expect(errors([:]).count == 1)
        #expect(errors(["bootstrap.servers": "a:9092, b:9093"]).isEmpty)
        for servers in ["", "a", "a:x", "a:9092,,b:9092", "a:0"] {
            #expect(errors(["bootstrap.servers": servers]).count == 1, "\(servers)")
        }
    }

    @Test func propertiesOfTheProducerAndOfTopicsAreKnown() {
        let config = [
            "bootstrap.servers": "a:9092", "producer.linger.ms": "5", "producer.override.acks": "all",
            "topic.creation.groups": "x", "topic.creation.x.include": "a.*",
        ]
        #expect(errors(config).isEmpty)
        #expect(errors(["bootstrap.servers": "a:9092", "exactly.once.support": "sometimes"]).count == 1)
        #expect(errors(["bootstrap.servers": "a:9092", "error.tolerance": "all"]).count == 1)
    }

    private func producer(_ config: [String: String]) throws -> [String: String] {
        let all = ["bootstrap.servers": "a:9092"].merging(config) { $1 }
        let options = try KafkaSinkOptions(ConnectorConfig(all), connector: "k", source: nil)
        return Dictionary(options.producer.map { ($0.name, $0.value) }) { $1 }
    }

    @Test func theProducerIsIdempotentAndPartitionsAsTheJavaClient() throws {
        let standard = try producer([:])
        #expect(standard["enable.idempotence"] == "true")
        #expect(standard["partitioner"] == "murmur2_random")
        #expect(standard["message.timeout.ms"] == "0")
        #expect(standard["enable.gapless.guarantee"] == "true")
        #expect(standard["transactional.id"] == nil)
    }

    @Test func weakerAcknowledgementsEndIdempotenceAsInTheJavaClient() throws {
        let weak = try producer(["producer.override.acks": "1"])
        #expect(weak["enable.idempotence"] == "false")
        #expect(weak["enable.gapless.guarantee"] == nil)
        #expect(weak["max.in.flight.requests.per.connection"] == "1")
    }

    @Test func transactionsHaveAnIdOfTheirOwn() throws {
        let required = try producer(["exactly.once.support": "required"])
        #expect(required["transactional.id"] == "millrace-k-check")
        #expect(required["message.timeout.ms"] == nil)
        #expect(throws: ConnectorError.self) { try producer(["producer.transactional.id": "x"]) }
        #expect(throws: ConnectorError.self) {
            try producer(["exactly.once.support": "required", "errors.tolerance": "all"])
        }
    }

    @Test func namesOfTheJavaClientAreTranslated() throws {
        let properties = try producer([
            "producer.max.request.size": "2000000", "producer.buffer.memory": "33554432",
            "producer.override.sasl.jaas.config":
                "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"u\" password=\"p\\\"w\";",
            "producer.override.key.serializer": "x.Y", "producer.linger.ms": "7", "producer.override.linger.ms": "9",
        ])
        #expect(properties["message.max.bytes"] == "2000000")
        #expect(properties["queue.buffering.max.kbytes"] == "32768")
        #expect(properties["sasl.username"] == "u")
        #expect(properties["sasl.password"] == "p\"w")
        #expect(properties["key.serializer"] == nil)
        #expect(properties["linger.ms"] == "7")
    }

    @Test(arguments: [
        ("producer.ssl.truststore.password", "x", "producer.ssl.ca.location"),
        ("producer.ssl.keystore.type", "JKS", "PEM"),
        ("producer.sasl.jaas.config", "com.sun.security.auth.module.Krb5LoginModule required;", "librdkafka"),
        ("producer.partitioner.class", "com.example.Mine", "murmur2_random"),
        ("producer.buffer.memory", "much", "number"),
    ])
    func whatOnlyTheJavaClientHasIsRefused(_ name: String, _ value: String, _ word: String) {
        let error = #expect(throws: ConnectorError.self) { try producer([name: value]) }
        #expect(error?.kind == .configuration)
        #expect(error?.message.hasPrefix(name) == true && error?.message.contains(word) == true, "\(error as Any)")
    }

    @Test func propertiesThatLibrdkafkaDoesNotKnowAreFoundBeforeAnythingStarts() {
        let findings = KafkaSinkPlugin().preflight(
            ConnectorConfig(["bootstrap.servers": "a:9092", "producer.ligner.ms": "5"]))
        #expect(findings.map(\.property) == ["producer.ligner.ms"])
        let secret = KafkaSinkPlugin().preflight(
            ConnectorConfig(["bootstrap.servers": "a:9092", "producer.ssl.key.pem": "hush"]))
        #expect(!secret.contains { $0.message.contains("hush") })
    }

    @Test func propertiesThatDoNotGoTogetherAreFoundToo() {
        let findings = KafkaSinkPlugin().preflight(
            ConnectorConfig([
                "bootstrap.servers": "a:9092", "producer.acks": "1", "producer.enable.idempotence": "true",
            ]))
        #expect(findings.count == 1)
        #expect(findings.first?.message.contains("acks") == true, "\(findings)")
    }

    @Test func whatHasNoEffectIsAWarning() throws {
        let config = ConnectorConfig(["bootstrap.servers": "a:9092", "producer.key.serializer": "x.Y"])
        let warnings = try KafkaSinkOptions(config, connector: "k", source: nil).warnings
        #expect(warnings.map(\.property) == ["producer.key.serializer"])
        #expect(warnings.allSatisfy { $0.severity == .warning })
    }

    // MARK: Topics

    @Test func topicsAreMadeAsTheFirstGroupSaysThatTheyBelongTo() throws {
        let config = ConnectorConfig([
            "topic.creation.groups": "big, odd", "topic.creation.default.partitions": "3",
            "topic.creation.default.replication.factor": "2", "topic.creation.default.compression.type": "zstd",
            "topic.creation.big.include": "srv\\.public\\.big.*", "topic.creation.big.exclude": ".*_old",
            "topic.creation.big.partitions": "12", "topic.creation.big.cleanup.policy": "compact",
            "topic.creation.odd.include": "x,srv\\.public\\.odd", "topic.creation.odd.replication.factor": "-1",
        ])
        let creation = try #require(try TopicCreation(config))
        #expect(
            creation.settings(for: "srv.public.big_one")
                == .init(partitions: 12, replicationFactor: 2, config: ["cleanup.policy": "compact"]))
        #expect(creation.settings(for: "srv.public.odd") == .init(partitions: 3, replicationFactor: -1, config: [:]))
        #expect(
            creation.settings(for: "srv.public.big_old")
                == .init(partitions: 3, replicationFactor: 2, config: ["compression.type": "zstd"]))
    }

    @Test func withoutPropertiesTopicsAreTheBrokersAffair() throws {
        #expect(try TopicCreation(ConnectorConfig(["bootstrap.servers": "a:9092"])) == nil)
    }

    @Test(arguments: [
        ["topic.creation.default.partitions": "3"],
        ["topic.creation.default.partitions": "0", "topic.creation.default.replication.factor": "1"],
        [
            "topic.creation.default.partitions": "1", "topic.creation.default.replication.factor": "1",
            "topic.creation.groups": "x",
        ],
    ])
    func halfASetOfTopicPropertiesIsRefused(_ config: [String: String]) {
        let error = #expect(throws: ConnectorError.self) { try TopicCreation(ConnectorConfig(config)) }
        #expect(error?.message.hasPrefix("topic.creation.") == true)
    }

    @Test func aCursorReadsBackFromItsText() {
        let text = "9f03c2d1@81920@0/16B3748:12 0/16B3750"
        #expect(CursorTopic.boundary(text).map(CursorTopic.text) == text)
        for broken in ["", "9f03c2d1@81920@0/16B3748:12", "x 0/1", "1@1@0/1:1 y"] {
            #expect(CursorTopic.boundary(broken) == nil)
        }
    }
}
