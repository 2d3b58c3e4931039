import MillraceCore

/// What is in front of every frame: 80 bytes; docs/LOG_FORMAT.md has them as a table.
struct FrameHeader {
    struct Flags: OptionSet {
        let rawValue: UInt16

        /// The records before this frame end inside a transaction; the payload begins with a restated begin.
        static let beginsInTransaction = Flags(rawValue: 1)
        /// The payload ends inside a transaction; it holds nothing but records of that one.
        static let endsInTransaction = Flags(rawValue: 2)
        /// There are relation records in the payload.
        static let hasRelations = Flags(rawValue: 4)
        /// There is a source state record in the payload.
        static let hasState = Flags(rawValue: 8)
        /// The payload repeats what earlier segments say: relations and the source state. Not for sinks.
        static let restated = Flags(rawValue: 16)
        /// The begin record at the start is filled in from the segment header.
        static let spooled = Flags(rawValue: 32)
        /// A restated frame at the end of a spooled segment that describes what holds at the segment's start.
        static let preamble = Flags(rawValue: 64)
    }

    static let size = 80
    static let magic: UInt32 = 0x4D52_4652  // "MRFR"

    var flags: Flags
    var payloadLength = 0
    var payloadChecksum: UInt32 = 0
    var changeCount: UInt32 = 0
    var commitCount: UInt32 = 0
    /// Changes of the transaction that the end of the frame is in or behind. In a spooled frame: without
    /// `firstOrdinal` of the transaction.
    var endOrdinal: UInt64 = 0
    /// Commit LSN of that transaction; zero in a spooled frame.
    var endCommitLSN = LSN.zero
    /// End LSN and commit time of the last complete transaction; zero in a spooled frame.
    var lastEndLSN = LSN.zero
    var lastCommitTime = Timestamp(microsecondsSince2000: 0)
    /// Log offset up to which everything was known to be fsynced when this frame was written.
    var syncedOffset: UInt64 = 0
    /// File position of the last frame before this one, in this segment, that has relations; 0 for none.
    var relationLink: UInt64 = 0

    var totalLength: UInt64 { UInt64(Self.size + payloadLength) }

    /// Fills in the checksums. `target` has room for `size` bytes. `position`: of the frame in its file.
    mutating func encode(
        into target: UnsafeMutableRawBufferPointer, payload first: UnsafeRawBufferPointer,
        _ second: UnsafeRawBufferPointer, salt: UInt64, position: UInt64
    ) {
        let seed = Checksum.seed(salt: salt, position: position)
        payloadLength = first.count + second.count
        payloadChecksum = Checksum.crc32c(second, from: Checksum.crc32c(first, from: seed))
        target.store(Self.magic, at: 0)
        target.store(UInt32(payloadLength), at: 4)
        target.store(payloadChecksum, at: 12)
        target.store(flags.rawValue, at: 16)
        target.store(UInt16(0), at: 18)
        target.store(changeCount, at: 20)
        target.store(commitCount, at: 24)
        target.store(UInt32(0), at: 28)
        target.store(endOrdinal, at: 32)
        target.store(endCommitLSN.value, at: 40)
        target.store(lastEndLSN.value, at: 48)
        target.store(lastCommitTime.microsecondsSince2000, at: 56)
        target.store(syncedOffset, at: 64)
        target.store(relationLink, at: 72)
        target.store(Self.checksum(UnsafeRawBufferPointer(target), seed), at: 8)
    }

    /// Nil where the bytes are no frame header written for this place. `bytes` holds at least `size` bytes.
    init?(_ bytes: UnsafeRawBufferPointer, salt: UInt64, position: UInt64) {
        guard bytes.count >= Self.size, bytes.number(at: 0, as: UInt32.self) == Self.magic else { return nil }
        let seed = Checksum.seed(salt: salt, position: position)
        guard bytes.number(at: 8, as: UInt32.self) == Self.checksum(bytes, seed) else { return nil }
        payloadLength = Int(bytes.number(at: 4, as: UInt32.self))
        payloadChecksum = bytes.number(at: 12)
        flags = Flags(rawValue: bytes.number(at: 16))
        changeCount = bytes.number(at: 20)
        commitCount = bytes.number(at: 24)
        endOrdinal = bytes.number(at: 32)
        endCommitLSN = LSN(bytes.number(at: 40))
        lastEndLSN = LSN(bytes.number(at: 48))
        lastCommitTime = Timestamp(microsecondsSince2000: bytes.number(at: 56))
        syncedOffset = bytes.number(at: 64)
        relationLink = bytes.number(at: 72)
    }

    init(_ flags: Flags) {
        self.flags = flags
    }

    func matches(_ payload: UnsafeRawBufferPointer, salt: UInt64, position: UInt64) -> Bool {
        payload.count == payloadLength
            && Checksum.crc32c(payload, from: Checksum.seed(salt: salt, position: position)) == payloadChecksum
    }

    /// Over everything but the checksum itself (bytes 8 to 11).
    private static func checksum(_ bytes: UnsafeRawBufferPointer, _ seed: UInt32) -> UInt32 {
        Checksum.crc32c(bytes.part(12..<size), from: Checksum.crc32c(bytes.part(0..<8), from: seed))
    }
}
