import MillraceCore
import MillraceLog

/// What the runtime asks of a change log. Callable from any thread: whoever implements it lets one writer in at a time.
protocol ReplicationLog: AnyObject, Sendable {
    /// What the log held when it was opened, or after `reset`.
    var recovered: RecoveredLog { get }
    var id: UInt64 { get }
    var start: Cursor { get }
    /// Whether changes were removed from its beginning.
    var isTrimmed: Bool { get }
    var durable: Cursor { get }
    var byteCount: UInt64 { get }
    var segmentCount: Int { get }
    /// About when the transaction before `offset` was committed: for the lag of a sink that has not delivered anything
    /// since the server started. Nil where the log does not know.
    func commitTime(before offset: UInt64) -> Timestamp?
    /// Whole files, oldest first. `now`: seconds since 1970.
    func segments(now: Int64) -> [Retention.Segment]

    func append(_ buffer: RecordBuffer) throws(LogError)
    func append(_ spool: any TransactionSpool, _ info: TransactionInfo) throws(LogError)
    func rollBackOpenTransaction() throws(LogError)
    func flush() throws(LogError) -> Cursor
    func makeSpool(xid: UInt32) throws(LogError) -> any TransactionSpool
    /// Whether so many bytes more would touch the space that others need on the disk.
    func lacksRoom(for byteCount: Int) -> Bool
    func reset() throws(LogError)
    func trim(before offset: UInt64) throws(LogError) -> UInt64
    func makeReader(after cursor: Cursor?) throws(LogError) -> any BatchReader
}

/// Reads a log in order: what a sink task asks of a reader. Used by one thread, `interrupt` excepted.
protocol BatchReader: AnyObject, Sendable {
    func next(byteLimit: Int, timeout: Duration) throws(LogError) -> ChangeBatch?
    func interrupt()
}

extension LogReader: BatchReader {}

/// The change log on disk. Readers are not held up by writers; writers take turns.
final class DiskLog<Storage: LogStorage>: ReplicationLog {
    private let log: ChangeLog<Storage>
    private let directory: String
    /// Whether so many more bytes would leave too little space on the disk for everything else.
    private let reserveIsReached: @Sendable (Int) -> Bool
    /// Held while something is written, for as long as an fsync takes: only for threads that may wait that long.
    private let writing = Monitor(())

    init(
        directory: String, options: LogOptions, storage: Storage, reserveIsReached: @escaping @Sendable (Int) -> Bool
    ) throws(LogError) {
        self.directory = directory
        self.reserveIsReached = reserveIsReached
        log = try ChangeLog.open(directory: directory, options: options, storage: storage)
    }

    var recovered: RecoveredLog { log.recovered }
    var id: UInt64 { log.id }
    var start: Cursor { log.start }

    var isTrimmed: Bool { log.isTrimmed }

    var durable: Cursor { log.durable }
    var byteCount: UInt64 { log.byteCount }
    var segmentCount: Int { log.segments.count }

    func segments(now: Int64) -> [Retention.Segment] {
        log.segments.map {
            Retention.Segment(
                end: $0.end, byteCount: $0.byteCount, isSealed: $0.isSealed,
                age: .seconds(max(0, now - $0.modificationTime)))
        }
    }

    func commitTime(before offset: UInt64) -> Timestamp? {
        let segments = log.segments
        let passed = segments.last { $0.end <= offset && $0.newestCommitTime != nil }
        return (passed ?? segments.first { $0.end > offset })?.newestCommitTime
    }

    func append(_ buffer: RecordBuffer) throws(LogError) {
        guard !lacksRoom(for: buffer.count) else { throw .noSpace(path: directory) }
        try writing.read { _ throws(LogError) in try log.append(buffer) }
    }

    func append(_ spool: any TransactionSpool, _ info: TransactionInfo) throws(LogError) {
        guard let spool = spool as? LogSpool<Storage> else { throw .misuse(reason: "a spool of another log") }
        try writing.read { _ throws(LogError) in try log.append(spool, info) }
    }

    func rollBackOpenTransaction() throws(LogError) {
        try writing.read { _ throws(LogError) in try log.rollBackOpenTransaction() }
    }

    func flush() throws(LogError) -> Cursor {
        try writing.read { _ throws(LogError) in try log.flush() }
    }

    func makeSpool(xid: UInt32) throws(LogError) -> any TransactionSpool {
        try log.makeSpool(xid: xid)
    }

    func lacksRoom(for byteCount: Int) -> Bool {
        reserveIsReached(byteCount)
    }

    func reset() throws(LogError) {
        try writing.read { _ throws(LogError) in try log.reset() }
    }

    func trim(before offset: UInt64) throws(LogError) -> UInt64 {
        try writing.read { _ throws(LogError) in try log.trim(before: offset) }
    }

    func makeReader(after cursor: Cursor?) throws(LogError) -> any BatchReader {
        try log.makeReader(after: cursor)
    }
}
