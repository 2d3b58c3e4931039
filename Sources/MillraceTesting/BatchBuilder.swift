package import MillraceCore

/// Makes `ChangeBatch`es from readable Swift, without a log:
///
///     let builder = BatchBuilder(logID: 7)
///     builder.transaction(lsn: 100) {
///         $0.relation(customers)
///         $0.insert(customers, ["1", "Ada"])
///         $0.update(customers, new: ["1", .unchanged])
///     }
///     let batch = builder.build()
///
/// After `build()` the builder goes on behind that batch, with the relations that were written so far.
package final class BatchBuilder {
    private let logID: UInt64
    private var startOffset: UInt64
    private var buffer = RecordBuffer()
    private var relationsBefore: [RelationID: Relation] = [:]
    private var relationsNow: [RelationID: Relation] = [:]
    private var lastCommitTime: Timestamp?
    private var lastLSN = LSN.zero
    private var ordinal: UInt64 = 0
    private var nextXID: UInt32 = 700

    /// `startOffset`: bytes of log before the first batch.
    package init(logID: UInt64 = 1, startOffset: UInt64 = 0) {
        self.logID = logID
        self.startOffset = startOffset
    }

    /// Writes the definition of a table at this place of the log, between transactions.
    @discardableResult
    package func relation(_ relation: Relation) -> Self {
        buffer.relation(relation)
        relationsNow[relation.id] = relation
        return self
    }

    /// A transaction that commits at `lsn` (and ends 8 bytes behind it).
    ///
    /// `commit: false` leaves it open, so that the batch ends inside it; go on in the next batch with the same `lsn` and
    /// `firstOrdinal:` the changes so far, which restates its beginning as the log does.
    @discardableResult
    package func transaction(
        lsn: UInt64, xid: UInt32? = nil, flags: TransactionInfo.Flags = [], firstOrdinal: UInt64 = 0,
        commitTime: Timestamp? = nil, commit: Bool = true, _ body: (TransactionBuilder) -> Void
    ) -> Self {
        var flags = flags
        if firstOrdinal > 0 && !flags.contains(.snapshot) { flags.insert(.continued) }
        nextXID += 1
        let time = commitTime ?? Timestamp(microsecondsSince2000: 800_000_000_000_000 + Int64(lsn) * 1000)
        let transaction = TransactionBuilder(
            TransactionInfo(
                flags: flags, xid: xid ?? nextXID, commitLSN: LSN(lsn), endLSN: LSN(lsn + 8), commitTime: time,
                firstOrdinal: firstOrdinal),
            into: buffer)
        body(transaction)
        relationsNow.merge(transaction.relations) { $1 }
        if commit { transaction.commit() }
        lastCommitTime = time
        lastLSN = LSN(lsn)
        ordinal = transaction.changeCount
        return self
    }

    /// Part of a full load that is consistent with `lsn`; `firstOrdinal`: rows of the load before this part.
    @discardableResult
    package func snapshot(
        lsn: UInt64, firstOrdinal: UInt64 = 0, _ body: (TransactionBuilder) -> Void
    ) -> Self {
        transaction(lsn: lsn, xid: 0, flags: .snapshot, firstOrdinal: firstOrdinal, body)
    }

    package func build() -> ChangeBatch {
        let count = buffer.count
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: max(count, 1), alignment: 16)
        bytes.copyMemory(from: buffer.bytes)
        let batch = ChangeBatch(
            adopting: bytes, count: count, runs: [.init(byteIndex: 0, logOffset: startOffset)], logID: logID,
            relations: relationsBefore,
            end: Cursor(logID: logID, offset: startOffset + UInt64(count), commitLSN: lastLSN, ordinal: ordinal),
            endsInTransaction: buffer.endsInTransaction, lastCommitTime: lastCommitTime)
        startOffset += UInt64(count)
        relationsBefore.merge(relationsNow) { $1 }
        buffer = RecordBuffer()
        return batch
    }
}
