import MillraceCore
import MillraceTesting
import Testing

/// The conformance suite judges the double that the other tests rely on, and must find what is wrong with worse ones.
@Suite struct SinkConformanceTests {
    private func findings(
        flushes: Bool = false, wrap: @escaping (any Sink) -> any Sink = { $0 }
    ) throws -> [String] {
        try SinkConformance {
            let target = RecordingTarget()
            return .init(
                makeSink: { wrap(RecordingSink(target, flushes: flushes)) }, rows: { target.tables.sorted($0) })
        }.run()
    }

    @Test(arguments: [true, false])
    func theRecordingSinkConforms(flushes: Bool) throws {
        #expect(try findings(flushes: flushes) == [])
    }

    @Test func troubleOnDemandComesInOrderAndAfterTheWorkWhereItSaysSo() throws {
        let trouble = ConnectorError(.transient, code: "gone", "gone")
        let target = RecordingTarget()
        let plan = Monitor<[SinkFault]>([.reject(trouble), .failAfterWork(trouble), .none])
        let sink = FaultySink(RecordingSink(target), plan: plan)
        #expect(try sink.start(after: nil, logID: 1) == nil)
        let table = Relation.table(1, "t", [.int4("id", key: true)])
        let batch = BatchBuilder().relation(table).transaction(lsn: 1) { $0.insert(table, ["1"]) }.build()
        #expect(throws: trouble) { _ = try sink.write(batch) }
        #expect(target.history.isEmpty)
        #expect(throws: trouble) { _ = try sink.write(batch) }
        #expect(target.history.count == 1)
        #expect(target.cursor == batch.end)
        #expect(try sink.write(batch) == .durable(through: batch.end))
        sink.stop()
    }

    @Test func aSinkThatForgetsItsCursorIsFound() throws {
        let found = try findings { ForgetfulSink($0) }
        #expect(found.contains { $0.hasPrefix("an older stored cursor") })
    }

    @Test func aSinkThatPromisesTooMuchIsFound() throws {
        let found = try findings { BoastfulSink($0) }
        #expect(found.contains { $0.hasPrefix("a transaction in several batches") })
    }

    // SAFETY: the one property is set once; so are those of the subclasses, which have none.
    private class Wrapper: Sink, @unchecked Sendable {
        let sink: any Sink
        init(_ sink: any Sink) { self.sink = sink }
        func start(after stored: Cursor?, logID: UInt64) throws(ConnectorError) -> Cursor? {
            try sink.start(after: stored, logID: logID)
        }
        func write(_ batch: ChangeBatch) throws(ConnectorError) -> Delivery { try sink.write(batch) }
        func flush() throws(ConnectorError) -> Cursor? { try sink.flush() }
        func tick() throws(ConnectorError) -> Cursor? { try sink.tick() }
        func stop() { sink.stop() }
        func interrupt() { sink.interrupt() }
        func status() -> SinkStatus { sink.status() }
    }

    // SAFETY: as `Wrapper`.
    private final class ForgetfulSink: Wrapper, @unchecked Sendable {
        override func start(after stored: Cursor?, logID: UInt64) throws(ConnectorError) -> Cursor? {
            _ = try sink.start(after: stored, logID: logID)
            return stored
        }
    }

    // SAFETY: as `Wrapper`.
    private final class BoastfulSink: Wrapper, @unchecked Sendable {
        override func write(_ batch: ChangeBatch) throws(ConnectorError) -> Delivery {
            _ = try sink.write(batch)
            return .durable(through: batch.end)
        }
    }
}
