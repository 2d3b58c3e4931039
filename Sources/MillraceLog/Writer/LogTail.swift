import MillraceCore

/// The segment that frames are appended to.
struct ActiveSegment<File: Sendable> {
    var file: File
    var path: String
    var header: SegmentHeader
    var contentLength: UInt64 = 0
    var relationLink: UInt64 = 0
    var statePosition: UInt64 = 0
    var commitCount: UInt64 = 0
    var changeCount: UInt64 = 0

    var position: UInt64 { UInt64(SegmentHeader.size) + contentLength }
}

/// The end of the log: all that going back to an earlier end has to bring back.
struct LogTail<File: Sendable> {
    /// Nil where the newest segment is sealed: the next append begins another.
    var active: ActiveSegment<File>?
    /// First offset of the newest segment.
    var segmentStart: UInt64
    var offset: UInt64
    var transaction = TransactionTail()
    /// The source's state as last appended.
    var state: [UInt8] = []
    /// Newest definition of each relation, as a record.
    var definitions: [UInt32: [UInt8]] = [:]
    /// Relations whose newest definition can be found in the newest segment.
    var stated: Set<UInt32> = []

    func cursor(_ logID: UInt64) -> Cursor {
        Cursor(logID: logID, offset: offset, commitLSN: transaction.commitLSN, ordinal: transaction.ordinal)
    }

    func recovered(_ logID: UInt64) -> RecoveredLog {
        let isEmpty = transaction.lastCommitLSN == .zero
        return RecoveredLog(
            logID: logID, lastCommitLSN: isEmpty ? nil : transaction.lastCommitLSN,
            lastEndLSN: isEmpty ? nil : transaction.lastEndLSN, lastOrdinal: transaction.lastOrdinal,
            sourceState: state, relations: relations)
    }

    /// The records were checked when they were written or read.
    private var relations: [RelationID: Relation] {
        var book = RelationBook()
        for record in definitions.values {
            _ = record.withUnsafeBytes { record in try? book.learn(record) }
        }
        return book.relations
    }
}
