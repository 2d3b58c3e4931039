import KafkaTesting
import Logging
import MillraceCore
import MillraceTesting
import Testing

@testable import KafkaConnector

@Suite struct TopicAdminTests {
    private let settings = TopicCreation.Settings(
        partitions: 6, replicationFactor: 3, config: ["cleanup.policy": "compact", "retention.ms": "1000"])

    private func create(_ broker: AdminBroker) throws {
        let client = try KafkaClient(
            .producer, [ProducerProperty("bootstrap.servers", broker.bootstrapServers)],
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try TopicAdmin.create("srv.public.people", settings, client, timeout: 20_000)
    }

    @Test func aTopicIsAskedForWithItsSettings() throws {
        let broker = try AdminBroker()
        try create(broker)
        let topic = try #require(broker.created.first)
        #expect(broker.created.count == 1)
        #expect(topic.name == "srv.public.people")
        #expect(topic.partitions == 6)
        #expect(topic.replicationFactor == 3)
        #expect(topic.config == ["cleanup.policy": "compact", "retention.ms": "1000"])
    }

    /// Code 36: it exists. Somebody else was faster.
    @Test func aTopicThatIsThereIsGoodEnough() throws {
        let broker = try AdminBroker(answer: 36)
        try create(broker)
        #expect(broker.created.count == 1)
    }

    /// Codes 29: not authorized; 38: more copies than brokers.
    @Test(arguments: [Int16(29), 38])
    func aTopicThatIsRefusedSaysWhatToDo(_ code: Int16) throws {
        let broker = try AdminBroker(answer: code)
        let error = #expect(throws: ConnectorError.self) { try create(broker) }
        #expect(error?.code == "topic_not_created")
        #expect(error?.kind == .configuration)
        #expect(error?.message.contains("not today") == true, "\(error as Any)")
        #expect(error?.hint?.contains("--operation Create --topic srv.public.people") == true)
    }
}
