#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A value behind a lock, with a way to wait until it satisfies a condition (C.A.R. Hoare's monitor).
///
/// For the data plane's own threads; async code must not wait on one.
// SAFETY: `state` is touched only with `mutex` held.
package final class Monitor<State>: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>
    private var state: State

    package init(_ state: State) {
        self.state = state
        mutex = .allocate(capacity: 1)
        changed = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        // A clock that steps must not shorten or lengthen a wait.
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Reads the state.
    package func read<Result, Failure: Error>(_ body: (State) throws(Failure) -> Result) throws(Failure) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(state)
    }

    /// Changes the state and wakes everyone who waits for a change.
    package func update<Result, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(changed)
            pthread_mutex_unlock(mutex)
        }
        return try body(&state)
    }

    /// Waits until `body` returns something, and returns that; nil when `timeout` has passed first (nil: no limit).
    /// `body` may change the state; others are woken only if it returned something.
    package func wait<Result>(for timeout: Duration? = nil, until body: (inout State) -> Result?) -> Result? {
        let deadline = timeout.map { Self.deadline(in: $0) }
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = body(&state) {
                pthread_cond_broadcast(changed)
                return result
            }
            if var deadline {
                if pthread_cond_timedwait(changed, mutex, &deadline) == ETIMEDOUT {
                    let result = body(&state)
                    if result != nil { pthread_cond_broadcast(changed) }
                    return result
                }
            } else {
                pthread_cond_wait(changed, mutex)
            }
        }
    }

    private static func deadline(in duration: Duration) -> timespec {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        let (seconds, attoseconds) = duration.components
        // A wait of a century is as good as one without a limit, and cannot overflow.
        now.tv_sec += Int(min(max(seconds, 0), 3_000_000_000))
        now.tv_nsec += Int(max(attoseconds, 0) / 1_000_000_000)
        if now.tv_nsec >= 1_000_000_000 {
            now.tv_sec += 1
            now.tv_nsec -= 1_000_000_000
        }
        return now
    }
}
