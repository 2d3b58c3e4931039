import KafkaTesting
import MillraceCore
import MillraceTesting
import Testing

@testable import KafkaConnector

/// What brokers do to a producer: errors that pass, and errors that end it. Nothing is lost, and the order is kept.
@Suite struct BrokerFaultTests {
    private static let topic = "srv.public.people"

    private func positions(_ ids: ClosedRange<Int>) -> [String] {
        ids.map { "\(LSN(UInt64(100 + $0 * 10))):0" }
    }

    /// Codes of the protocol: not the leader, timed out, too few replicas, a broken connection, a storage error.
    @Test func errorsThatPassAreTriedAgainInOrder() throws {
        let run = try SinkRun(
            ["producer.retry.backoff.ms": "10", "producer.batch.num.messages": "20"],
            kafka: MockKafka(topics: [Self.topic: 1]))
        let builder = BatchBuilder()
        let sink = try run.makeSink()
        defer { sink.stop() }
        try run.deliver([SinkRun.inserts(1...10, into: builder)], to: sink)
        try run.kafka.failNext(MockKafka.API.produce, [6, 7, 19, 56, 6, 7])
        _ = try sink.write(SinkRun.inserts(11...400, into: builder))
        #expect(try sink.flush()?.commitLSN == LSN(4100))
        #expect(try run.records().map(\.position) == positions(1...400))
    }

    @Test func aBrokenConnectionCostsNothingButTime() throws {
        let run = try SinkRun(
            ["producer.reconnect.backoff.max.ms": "200", "producer.batch.num.messages": "20"],
            kafka: MockKafka(topics: [Self.topic: 1]))
        let builder = BatchBuilder()
        let sink = try run.makeSink()
        defer { sink.stop() }
        try run.deliver([SinkRun.inserts(1...10, into: builder)], to: sink)
        try run.kafka.failNext(MockKafka.API.produce, [-195, 0, -195])
        _ = try sink.write(SinkRun.inserts(11...300, into: builder))
        #expect(try sink.flush()?.commitLSN == LSN(3100))
        #expect(try run.records().map(\.position) == positions(1...300))
    }

    @Test func theStatusTellsOfBrokersThatAreAwayAsLongAsSomethingWaits() throws {
        let run = try SinkRun(
            ["producer.reconnect.backoff.max.ms": "200"], kafka: MockKafka(topics: [Self.topic: 1]))
        let builder = BatchBuilder()
        let sink = try run.makeSink()
        defer { sink.stop() }
        try run.deliver([SinkRun.inserts(1...10, into: builder)], to: sink)
        try run.kafka.tell("down -1")
        _ = try sink.write(SinkRun.inserts(11...20, into: builder))
        try eventually("the status tells") {
            _ = try sink.tick()
            return sink.status().trouble?.code == "unreachable"
        }
        try run.kafka.tell("up -1")
        #expect(try sink.flush()?.commitLSN == LSN(300))
        #expect(sink.status().trouble == nil)
        #expect(try run.records().map(\.position) == positions(1...20))
    }

    @Test func leadersMayChangeWhileRecordsAreSent() throws {
        let run = try SinkRun(
            ["producer.topic.metadata.refresh.fast.interval.ms": "20", "producer.retry.backoff.ms": "10"],
            kafka: MockKafka(brokers: 3, topics: [Self.topic: 2]))
        let builder = BatchBuilder()
        let sink = try run.makeSink()
        defer { sink.stop() }
        _ = try sink.start(after: nil, logID: 1)
        for step in 0..<12 {
            for partition in 0..<2 {
                try run.kafka.tell("leader \(Self.topic) \(partition) \((step + partition) % 3 + 1)")
            }
            _ = try sink.write(SinkRun.inserts(step * 50 + 1...step * 50 + 50, into: builder))
        }
        #expect(try sink.flush()?.commitLSN == LSN(6100))
        let records = try run.records()
        #expect(Set(records.map(\.position)) == Set(positions(1...600)))
        for partition in Int32(0)..<2 {
            let keys = records.filter { $0.partition == partition }.compactMap { record in
                record.key.flatMap { Int($0.filter(\.isNumber)) }
            }
            #expect(keys == keys.sorted())
        }
    }

    /// Code 10: the batch is too large for the topic. The cursor stays in front of it, and nothing behind it gets in.
    @Test func aRefusedBatchStopsTheSinkInFrontOfIt() throws {
        let run = try SinkRun(
            ["producer.batch.num.messages": "5"], kafka: MockKafka(topics: [Self.topic: 1]))
        let builder = BatchBuilder()
        let first = SinkRun.inserts(1...10, into: builder)
        let second = SinkRun.inserts(11...200, into: builder)
        let sink = try run.makeSink()
        try run.deliver([first], to: sink)
        try run.kafka.failNext(MockKafka.API.produce, [10])
        let error = #expect(throws: ConnectorError.self) {
            _ = try sink.write(second)
            _ = try sink.flush()
        }
        #expect(error?.code == "record_too_large")
        #expect(error?.message.contains("D2:0") == true, "\(error as Any)")
        #expect(error?.kind == .data)
        sink.stop()
        #expect(run.stored == first.end)
        // Mended: the rest follows. What a reader has seen before is repeated, and nothing older than that is new.
        let next = try run.makeSink()
        defer { next.stop() }
        try run.deliver([second], to: next)
        var seen: [String] = []
        for position in try run.records().map(\.position) where !seen.contains(position) { seen.append(position) }
        #expect(seen == positions(1...200))
    }

    /// Code 45: out of order sequence number. The idempotent producer is lost, and another takes its place.
    @Test func aFatalErrorOfTheProducerStartsItAnew() throws {
        let run = try SinkRun(
            ["producer.batch.num.messages": "5"], kafka: MockKafka(topics: [Self.topic: 1]))
        let builder = BatchBuilder()
        let first = SinkRun.inserts(1...10, into: builder)
        let second = SinkRun.inserts(11...100, into: builder)
        let sink = try run.makeSink()
        try run.deliver([first], to: sink)
        try run.kafka.failNext(MockKafka.API.produce, [45])
        let error = #expect(throws: ConnectorError.self) {
            _ = try sink.write(second)
            _ = try sink.flush()
        }
        #expect(error?.code == "producer_failed", "\(error as Any)")
        #expect(error?.kind == .transient)
        sink.stop()
        let next = try run.makeSink()
        defer { next.stop() }
        try run.deliver([second], to: next)
        #expect(run.stored == second.end)
        var seen: [String] = []
        for position in try run.records().map(\.position) where !seen.contains(position) { seen.append(position) }
        #expect(seen == positions(1...100))
    }

    @Test func brokersThatDoNotAnswerAreReported() throws {
        let port = try freePort()
        let findings = KafkaSinkPlugin().preflight(
            ConnectorConfig(["source": "s", "bootstrap.servers": "127.0.0.1:\(port)"]))
        #expect(findings.map(\.property) == ["bootstrap.servers"])
        #expect(findings.first?.message.contains("no broker of bootstrap.servers answers") == true, "\(findings)")
    }

    @Test func brokersThatAnswerAreAllPreflightWants() throws {
        let kafka = try MockKafka()
        let findings = KafkaSinkPlugin().preflight(
            ConnectorConfig(["source": "s", "bootstrap.servers": kafka.bootstrapServers]))
        #expect(findings.isEmpty, "\(findings)")
    }
}
