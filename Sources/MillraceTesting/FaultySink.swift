package import MillraceCore

/// What goes wrong with one write.
package enum SinkFault: Sendable {
    /// Nothing.
    case none
    /// It is refused before anything was done.
    case reject(ConnectorError)
    /// Everything was done, and then the answer was lost.
    case failAfterWork(ConnectorError)
}

/// A sink that has trouble on demand around a real one.
package final class FaultySink: Sink {
    private let sink: any Sink
    private let plan: Monitor<[SinkFault]>

    /// `plan`: faults of the next writes, in order; shared by the sinks that come after errors.
    package init(_ sink: any Sink, plan: Monitor<[SinkFault]>) {
        self.sink = sink
        self.plan = plan
    }

    package var batchByteLimit: Int { sink.batchByteLimit }

    package func start(after stored: Cursor?, logID: UInt64) throws(ConnectorError) -> Cursor? {
        try sink.start(after: stored, logID: logID)
    }

    package func write(_ batch: ChangeBatch) throws(ConnectorError) -> Delivery {
        switch plan.update({ $0.isEmpty ? .none : $0.removeFirst() }) {
        case .none:
            return try sink.write(batch)
        case .reject(let error):
            throw error
        case .failAfterWork(let error):
            _ = try sink.write(batch)
            _ = try sink.flush()
            throw error
        }
    }

    package func flush() throws(ConnectorError) -> Cursor? { try sink.flush() }
    package func tick() throws(ConnectorError) -> Cursor? { try sink.tick() }
    package func stop() { sink.stop() }
    package func interrupt() { sink.interrupt() }
    package func status() -> SinkStatus { sink.status() }
}
