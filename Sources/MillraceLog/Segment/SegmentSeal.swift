import MillraceCore

/// The last 128 bytes of a sealed segment; docs/LOG_FORMAT.md has them as a table.
///
/// It is written and synced before the next segment gets its name: a segment with a successor is complete.
struct SegmentSeal {
    static let size = 128
    static let magic: UInt64 = 0x4D52_5345_414C_4544  // "MRSEALED"
    private static let endsInTransactionFlag: UInt32 = 1

    var endsInTransaction: Bool
    /// Bytes between the header and this seal.
    var contentLength: UInt64
    /// Where the log stands at the end: only what is complete.
    var after: TransactionTail
    /// End of the last complete transaction, in this segment or before it.
    var boundaryOffset: UInt64
    /// File position of the last frame with relations that is not the preamble; 0 for none.
    var relationLink: UInt64
    /// File position of the last frame with a source state; 0 for none.
    var statePosition: UInt64
    var commitCount: UInt64
    var changeCount: UInt64
    /// Commit time of the newest transaction that ends in this segment, valid if `commitCount` is not 0.
    var newestCommitTime: Timestamp

    func encode(salt: UInt64) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.size)
        bytes.withUnsafeMutableBytes { target in
            target.store(Self.magic, at: 0)
            target.store(endsInTransaction ? Self.endsInTransactionFlag : 0, at: 12)
            target.store(contentLength, at: 16)
            target.store(after.lastCommitLSN.value, at: 24)
            target.store(after.lastEndLSN.value, at: 32)
            target.store(after.lastOrdinal, at: 40)
            target.store(after.lastCommitTime.microsecondsSince2000, at: 48)
            target.store(boundaryOffset, at: 56)
            target.store(relationLink, at: 64)
            target.store(statePosition, at: 72)
            target.store(commitCount, at: 80)
            target.store(changeCount, at: 88)
            target.store(newestCommitTime.microsecondsSince2000, at: 96)
            let checksum = Self.checksum(UnsafeRawBufferPointer(target), salt: salt, contentLength: contentLength)
            target.store(checksum, at: 8)
        }
        return bytes
    }

    /// Nil where the bytes are no seal of the segment with this salt and this much content.
    init?(_ bytes: UnsafeRawBufferPointer, salt: UInt64, contentLength: UInt64) {
        guard bytes.count >= Self.size, bytes.number(at: 0, as: UInt64.self) == Self.magic,
            bytes.number(at: 8, as: UInt32.self)
                == Self.checksum(bytes, salt: salt, contentLength: contentLength),
            bytes.number(at: 16, as: UInt64.self) == contentLength
        else { return nil }
        endsInTransaction = bytes.number(at: 12, as: UInt32.self) & Self.endsInTransactionFlag != 0
        self.contentLength = contentLength
        after = TransactionTail()
        after.lastCommitLSN = LSN(bytes.number(at: 24))
        after.lastEndLSN = LSN(bytes.number(at: 32))
        after.lastOrdinal = bytes.number(at: 40)
        after.lastCommitTime = Timestamp(microsecondsSince2000: bytes.number(at: 48))
        boundaryOffset = bytes.number(at: 56)
        relationLink = bytes.number(at: 64)
        statePosition = bytes.number(at: 72)
        commitCount = bytes.number(at: 80)
        changeCount = bytes.number(at: 88)
        newestCommitTime = Timestamp(microsecondsSince2000: bytes.number(at: 96))
    }

    init(
        endsInTransaction: Bool, contentLength: UInt64, after: TransactionTail, boundaryOffset: UInt64,
        relationLink: UInt64, statePosition: UInt64, commitCount: UInt64, changeCount: UInt64,
        newestCommitTime: Timestamp
    ) {
        self.endsInTransaction = endsInTransaction
        self.contentLength = contentLength
        self.after = after
        self.boundaryOffset = boundaryOffset
        self.relationLink = relationLink
        self.statePosition = statePosition
        self.commitCount = commitCount
        self.changeCount = changeCount
        self.newestCommitTime = newestCommitTime
    }

    /// Over everything but the checksum itself (bytes 8 to 11).
    private static func checksum(_ bytes: UnsafeRawBufferPointer, salt: UInt64, contentLength: UInt64) -> UInt32 {
        let seed = Checksum.seed(salt: salt, position: contentLength &+ UInt64(SegmentHeader.size))
        return Checksum.crc32c(bytes.part(12..<size), from: Checksum.crc32c(bytes.part(0..<8), from: seed))
    }
}
