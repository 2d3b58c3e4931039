import MillraceCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Makes the bytes of a batch out of the frames that were read into its buffer: their payloads move together.
final class BatchBytes {
    let bytes: UnsafeMutableRawBufferPointer
    private var isGiven = false
    private(set) var count = 0
    private(set) var runs: [ChangeBatch.Run] = []
    /// The relations before the first record.
    private(set) var relations: [RelationID: Relation] = [:]
    private(set) var endsInTransaction = false
    private(set) var lastCommitTime: Timestamp?

    init(byteCount: Int) {
        bytes = .allocate(byteCount: byteCount, alignment: 16)
    }

    deinit {
        if !isGiven { bytes.deallocate() }
    }

    var isEmpty: Bool { runs.isEmpty }

    /// Takes the records in `range` of `bytes`, which lies behind what was taken before.
    func take(_ range: Range<Int>, at logOffset: UInt64, known: [RelationID: Relation]) {
        if runs.isEmpty { relations = known }
        runs.append(ChangeBatch.Run(byteIndex: count, logOffset: logOffset))
        if let base = bytes.baseAddress, count != range.lowerBound {
            memmove(base + count, base + range.lowerBound, range.count)
        }
        count += range.count
    }

    func note(endsInTransaction: Bool, commitTime: Timestamp?) {
        self.endsInTransaction = endsInTransaction
        if let commitTime { lastCommitTime = commitTime }
    }

    /// The bytes now belong to the batch.
    func batch(end: Cursor) -> ChangeBatch {
        isGiven = true
        return ChangeBatch(
            adopting: bytes, count: count, runs: runs, logID: end.logID, relations: relations, end: end,
            endsInTransaction: endsInTransaction, lastCommitTime: lastCommitTime)
    }
}
