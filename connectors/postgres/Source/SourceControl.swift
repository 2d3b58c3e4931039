internal import MillraceCore

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// How the source's thread is asked to stop: a flag, and an event for the wait on the socket. Asked again a second later, or
/// after that, it cuts the connections whose server does not answer.
final class SourceControl: Sendable {
    /// Becomes readable at the stop, and stays so: the end of a pipe.
    let event: Int32
    private let eventSource: Int32
    private let state = Monitor(State())

    private struct State {
        var isStopped = false
        /// Undoes what blocks just now.
        var interrupt: (@Sendable () -> Void)?
        var stoppedAt: UInt64 = 0
        var connections: [Open] = []
    }

    private struct Open {
        weak var connection: PostgresConnection?
    }

    private static let patience: UInt64 = 1_000_000_000

    init() {
        var ends: [Int32] = [-1, -1]
        let status = pipe(&ends)
        precondition(status == 0, "cannot create a pipe: error \(errno)")
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        event = ends[0]
        eventSource = ends[1]
    }

    deinit {
        close(event)
        close(eventSource)
    }

    var isStopped: Bool { state.read { $0.isStopped } }

    func stop() {
        let now = monotonicNanoseconds()
        let (interrupt, stuck) = state.update { state -> ((@Sendable () -> Void)?, [PostgresConnection]) in
            if !state.isStopped { state.stoppedAt = now }
            state.isStopped = true
            let isStuck = now &- state.stoppedAt >= Self.patience
            return (state.interrupt, isStuck ? state.connections.compactMap(\.connection) : [])
        }
        var one: UInt8 = 1
        // It cannot fail but for a full pipe, which is readable as well.
        _ = write(eventSource, &one, 1)
        interrupt?()
        for connection in stuck { connection.interrupt() }
    }

    /// A connection on which the source's thread may block.
    func watch(_ connection: PostgresConnection) {
        state.update { state in
            state.connections.removeAll { $0.connection == nil }
            state.connections.append(Open(connection: connection))
        }
    }

    /// Runs blocking code that `interrupt` makes return with an error; what it throws after a stop is `stopped`.
    func interruptible<Result>(
        _ interrupt: @escaping @Sendable () -> Void, _ body: () throws(ConnectorError) -> Result
    ) throws(ConnectorError) -> Result {
        let isStopped = state.update { state in
            state.interrupt = interrupt
            return state.isStopped
        }
        defer { state.update { $0.interrupt = nil } }
        guard !isStopped else { throw .stopped }
        do {
            return try body()
        } catch {
            throw self.isStopped ? .stopped : error
        }
    }

    /// Waits; false if it was asked to stop meanwhile.
    func pause(for duration: Duration) -> Bool {
        state.wait(for: duration) { $0.isStopped ? true : nil } == nil
    }
}

/// Nanoseconds of a clock that never goes back.
func monotonicNanoseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) &* 1_000_000_000 &+ UInt64(now.tv_nsec)
}

/// The time of day, for what the server shows of us.
func currentTimestamp() -> Timestamp {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return Timestamp(microsecondsSince1970: Int64(now.tv_sec) &* 1_000_000 &+ Int64(now.tv_nsec) / 1_000)
}
