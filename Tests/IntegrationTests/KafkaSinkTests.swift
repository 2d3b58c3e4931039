import Foundation
import KafkaTesting
import MillraceTesting
import Testing

/// The whole way from PostgreSQL into a mock Kafka: nothing missing, in order, repeats only of what was seen, whatever is
/// killed.
@Suite(.serialized)
struct KafkaSinkTests {
    private static let topic = "shop.public.t"

    /// A source with table t and a sink into `kafka`.
    private func makeShop(_ kafka: MockKafka, _ sink: [String: String] = [:]) throws -> Replication {
        let shop = try Replication("create table t (id int primary key, v int not null)")
        try shop.millrace.putConnector("source", shop.sourceConfig)
        try shop.millrace.putConnector(
            "sink",
            [
                "connector.class": "kafka-sink", "source": "source", "bootstrap.servers": kafka.bootstrapServers,
                "producer.retry.backoff.ms": "20", "producer.reconnect.backoff.max.ms": "500",
                "producer.topic.metadata.refresh.fast.interval.ms": "50", "producer.batch.num.messages": "100",
                "retriable.restart.connector.wait.ms": "500",
            ].merging(sink) { $1 })
        // What is committed before the slot is there comes with the load, and not change by change.
        try eventually("the slot is there", state: { shop.situation() }) { try shop.confirmedFlushLSN() != nil }
        return shop
    }

    /// Writes to t until `rounds` are over: each row is inserted with 0 and counted up, so that its records have an order.
    private func write(_ shop: Replication, rounds: Int, _ disturb: (Int) throws -> Void) throws {
        for round in 0..<rounds {
            try shop.execute(
                """
                insert into t select \(round * 40) + i, 0 from generate_series(1, 40) i;
                update t set v = v + 1 where id % 5 = \(round % 5) and v >= 0;
                update t set v = v + 1 where id > \(round * 40 - 60) and v >= 0;
                """)
            try disturb(round)
        }
    }

    /// Waits until the last change of the source is in Kafka, and returns all records of t, partition by partition.
    private func settledRecords(_ shop: Replication, _ kafka: MockKafka) throws -> [KafkaRecord] {
        let end = Int(try shop.sourceValue("select coalesce(max(id), 0) from t")) ?? 0
        try shop.execute("insert into t values (\(end + 1000), -1)")
        let reader = try KafkaReader(kafka.bootstrapServers)
        return try eventually("everything is in Kafka", within: .seconds(90), state: { shop.situation() }) {
            let records = try reader.records(of: Self.topic)
            return records.contains { $0.value?.contains("\"id\":\(end + 1000),\"v\":-1") == true } ? records : nil
        }
    }

    /// What a reader makes of the records that leaves out, in each partition, what is not behind the last position.
    /// Reports what must not be: a repeat with a position that was not seen.
    private func deduplicated(_ records: [KafkaRecord]) -> (records: [KafkaRecord], repeats: Int) {
        var result: [KafkaRecord] = []
        var repeats = 0
        var last: [Int32: Position] = [:]
        var seen: [Int32: Set<Position>] = [:]
        for record in records {
            guard let position = Position(record.position) else {
                Issue.record("no position in \(record)")
                continue
            }
            if let newest = last[record.partition], position <= newest {
                repeats += 1
                #expect(seen[record.partition]?.contains(position) == true, "\(position) is old, and new")
                continue
            }
            last[record.partition] = position
            seen[record.partition, default: []].insert(position)
            result.append(record)
        }
        return (result, repeats)
    }

    /// The values that v of each row goes through, by id.
    private func histories(_ records: [KafkaRecord]) -> [Int: [Int]] {
        var histories: [Int: [Int]] = [:]
        for record in records {
            let value = JSONNode(parsing: record.value ?? "null")
            guard let id = value["after"]["id"].int, let v = value["after"]["v"].int else { continue }
            histories[id, default: []].append(v)
        }
        return histories
    }

    /// Every row counts up from 0 to what it is in the source, without a gap.
    private func requireWhole(_ shop: Replication, _ records: [KafkaRecord]) throws {
        let histories = histories(records)
        var wrong: [String] = []
        var count = 0
        for line in try shop.sourceValue("select id || ' ' || v from t order by id").split(separator: "\n") {
            let parts = line.split(separator: " ").compactMap { Int($0) }
            guard parts.count == 2 else { continue }
            count += 1
            let expected = parts[1] < 0 ? [-1] : Array(0...parts[1])
            if histories[parts[0]] != expected { wrong.append("\(line): \(histories[parts[0]] ?? [])") }
        }
        #expect(count == histories.count)
        #expect(wrong.isEmpty, "\(wrong.prefix(10).joined(separator: "\n"))")
    }

