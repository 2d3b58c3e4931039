internal import MillraceCore

/// How a full load is stopped: by the task, or by the first error of one of its threads.
final class SnapshotControl: Sendable {
    private struct State {
        var isStopped = false
        var failure: ConnectorError?
        var connections: [PostgresConnection] = []
        var nextPiece = 0
    }

    private let state = Monitor(State())

    var isStopped: Bool { state.read { $0.isStopped } }
    var failure: ConnectorError? { state.read { $0.failure } }

    /// The number of the next piece to read; nil after a stop.
    func takePiece() -> Int? {
        state.update { state in
            guard !state.isStopped else { return nil }
            defer { state.nextPiece += 1 }
            return state.nextPiece
        }
    }

    /// A connection that `stop` cuts, kept open until `release`. Throws `stopped` if that has happened already.
    func add(_ connection: PostgresConnection) throws(ConnectorError) {
        try state.update { state throws(ConnectorError) in
            if state.isStopped { throw .stopped }
            state.connections.append(connection)
        }
    }

    /// Lets go of the connections, and so of the snapshot: the server need not keep old rows any longer.
    func release() {
        state.update { $0.connections = [] }
    }

    /// The first error wins: those that the others report afterwards come from being stopped.
    func fail(_ error: ConnectorError) {
        state.update { state in
            if state.failure == nil, !state.isStopped { state.failure = error }
        }
        stop()
    }

    func stop() {
        let connections = state.update { state in
            state.isStopped = true
            defer { state.connections = [] }
            return state.connections
        }
        for connection in connections { connection.interrupt() }
    }
}
