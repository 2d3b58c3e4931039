package import MillraceCore

/// The durable, ordered change log of one source: DESIGN §5, docs/LOG_FORMAT.md.
///
/// One thread at a time writes (append, flush, roll back, reset, trim); any thread may ask for what is known, make readers
/// and spools.
// SAFETY: `writer` is used by the one writing thread only; everything else is behind locks (`LogState`).
package final class ChangeLog<Storage: LogStorage>: @unchecked Sendable {
    package typealias SegmentInfo = LogSegmentInfo

    private let shared: LogState<Storage>
    private let writer: LogWriter<Storage>

    private init(_ shared: LogState<Storage>, _ writer: LogWriter<Storage>) {
        self.shared = shared
        self.writer = writer
    }

    /// Opens the log in `directory`; makes it, directory included, where there is none. What a crash left unfinished is
    /// taken back; damage is refused. Nobody else may have the directory open for writing.
    package static func open(
        directory: String, options: LogOptions = LogOptions(), storage: Storage
    ) throws(LogError) -> ChangeLog {
        let shared = LogState(directory: directory, options: options, storage: storage)
        return ChangeLog(shared, try LogRecovery.open(shared))
    }

    // MARK: Any thread

    /// What the log held when it was opened, or after `reset`.
    package var recovered: RecoveredLog { shared.horizon.read { $0.recovered } }

    package var id: UInt64 { shared.horizon.read { $0.durable.logID } }

    /// Behind the last complete transaction that is fsynced: where readers stop.
    package var durable: Cursor { shared.horizon.read { $0.durable } }

    /// The oldest retained place.
    package var start: Cursor {
        // In the order in which a reset changes them: the log's id and its first segment belong together.
        shared.horizon.read { horizon in
            shared.ledger.read { ledger in
                let first = ledger.segments.first
                return Cursor(
                    logID: horizon.durable.logID, offset: first?.start ?? 0, commitLSN: first?.startLSN ?? .zero,
                    ordinal: first?.startOrdinal ?? 0)
            }
        }
    }

    /// Whether anything was removed from its beginning. Neither offsets nor LSNs tell: offsets go on when a log is begun
    /// anew, and there is no LSN before a place inside the first transaction.
    package var isTrimmed: Bool { shared.ledger.read { $0.segments.first.map { !$0.isFirst } ?? false } }

    /// Bytes on disk, spools included.
    package var byteCount: UInt64 {
        shared.ledger.read { ledger in ledger.segments.reduce(ledger.spoolBytes) { $0 + $1.byteCount } }
    }

    /// Oldest first.
    package var segments: [SegmentInfo] { shared.ledger.read { $0.segments } }

    /// A place for a transaction that is received before its commit.
    package func makeSpool(xid: UInt32) throws(LogError) -> LogSpool<Storage> {
        LogSpool(shared, xid: xid)
    }

    /// A reader behind `cursor`; nil: from the oldest retained transaction. A cursor of another log, of what has been
    /// trimmed, or beyond the end is an error.
    package func makeReader(after cursor: Cursor?) throws(LogError) -> LogReader<Storage> {
        let durable = durable
        let start = start
        guard let cursor else { return LogReader(shared, start, skipsToBoundary: true) }
        guard cursor.logID == durable.logID else {
            throw .cursor(
                reason: "\(cursor) belongs to log \(String(cursor.logID, radix: 16)), this one is "
                    + String(durable.logID, radix: 16))
        }
        guard cursor.offset >= start.offset else {
            throw .cursor(reason: "\(cursor) has been trimmed away; the log begins at \(start)")
        }
        guard cursor.offset <= durable.offset else {
            throw .cursor(
                reason: "\(cursor) lies behind the log's end, \(durable); was the log restored from an older copy?")
        }
        return LogReader(shared, cursor, skipsToBoundary: false)
    }

    // MARK: The writing thread

    /// Appends records; not durable before `flush`. The buffer may end inside a transaction, which the next one goes on
    /// with. All of it is taken, or (after an error) nothing.
    package func append(_ buffer: RecordBuffer) throws(LogError) {
        try writer.append(buffer.bytes, used: buffer.usedRelations)
    }

    /// Appends a spooled transaction whole, begin and commit included. The spool is over then. After `noSpace` it is as
    /// before, and the call may be repeated.
    package func append(_ spool: LogSpool<Storage>, _ info: TransactionInfo) throws(LogError) {
        try writer.append(spool, info)
    }

    /// Takes back what was appended of a transaction whose end has not been appended.
    package func rollBackOpenTransaction() throws(LogError) {
        try writer.rollBackOpenTransaction()
    }

    /// Makes everything appended durable and shows complete transactions to readers. Returns `durable`.
    @discardableResult
    package func flush() throws(LogError) -> Cursor {
        try writer.flush()
    }

    /// Discards everything and begins anew under another id. Readers of the old log get `discarded`.
    package func reset() throws(LogError) {
        try writer.reset()
    }

    /// Removes whole sealed segments that end at or before `offset`, but never the newest. Returns the bytes freed.
    @discardableResult
    package func trim(before offset: UInt64) throws(LogError) -> UInt64 {
        try writer.trim(before: offset)
    }
}

package typealias FileChangeLog = ChangeLog<FileStorage>
