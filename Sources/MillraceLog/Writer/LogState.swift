package import MillraceCore

/// One file of the log.
package struct LogSegmentInfo: Hashable, Sendable {
    package var name: String
    /// Log offset of its first byte of content.
    package var start: UInt64
    /// Log offset behind its content.
    package var end: UInt64
    /// Size of the file.
    package var byteCount: UInt64
    package var isSealed: Bool
    /// Whether the log began with it.
    package var isFirst: Bool
    /// Commit time of the newest transaction that ends in it; nil for none.
    package var newestCommitTime: Timestamp?
    /// Last write, in seconds since 1970.
    package var modificationTime: Int64
    /// Where the log stood before it, in the source's terms.
    package var startLSN: LSN
    package var startOrdinal: UInt64
}

/// What all threads know of a log.
final class LogState<Storage: LogStorage>: Sendable {
    /// Which files there are.
    struct Ledger {
        /// Oldest first; never empty once the log is open.
        var segments: [LogSegmentInfo] = []
        var spoolBytes: UInt64 = 0
    }

    /// How far readers may go. Apart from the ledger, so that readers are woken only when there is something to read.
    struct Horizon {
        var durable: Cursor
        var recovered: RecoveredLog
        /// Readers that were told to return.
        var interrupted: Set<UInt64> = []
        var readersMade: UInt64 = 0
    }

    let directory: String
    let options: LogOptions
    let storage: Storage
    let ledger = Monitor(Ledger())
    let horizon: Monitor<Horizon>
    let reads: SharedReads<Storage>

    init(directory: String, options: LogOptions, storage: Storage) {
        self.directory = directory
        self.options = options
        self.storage = storage
        reads = SharedReads(byteLimit: options.sharedReadByteLimit)
        let nowhere = Cursor(logID: 0, offset: 0, commitLSN: .zero, ordinal: 0)
        horizon = Monitor(Horizon(durable: nowhere, recovered: RecoveredLog(logID: 0)))
    }

    func path(_ name: String) -> String { directory + "/" + name }

    /// The segment that holds `offset`, which may be its end if it is the last.
    func segment(holding offset: UInt64) -> LogSegmentInfo? {
        ledger.read { ledger in
            guard let index = ledger.segments.lastIndex(where: { $0.start <= offset }) else { return nil }
            let segment = ledger.segments[index]
            return offset <= segment.end ? segment : nil
        }
    }
}
