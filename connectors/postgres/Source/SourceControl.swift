internal import MillraceCore

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// How the source's thread is asked to stop: a flag, and an event for the wait on the socket.
final class SourceControl: Sendable {
    /// Becomes readable at the stop, and stays so: the end of a pipe.
    let event: Int32
    private let eventSource: Int32
    private let state = Monitor(State())

    private struct State {
        var isStopped = false
        /// Undoes what blocks just now.
        var interrupt: (@Sendable () -> Void)?
    }

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
        let interrupt = state.update { state in
            state.isStopped = true
            return state.interrupt
        }
        var one: UInt8 = 1
        // It cannot fail but for a full pipe, which is readable as well.
        _ = write(eventSource, &one, 1)
        interrupt?()
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
