/// A stretch of the log as a sink gets it: one buffer of records, whole transactions but for those too large for one
/// batch, which come in several.
///
/// Immutable and reference-counted, so that it can be handed over without a copy.
// SAFETY: everything is set in the initialiser and never changed; the bytes are freed with the object.
package final class ChangeBatch: @unchecked Sendable {
    /// Where a run of adjacent bytes of `bytes` lies in the log.
    package struct Run: Sendable {
        package var byteIndex: Int
        package var logOffset: UInt64

        package init(byteIndex: Int, logOffset: UInt64) {
            self.byteIndex = byteIndex
            self.logOffset = logOffset
        }
    }

    package let bytes: UnsafeRawBufferPointer
    private let runs: [Run]
    package let logID: UInt64
    /// The relations as they were known before the first record. Records in the batch add to them.
    package let relations: [RelationID: Relation]
    /// Behind the last record.
    package let end: Cursor
    /// Whether the last record is followed by more of the same transaction: nothing of it may be shown yet.
    package let endsInTransaction: Bool
    /// Commit time of the newest transaction in the batch, for lag.
    package let lastCommitTime: Timestamp?

    /// Takes over `bytes`, which must have been allocated with `UnsafeMutableRawBufferPointer.allocate`.
    package init(
        adopting bytes: UnsafeMutableRawBufferPointer, count: Int, runs: [Run], logID: UInt64,
        relations: [RelationID: Relation], end: Cursor, endsInTransaction: Bool, lastCommitTime: Timestamp?
    ) {
        self.bytes = UnsafeRawBufferPointer(start: bytes.baseAddress, count: count)
        self.runs = runs
        self.logID = logID
        self.relations = relations
        self.end = end
        self.endsInTransaction = endsInTransaction
        self.lastCommitTime = lastCommitTime
    }

    deinit {
        bytes.baseAddress.map { UnsafeMutableRawPointer(mutating: $0).deallocate() }
    }

    /// The records, in order. Valid while the batch lives.
    package func records() -> RecordReader {
        RecordReader(bytes)
    }

    /// The cursor behind the record that ends at `byteIndex`, in the transaction `commitLSN` of which `ordinal` changes
    /// have been passed.
    package func cursor(behind byteIndex: Int, commitLSN: LSN, ordinal: UInt64) -> Cursor {
        if byteIndex == bytes.count { return end }
        var low = 0
        var high = runs.count - 1
        while low < high {
            let middle = (low + high + 1) / 2
            // A record that ends where a run ends is behind that run's bytes, not before the next run's.
            if runs[middle].byteIndex < byteIndex { low = middle } else { high = middle - 1 }
        }
        guard low < runs.count else { return end }
        let offset = runs[low].logOffset + UInt64(byteIndex - runs[low].byteIndex)
        return Cursor(logID: logID, offset: offset, commitLSN: commitLSN, ordinal: ordinal)
    }
}
