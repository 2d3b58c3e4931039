import MillraceCore

/// Where a log stands in the source's terms.
struct TransactionTail {
    /// The transaction that has begun and not ended.
    var open: TransactionInfo?
    /// Changes of `open` so far, its `firstOrdinal` included.
    var openOrdinal: UInt64 = 0
    // Of the last complete transaction; zeros before the first.
    var lastCommitLSN = LSN.zero
    var lastEndLSN = LSN.zero
    var lastOrdinal: UInt64 = 0
    var lastCommitTime = Timestamp(microsecondsSince2000: 0)

    /// Of the transaction that this place is in or behind.
    var commitLSN: LSN { open?.commitLSN ?? lastCommitLSN }
    var ordinal: UInt64 { open == nil ? lastOrdinal : openOrdinal }

    @inline(__always)
    mutating func begin(_ info: TransactionInfo) {
        open = info
        openOrdinal = info.firstOrdinal
    }

    /// Nothing where no transaction is open.
    @inline(__always)
    mutating func commit() {
        guard let info = open else { return }
        lastCommitLSN = info.commitLSN
        lastEndLSN = info.endLSN
        lastCommitTime = info.commitTime
        lastOrdinal = openOrdinal
        open = nil
    }
}

// The body of a begin record, which segment headers of spooled transactions hold too.
extension TransactionInfo {
    static let bodySize = 45
    /// With the record's own kind and length.
    static let recordSize = 50

    init(body: UnsafeRawBufferPointer) {
        self.init(
            flags: Flags(rawValue: body[0]), xid: body.number(at: 1), commitLSN: LSN(body.number(at: 5)),
            endLSN: LSN(body.number(at: 13)), commitTime: Timestamp(microsecondsSince2000: body.number(at: 21)),
            firstOrdinal: body.number(at: 29), originLSN: LSN(body.number(at: 37)))
    }

    func encodeBody(into target: UnsafeMutableRawBufferPointer) {
        target.store(flags.rawValue, at: 0)
        target.store(xid, at: 1)
        target.store(commitLSN.value, at: 5)
        target.store(endLSN.value, at: 13)
        target.store(commitTime.microsecondsSince2000, at: 21)
        target.store(firstOrdinal, at: 29)
        target.store(originLSN.value, at: 37)
    }

    func encodeRecord(into target: UnsafeMutableRawBufferPointer) {
        target.store(RecordKind.begin, at: 0)
        target.store(UInt32(Self.bodySize), at: 1)
        encodeBody(into: UnsafeMutableRawBufferPointer(rebasing: target[5..<Self.recordSize]))
    }

    /// The header that a frame restates which goes on with this transaction behind `ordinal` changes.
    func continued(at ordinal: UInt64) -> TransactionInfo {
        var info = self
        info.flags.insert(.continued)
        info.firstOrdinal = ordinal
        return info
    }
}
