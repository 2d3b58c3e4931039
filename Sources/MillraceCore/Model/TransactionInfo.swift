/// What is known of a transaction before its changes are read.
package struct TransactionInfo: Hashable, Sendable {
    package struct Flags: OptionSet, Hashable, Sendable {
        package let rawValue: UInt8

        @inlinable
        package init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        /// Rows read by a full load, not changes made by a transaction of the source. All such transactions carry the
        /// LSN that the load is consistent with, and their ordinals run on from one to the next.
        package static let snapshot = Flags(rawValue: 1)
        /// A restated header: the transaction began in an earlier frame.
        package static let continued = Flags(rawValue: 2)
        /// A logical message that was emitted outside any transaction.
        package static let nonTransactional = Flags(rawValue: 4)
    }

    package var flags: Flags
    package var xid: UInt32
    /// LSN of the commit record: what orders transactions.
    package var commitLSN: LSN
    /// End of the commit record: where the source goes on after this transaction, and what is acknowledged for it.
    package var endLSN: LSN
    package var commitTime: Timestamp
    /// Ordinal of the first change that follows (0 but for continued headers and full loads).
    package var firstOrdinal: UInt64
    /// LSN at the replication origin, zero where the transaction was not itself replicated (pgoutput's Origin message).
    package var originLSN: LSN

    package init(
        flags: Flags, xid: UInt32, commitLSN: LSN, endLSN: LSN, commitTime: Timestamp, firstOrdinal: UInt64 = 0,
        originLSN: LSN = .zero
    ) {
        self.flags = flags
        self.xid = xid
        self.commitLSN = commitLSN
        self.endLSN = endLSN
        self.commitTime = commitTime
        self.firstOrdinal = firstOrdinal
        self.originLSN = originLSN
    }
}
