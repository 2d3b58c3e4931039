package import MillraceCore

/// The durable, ordered change log of one source: DESIGN §5, docs/LOG_FORMAT.md.
///
/// One thread at a time writes (append, flush, roll back, reset, trim); any thread may ask for what is known, make readers
/// and spools.
package final class ChangeLog<Storage: LogStorage>: Sendable {
    /// One file of the log.
    package struct SegmentInfo: Hashable, Sendable {
        package var name: String
        /// Log offset of its first byte of content.
        package var start: UInt64
        /// Log offset behind its content.
        package var end: UInt64
        /// Size of the file.
        package var byteCount: UInt64
        package var isSealed: Bool
        /// Commit time of the newest transaction that ends in it; nil for none.
        package var newestCommitTime: Timestamp?
        /// Last write, in seconds since 1970.
        package var modificationTime: Int64
    }

    /// Opens the log in `directory`; makes it, directory included, where there is none.
    package static func open(
        directory: String, options: LogOptions = LogOptions(), storage: Storage
    ) throws(LogError) -> ChangeLog {
        throw .failed(reason: "not built yet")
    }

    /// What the log held when it was opened, or after `reset`.
    package var recovered: RecoveredLog { RecoveredLog(logID: 0) }
    package var id: UInt64 { 0 }
    /// Behind the last transaction that is fsynced: where readers stop.
    package var durable: Cursor { Cursor(logID: 0, offset: 0, commitLSN: .zero, ordinal: 0) }
    /// The oldest retained place.
    package var start: Cursor { Cursor(logID: 0, offset: 0, commitLSN: .zero, ordinal: 0) }
    /// Bytes on disk, spools included.
    package var byteCount: UInt64 { 0 }
    package var segments: [SegmentInfo] { [] }

    /// Appends records; not durable before `flush`. The buffer may end inside a transaction, which the next one goes on
    /// with. All of it is taken, or (after an error) nothing.
    package func append(_ buffer: RecordBuffer) throws(LogError) { throw .failed(reason: "not built yet") }

    /// Appends a spooled transaction whole, begin and commit included.
    package func append(_ spool: LogSpool<Storage>, _ info: TransactionInfo) throws(LogError) {
        throw .failed(reason: "not built yet")
    }

    /// Takes back what was appended of a transaction whose end has not been appended.
    package func rollBackOpenTransaction() throws(LogError) { throw .failed(reason: "not built yet") }

    /// Makes everything appended durable and shows complete transactions to readers. Returns `durable`.
    @discardableResult
    package func flush() throws(LogError) -> Cursor { throw .failed(reason: "not built yet") }

    /// A place for a transaction that is received before its commit. Callable from any thread.
    package func makeSpool(xid: UInt32) throws(LogError) -> LogSpool<Storage> {
        throw .failed(reason: "not built yet")
    }

    /// Discards everything and begins anew under another id.
    package func reset() throws(LogError) { throw .failed(reason: "not built yet") }

    /// Removes whole sealed segments that end at or before `offset`, but never the newest. Returns the bytes freed.
    @discardableResult
    package func trim(before offset: UInt64) throws(LogError) -> UInt64 { throw .failed(reason: "not built yet") }

    /// A reader behind `cursor`; nil: from the oldest retained transaction.
    package func makeReader(after cursor: Cursor?) throws(LogError) -> LogReader<Storage> {
        throw .failed(reason: "not built yet")
    }
}

package typealias FileChangeLog = ChangeLog<FileStorage>
