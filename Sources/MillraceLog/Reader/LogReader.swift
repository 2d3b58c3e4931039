package import MillraceCore

/// Reads one log in order. Used by one thread, `interrupt` excepted.
// SAFETY: placeholder.
package final class LogReader<Storage: LogStorage>: @unchecked Sendable {
    init() {}

    /// Behind what `next` has returned.
    package var position: Cursor { Cursor(logID: 0, offset: 0, commitLSN: .zero, ordinal: 0) }

    /// The next stretch of durable log: as many frames as fit into `byteLimit`, at least one. Waits for one; nil when
    /// `timeout` has passed or `interrupt` was called.
    package func next(byteLimit: Int, timeout: Duration) throws(LogError) -> ChangeBatch? { nil }

    /// Makes the call of `next` that runs, or the next one, return nil at once. Callable from any thread.
    package func interrupt() {}
}
