/// Brings the changes of one log to one foreign system. Used by one thread, its task's; `interrupt` excepted.
package protocol Sink: AnyObject, Sendable {
    /// Connects. `stored` is the last cursor that the runtime knows of. A sink that keeps its cursor with its data returns
    /// that newer truth; reading goes on behind what is returned (nil: from the beginning of the log).
    /// `logID` names the log that will be read: a cursor of another log means nothing.
    func start(after stored: Cursor?, logID: UInt64) throws(ConnectorError) -> Cursor?

    /// Takes the next stretch of the log. May keep the batch for later (`accepted`).
    func write(_ batch: ChangeBatch) throws(ConnectorError) -> Delivery

    /// Barrier: makes durable everything accepted that may be shown, and says how far that is (nil: nothing yet).
    /// Called when the log has nothing more just now, and before an orderly stop.
    func flush() throws(ConnectorError) -> Cursor?

    /// Called often while there is nothing to write, for what goes by time (file rotation, keepalives of connections).
    func tick() throws(ConnectorError) -> Cursor?

    /// Gives back connections and files. Called once, also after an error.
    func stop()

    /// Makes a blocking call in `write`, `flush` or `start` return soon (with an error). Callable from any thread.
    func interrupt()

    /// What is going on, for status and metrics. Callable from any thread.
    func status() -> SinkStatus

    /// Bytes of log that this sink likes to get in one batch.
    var batchByteLimit: Int { get }

    /// How long there must have been nothing to write before `flush` is called to make durable what was accepted.
    var flushPause: Duration { get }
}

extension Sink {
    package var batchByteLimit: Int { 4 << 20 }
    package var flushPause: Duration { .zero }
}

/// What became of a batch.
package enum Delivery: Hashable, Sendable {
    /// Taken, but it may still be lost: the log must keep it.
    case accepted
    /// Everything up to and including this place will survive. Cumulative.
    case durable(through: Cursor)
}

/// What a sink is doing.
package struct SinkStatus: Sendable {
    /// A table that was stopped because the other side refused a row of it.
    package struct SuspendedTable: Hashable, Sendable {
        /// The source's `schema.table`.
        package var table: String
        /// `<commit LSN>:<ordinal>` of the change that was refused.
        package var position: String
        /// What was refused and why; the row's key, never its other values.
        package var reason: String

        package init(table: String, position: String, reason: String) {
            self.table = table
            self.position = position
            self.reason = reason
        }
    }

    package var changes: UInt64
    package var transactions: UInt64
    package var bytes: UInt64
    package var suspended: [SuspendedTable]
    /// Changes applied per source table (`schema.table`).
    package var changesByTable: [String: UInt64]
    /// What it waits for while it runs, and tries again by itself: the other side is away. Nil: nothing.
    package var trouble: ConnectorError?

    package init(
        changes: UInt64 = 0, transactions: UInt64 = 0, bytes: UInt64 = 0, suspended: [SuspendedTable] = [],
        changesByTable: [String: UInt64] = [:], trouble: ConnectorError? = nil
    ) {
        self.changes = changes
        self.transactions = transactions
        self.bytes = bytes
        self.suspended = suspended
        self.changesByTable = changesByTable
        self.trouble = trouble
    }
}
