import KafkaTesting
import MillraceCore
import MillraceTesting
import Testing

@testable import KafkaConnector

/// `exactly.once.support=required`, as far as the mock cluster can show it: it keeps no markers of commits and aborts.
@Suite struct TransactionTests {
    private static let topic = "srv.public.people"
    private static let required = ["exactly.once.support": "required"]

    @Test func theCursorIsARecordOfTheTransaction() throws {
        let run = try SinkRun(Self.required, kafka: MockKafka(topics: [Self.topic: 1]))
        let builder = BatchBuilder()
        let batch = SinkRun.inserts(1...5, into: builder)
        try run.deliver(batch)
        #expect(try run.records().count == 5)
        let cursors = try run.records(of: "millrace-offsets")
        #expect(cursors.map(\.key) == ["k\ts"])
        #expect(cursors.map(\.value) == ["\(batch.end) 0/9E"])
    }

    @Test func aRestartGoesOnBehindTheCommittedCursorWhateverIsStored() throws {
        let run = try SinkRun(Self.required)
        let builder = BatchBuilder()
        let first = SinkRun.inserts(1...5, into: builder)
        let second = SinkRun.inserts(6...9, into: builder)
        try run.deliver(first, second)
        for stored in [first.end, nil] {
            let sink = try run.makeSink()
            defer { sink.stop() }
            #expect(try sink.start(after: stored, logID: 1) == second.end)
        }
        let sink = try run.makeSink()
        defer { sink.stop() }
        #expect(try sink.start(after: nil, logID: 2) == nil, "a cursor of another log means nothing")
    }

    /// Codes 14, 15, 51: the coordinator is loading, not available, or another transaction is being ended.
    @Test func errorsOfACommitThatPassAreTriedAgain() throws {
        let run = try SinkRun(Self.required.merging(["producer.retry.backoff.ms": "10"]) { $1 })
        try run.kafka.failNext(MockKafka.API.endTransaction, [14, 15, 51])
        let batch = SinkRun.inserts(1...5, into: BatchBuilder())
        try run.deliver(batch)
        #expect(run.stored == batch.end)
        #expect(try run.records().count == 5)
    }

    /// Code 48: the coordinator does not know the transaction.
    @Test func aCommitThatFailsStartsAnewBehindTheLastCursor() throws {
        let run = try SinkRun(Self.required)
        let builder = BatchBuilder()
        let first = SinkRun.inserts(1...5, into: builder)
        let second = SinkRun.inserts(6...9, into: builder)
        let sink = try run.makeSink()
        try run.deliver([first], to: sink)
        try run.kafka.failNext(MockKafka.API.endTransaction, [48])
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
        #expect(Set(try run.records().compactMap(\.key)).count == 9)
    }

    /// Code 47: the epoch of this producer is over, because another one has begun with its id.
    @Test func anotherProducerThrowsThisOneOut() throws {
        let run = try SinkRun(Self.required)
        let builder = BatchBuilder()
        let sink = try run.makeSink()
        defer { sink.stop() }
        try run.deliver([SinkRun.inserts(1...5, into: builder)], to: sink)
        try run.kafka.failNext(MockKafka.API.endTransaction, [47])
        let second = SinkRun.inserts(6...9, into: builder)
        let error = #expect(throws: ConnectorError.self) {
            _ = try sink.write(second)
            _ = try sink.flush()
        }
        #expect(error?.code == "fenced", "\(error as Any)")
        #expect(error?.kind == .consistency)
    }

    @Test func offsetsThatAreAlteredAreAlteredInKafka() throws {
        let run = try SinkRun(Self.required)
        let builder = BatchBuilder()
        let first = SinkRun.inserts(1...5, into: builder)
        let second = SinkRun.inserts(6...9, into: builder)
        try run.deliver(first, second)
        let config = ConnectorConfig(run.properties)
        for cursor in [first.end, nil] {
            try KafkaSinkPlugin().alterOffsets(config, source: run.source, to: cursor, logID: 1, run.context)
            let sink = try run.makeSink()
            defer { sink.stop() }
            #expect(try sink.start(after: nil, logID: 1) == cursor)
        }
    }

    @Test func manyTransactionsOfTheSourceShareOneOfKafka() throws {
        let run = try SinkRun(Self.required, kafka: MockKafka(topics: [Self.topic: 1]))
        try run.deliver(SinkRun.inserts(1...2000, into: BatchBuilder()))
        #expect(try run.records().count == 2000)
        #expect(try run.records(of: "millrace-offsets").count < 20)
    }
}
