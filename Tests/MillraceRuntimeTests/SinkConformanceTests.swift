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

    @Test func aSinkThatForgetsItsCursorIsFound() throws {
        let found = try findings { ForgetfulSink($0) }
        #expect(found.contains { $0.hasPrefix("an older stored cursor") })
    }

    @Test func aSinkThatPromisesTooMuchIsFound() throws {
        let found = try findings { BoastfulSink($0) }
        #expect(found.contains { $0.hasPrefix("a transaction in several batches") })
    }

    private class Wrapper: Sink, @unchecked Sendable {
        // SAFETY: set once.
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

    private final class ForgetfulSink: Wrapper, @unchecked Sendable {
        override func start(after stored: Cursor?, logID: UInt64) throws(ConnectorError) -> Cursor? {
            _ = try sink.start(after: stored, logID: logID)
            return stored
        }
    }

    private final class BoastfulSink: Wrapper, @unchecked Sendable {
        override func write(_ batch: ChangeBatch) throws(ConnectorError) -> Delivery {
            _ = try sink.write(batch)
            return .durable(through: batch.end)
        }
    }
}