    @Test
    func killedManyTimesNothingIsMissingAndRepeatsAreKnown() throws {
        var random = SeededRandom(seed: 4)
        let kafka = try MockKafka(brokers: 3, topics: [Self.topic: 4])
        let shop = try makeShop(kafka)
        try write(shop, rounds: 20) { round in
            if round % 4 == 3 || Int.random(in: 0..<6, using: &random) == 0 { try shop.millrace.crashAndRestart() }
        }
        try requireWhole(shop, deduplicated(try settledRecords(shop, kafka)).records)
    }

    @Test
    func leadersThatChangeAndErrorsOfBrokersChangeNothing() throws {
        var random = SeededRandom(seed: 5)
        let kafka = try MockKafka(brokers: 3, topics: [Self.topic: 2])
        let shop = try makeShop(kafka)
        try write(shop, rounds: 20) { round in
            try kafka.tell("leader \(Self.topic) \(round % 2) \(Int.random(in: 1...3, using: &random))")
            // Not the leader, timed out, too few replicas, a broken connection.
            let codes = [6, 7, 19, -195].shuffled(using: &random)
            try kafka.failNext(MockKafka.API.produce, Array(codes.prefix(Int.random(in: 1...4, using: &random))))
        }
        let (records, repeats) = deduplicated(try settledRecords(shop, kafka))
        try requireWhole(shop, records)
        // The producer is idempotent, and nothing was killed.
        #expect(repeats == 0)
    }

    @Test
    func brokersThatAreAwayDelayThisSinkOnly() throws {
        let kafka = try MockKafka(topics: [Self.topic: 2])
        let shop = try makeShop(kafka, ["producer.queue.buffering.max.messages": "500"])
        try shop.millrace.putConnector(
            "copy", shop.sinkConfig.merging(["connector.class": "postgres-sink"]) { $1 })
        try write(shop, rounds: 2) { _ in }
        _ = try settledRecords(shop, kafka)
        try kafka.tell("down -1")
        try shop.execute("insert into t select 5000 + i, 0 from generate_series(1, 5000) i")
        try shop.waitUntilCaughtUp()
        let lsn = try shop.currentWALLSN()
        try eventually("the source is not held up", state: { shop.situation() }) {
            try shop.execute("insert into sync_marker select max(id) + 1 from sync_marker")
            return (try shop.confirmedFlushLSN()).map { $0 >= lsn } ?? false
        }
        #expect(try shop.waitForTrace("sink", "unreachable").contains("bootstrap.servers"))
        // Killed while nothing can be sent, too.
        try shop.millrace.crashAndRestart()
        try kafka.tell("up -1")
        try requireWhole(shop, deduplicated(try settledRecords(shop, kafka)).records)
        try eventually("the trace is gone", state: { shop.situation() }) {
            try shop.millrace.status("sink")["tasks"][0]["trace"].string == nil
        }
    }

    @Test
    func aTaskThatWasRefusedGoesOnWhenItIsMended() throws {
        let kafka = try MockKafka(topics: [Self.topic: 1])
        let shop = try makeShop(kafka)
        try write(shop, rounds: 1) { _ in }
        _ = try settledRecords(shop, kafka)
        // No permission for the topic.
        try kafka.failNext(MockKafka.API.produce, [29])
        try shop.execute("insert into t values (5001, 0)")
        let trace = try shop.waitForFailure("sink", "topic_not_authorized")
        #expect(trace.contains("--operation Write"))
        try shop.execute("update t set v = v + 1 where id = 5001")
        let answer = try shop.millrace.request("POST", "/connectors/sink/tasks/0/restart")
        #expect(answer.status == 204)
        try requireWhole(shop, deduplicated(try settledRecords(shop, kafka)).records)
    }

    @Test
    func transactionsCarryTheCursorThroughKills() throws {
        let kafka = try MockKafka(topics: [Self.topic: 2])
        let shop = try makeShop(kafka, ["exactly.once.support": "required"])
        try write(shop, rounds: 8) { round in if round % 3 == 2 { try shop.millrace.crashAndRestart() } }
        // The mock cluster keeps no markers: records of transactions that a kill cut short stay visible.
        try requireWhole(shop, deduplicated(try settledRecords(shop, kafka)).records)
        // In peace there are no repeats, not even over a restart.
        let before = try settledRecords(shop, kafka).count
        #expect(shop.millrace.terminate() == 0)
        try shop.millrace.start()
        try shop.execute("insert into t values (90001, 0)")
        let after = try settledRecords(shop, kafka).count
        #expect(after == before + 2)
    }
}

/// `<commit LSN>:<ordinal>`
private struct Position: Hashable, Comparable {
    let lsn: UInt64
    let ordinal: UInt64

    init?(_ text: String) {
        let parts = text.split(separator: ":")
        guard parts.count == 2, let ordinal = UInt64(parts[1]) else { return nil }
        let halves = parts[0].split(separator: "/").compactMap { UInt64($0, radix: 16) }
        guard halves.count == 2 else { return nil }
        lsn = halves[0] << 32 | halves[1]
        self.ordinal = ordinal
    }

    static func < (left: Position, right: Position) -> Bool {
        (left.lsn, left.ordinal) < (right.lsn, right.ordinal)
    }
}
