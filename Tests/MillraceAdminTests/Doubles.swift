import Logging
import MillraceCore
import MillraceTesting
import PostgresConnector

/// Stands in for the source `postgres`: its real properties, a full load of two customers, and no database.
struct TourSourcePlugin: SourcePlugin {
    var className: String { "postgres" }
    var aliases: [String] { ["io.debezium.connector.postgresql.PostgresConnector"] }
    var definition: ConfigDefinition { PostgresSourceDefinition.definition }

    /// What the database of the recordings says: nothing listens on port 1, and there is one database.
    func preflight(_ config: ConnectorConfig) -> [ConfigFinding] {
        let words = "Error while validating connector config: "
        if config["database.port"] == "1" {
            return [
                ConfigFinding(
                    "database.hostname",
                    words + "Connection to 127.0.0.1:1 refused. Check that the hostname and port are correct and that "
                        + "the postmaster is accepting TCP/IP connections.")
            ]
        }
        if let name = config["database.dbname"], name != "app" {
            return [ConfigFinding("database.hostname", words + "FATAL: database \"\(name)\" does not exist")]
        }
        return []
    }

    func topicPrefix(_ config: ConnectorConfig) -> String {
        config["topic.prefix"] ?? ""
    }

    func makeSource(_ config: ConnectorConfig, _ context: TaskContext) throws(ConnectorError) -> any Source {
        TourSource(topicPrefix: topicPrefix(config))
    }
}

/// The real source behind the double's preflight, whose words are those of the recordings.
struct RealSourcePlugin: SourcePlugin {
    private let source = PostgresSourcePlugin()
    var className: String { source.className }
    var aliases: [String] { source.aliases }
    var definition: ConfigDefinition { source.definition }

    func preflight(_ config: ConnectorConfig) -> [ConfigFinding] {
        let findings = source.preflight(config)
        let expected = TourSourcePlugin().preflight(config)
        // The real one words it differently, but about the same property.
        return findings.map(\.property) == expected.map(\.property) ? expected : findings
    }

    func topicPrefix(_ config: ConnectorConfig) -> String { source.topicPrefix(config) }

    func makeSource(_ config: ConnectorConfig, _ context: TaskContext) throws(ConnectorError) -> any Source {
        try source.makeSource(config, context)
    }
}

final class TourSource: Source {
    private let relation: Relation
    private let isStopped = Monitor(false)
    private let isLoaded = Monitor(false)
    private static let consistentPoint = LSN(1_494_784_000)

    init(topicPrefix: String) {
        relation = .table(
            1, "customers", topicPrefix: topicPrefix, [.int4("id", key: true), .text("name")])
    }

    func run(into output: any SourceOutput) throws(ConnectorError) {
        if output.recovered.lastCommitLSN == nil {
            let buffer = output.makeBuffer()
            let builder = TransactionBuilder(
                TransactionInfo(
                    flags: .snapshot, xid: 5074, commitLSN: Self.consistentPoint, endLSN: Self.consistentPoint,
                    commitTime: Timestamp(microsecondsSince1970: 1_795_221_729_477_329)), into: buffer)
            builder.relation(relation)
            builder.load(relation, .begin)
            builder.insert(relation, ["1", "Anne"])
            builder.insert(relation, ["2", "Bob"])
            builder.load(relation, .end)
            builder.commit()
            while try !output.submit(buffer, timeout: .seconds(1)) {}
            _ = try output.waitUntilDrained(timeout: .seconds(10))
        }
        isLoaded.update { $0 = true }
        _ = isStopped.wait { $0 ? true : nil }
    }

    func stop() {
        isStopped.update { $0 = true }
    }

    func status() -> SourceStatus {
        let isLoaded = isLoaded.read { $0 }
        return SourceStatus(
            phase: isLoaded ? .streaming : .snapshot, serverLSN: Self.consistentPoint,
            receivedLSN: Self.consistentPoint, acknowledgedLSN: Self.consistentPoint, transactions: 1,
            lastCommitTime: Timestamp(microsecondsSince1970: 1_795_221_729_477_329), lastXID: 5074,
            snapshotLSN: Self.consistentPoint,
            tables: [
                SourceStatus.Table(
                    name: "public.customers", topic: relation.topic, state: isLoaded ? .streaming : .loading,
                    rowsLoaded: isLoaded ? 2 : 1, rowsEstimated: 2)
            ])
    }
}

/// A sink that takes everything and keeps nothing.
struct NullSinkPlugin: SinkPlugin {
    var className: String { "null-sink" }
    var aliases: [String] { [] }
    let definition = ConfigDefinition(keys: [
        ConfigKey(
            "connection.url", .string, required: true, importance: .high, group: "Connection", order: 1,
            "Where nothing goes."),
        ConfigKey("connection.password", .password, group: "Connection", order: 2, "A password."),
    ])

    func preflight(_ config: ConnectorConfig) -> [ConfigFinding] { [] }

    func makeSink(
        _ config: ConnectorConfig, source: SourceDescription, topics: TopicSelection, _ context: TaskContext
    ) throws(ConnectorError) -> any Sink {
        NullSink()
    }
}

final class NullSink: Sink {
    private let delivered = Monitor<Cursor?>(nil)

    func start(after stored: Cursor?, logID: UInt64) throws(ConnectorError) -> Cursor? { stored }

    func write(_ batch: ChangeBatch) throws(ConnectorError) -> Delivery {
        delivered.update { $0 = batch.end }
        return batch.endsInTransaction ? .accepted : .durable(through: batch.end)
    }

    func flush() throws(ConnectorError) -> Cursor? { delivered.read { $0 } }
    func tick() throws(ConnectorError) -> Cursor? { nil }
    func stop() {}
    func interrupt() {}

    func status() -> SinkStatus {
        SinkStatus(
            suspended: [.init(table: "public.odd\n\"name\"", position: "0/1:1", reason: "refused")],
            changesByTable: ["public.odd\n\"name\"": 2])
    }
}
