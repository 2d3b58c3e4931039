import KafkaTesting
import MillraceTesting
import Testing

/// Avro and Protobuf on the whole way from PostgreSQL into a mock Kafka, read by Confluent's deserializers with what the
/// stand-in for the registry has; beside it the same changes as JSON.
@Suite(.serialized)
struct KafkaConverterTests {
    private static let topic = "shop.public.t"

    private final class Shop {
        let registry: RegistryProcess
        let network: FaultProxy
        let kafka: MockKafka
        let plain: MockKafka
        let replication: Replication
        private let format: String
        private var rows = 0

        init(_ converter: String, _ format: String) throws {
            self.format = format
            registry = try RegistryProcess()
            kafka = try MockKafka(topics: [KafkaConverterTests.topic: 1])
            plain = try MockKafka(topics: [KafkaConverterTests.topic: 1])
            guard let port = registry.url.split(separator: ":").last.flatMap({ Int($0) }) else {
                throw TestFailure("no port in \(registry.url)")
            }
            network = try FaultProxy(to: port)
            replication = try Replication(
                """
                create table t (id int primary key, price numeric(10,2), name text, at timestamptz default now(), ok bool);
                insert into t select i, i / 4.0, 'name ' || i, now(), i % 2 = 0 from generate_series(-3, -1) i;
                """)
            try replication.millrace.putConnector("source", replication.sourceConfig)
            let common = [
                "connector.class": "kafka-sink", "source": "source", "retriable.restart.connector.wait.ms": "500",
            ]
            var converted = ["bootstrap.servers": kafka.bootstrapServers]
            var json = ["bootstrap.servers": plain.bootstrapServers]
            for part in ["key.converter", "value.converter"] {
                converted[part] = converter
                converted[part + ".schema.registry.url"] = "http://127.0.0.1:\(network.port)"
                converted[part + ".optional.for.nullables"] = "true"
                json[part] = "org.apache.kafka.connect.json.JsonConverter"
                json[part + ".schemas.enable"] = "false"
                json[part + ".decimal.format"] = "NUMERIC"
            }
            try replication.millrace.putConnector("sink", converted.merging(common) { $1 })
            try replication.millrace.putConnector("plain", json.merging(common) { $1 })
        }

        /// A few rows, some of them changed; the columns that were added are given values by their defaults.
        func write() throws {
            rows += 10
            try replication.execute(
                """
                insert into t (id, price, name, ok) select i, i / 4.0, 'name ' || i, null from generate_series(\(rows), \(rows + 9)) i;
                update t set price = price + 1, name = null where id % 3 = 0;
                """)
        }

        /// Each record once: a task that begins again repeats what it is not sure of.
        private func records(_ kafka: MockKafka) throws -> [KafkaRecord] {
            var seen: Set<String> = []
            return try KafkaReader(kafka.bootstrapServers).records(of: KafkaConverterTests.topic)
                .filter { seen.insert($0.position).inserted }
        }

        /// Waits until both have everything, and has the converted records read.
        func requireEqual(isRestarted: Bool = false) throws {
            rows += 10
            try replication.execute("insert into t (id) values (\(rows))")
            let expected = try eventually("all is there as JSON", state: { self.replication.situation() }) {
                let records = try self.records(plain)
                return records.contains { $0.key == "{\"id\":\(rows)}" } ? records : nil
            }
            let records = try eventually(
                "all is there as \(format)", within: .seconds(60), state: { self.replication.situation() }
            ) {
                let records = try self.records(kafka)
                return records.count >= expected.count ? records : nil
            }
            #expect(records.map(\.position) == expected.map(\.position))
            var judged = Judged()
            for (record, expected) in zip(records, expected) {
                let pairs = [
                    ("key", record.bytes.key, expected.key), ("value", record.bytes.value, expected.value),
                ]
                for case let (field, bytes?, text?) in pairs {
                    try judged.add(bytes, text, topic: KafkaConverterTests.topic, field: field)
                }
            }
            #expect(judged.count >= expected.count * 2 && expected.count > 3)
            let differences = try judged.verdict(registry, format, isRestarted: isRestarted)
            #expect(differences.isEmpty, "\(differences.prefix(3).joined(separator: "\n"))")
        }
    }

    private static let forms = [
        ("io.confluent.connect.avro.AvroConverter", "avro"),
        ("io.confluent.connect.protobuf.ProtobufConverter", "protobuf"),
    ]

    @Test(arguments: forms)
    func readersOfTheRegistrySeeTheSameThroughChangesOfTheTable(_ converter: String, _ format: String) throws {
        let shop = try Shop(converter, format)
        try shop.requireEqual()
        try shop.write()
        try shop.replication.execute(
            "alter table t add column note text default 'new', drop column ok, add column ok int")
        try shop.write()
        try shop.requireEqual()
        let versions = try shop.registry.get("/subjects/\(Self.topic)-value/versions") as? [Int]
        #expect(versions?.count == 2)
    }

    @Test(arguments: forms)
    func aSchemaThatTheRegistryRefusesStopsTheTaskUntilItPasses(_ converter: String, _ format: String) throws {
        let shop = try Shop(converter, format)
        try shop.requireEqual()
        try shop.registry.refuseFurtherSchemas(of: "\(Self.topic)-value")
        try shop.write()
        try shop.replication.execute("alter table t add column note text default 'new'")
        try shop.write()
        let trace = try shop.replication.waitForFailure("sink", "schema_incompatible")
        #expect(trace.contains("incompatible with an earlier schema"))
        #expect(trace.contains("PUT /config/\(Self.topic)-value {\"compatibility\": \"NONE\"}"))
        try shop.registry.setCompatibility("NONE", of: "\(Self.topic)-value")
        let answer = try shop.replication.millrace.request("POST", "/connectors/sink/tasks/0/restart")
        #expect(answer.status == 204)
        try shop.requireEqual(isRestarted: true)
    }

    @Test(arguments: forms)
    func aRegistryThatIsAwayIsWaitedFor(_ converter: String, _ format: String) throws {
        let shop = try Shop(converter, format)
        try shop.requireEqual()
        shop.network.set(.reset)
        try shop.write()
        try shop.replication.execute("alter table t add column note text default 'new'")
        try shop.write()
        try shop.replication.waitForTrace("sink", "registry_unreachable")
        shop.network.set(.pass)
        try shop.requireEqual(isRestarted: true)
    }
}
