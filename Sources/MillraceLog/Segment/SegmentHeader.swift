import MillraceCore

/// The first 256 bytes of a segment file; docs/LOG_FORMAT.md has them as a table.
struct SegmentHeader {
    struct Flags: OptionSet {
        let rawValue: UInt32

        /// The first segment of its log: whatever lies before it belongs to a log that was discarded.
        static let first = Flags(rawValue: 1)
        /// The content begins inside a transaction.
        static let beginsInTransaction = Flags(rawValue: 2)
        /// A spool that was adopted: one transaction, written before its commit was known, synced whole.
        static let spooled = Flags(rawValue: 4)
    }

    static let size = 256
    static let magic: UInt64 = 0x4D49_4C4C_5241_4345  // "MILLRACE"
    static let version: UInt32 = 1

    var flags: Flags = []
    var logID: UInt64
    /// Log offset of the first byte behind this header. Headers and seals take no log offsets.
    var firstOffset: UInt64
    var salt: UInt64
    /// Where the log stood before this segment.
    var before: TransactionTail
    /// End of the last complete transaction before this segment.
    var boundaryOffset: UInt64
    /// File position of the preamble frame of a spooled segment; 0 for none.
    var preamblePosition: UInt64 = 0
    /// Bytes of content that were synced before the file got its name.
    var initialLength: UInt64 = 0
    /// The transaction of a spooled segment.
    var spooled: TransactionInfo?

    func encode() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.size)
        bytes.withUnsafeMutableBytes { target in
            target.store(Self.magic, at: 0)
            target.store(Self.version, at: 8)
            target.store(flags.rawValue, at: 16)
            target.store(logID, at: 24)
            target.store(firstOffset, at: 32)
            target.store(salt, at: 40)
            target.store(before.lastCommitLSN.value, at: 48)
            target.store(before.lastEndLSN.value, at: 56)
            target.store(before.lastOrdinal, at: 64)
            target.store(before.lastCommitTime.microsecondsSince2000, at: 72)
            target.store(boundaryOffset, at: 80)
            target.store(preamblePosition, at: 88)
            target.store(initialLength, at: 96)
            if let spooled {
                spooled.encodeBody(into: UnsafeMutableRawBufferPointer(rebasing: target[104...]))
            }
            target.store(Self.checksum(UnsafeRawBufferPointer(target)), at: 12)
        }
        return bytes
    }

    /// Throws what is wrong with the first bytes of the file at `path`.
    init(_ bytes: UnsafeRawBufferPointer, path: String) throws(LogError) {
        guard bytes.count >= Self.size else {
            throw .corrupt(path: path, offset: 0, reason: "the file is shorter than a segment header")
        }
        guard bytes.number(at: 0, as: UInt64.self) == Self.magic else {
            throw .corrupt(path: path, offset: 0, reason: "this is no segment of a change log")
        }
        let version: UInt32 = bytes.number(at: 8)
        guard bytes.number(at: 12, as: UInt32.self) == Self.checksum(bytes) else {
            throw .corrupt(path: path, offset: 0, reason: "the checksum of the segment header is wrong")
        }
        guard version == Self.version else {
            throw .corrupt(
                path: path, offset: 8, reason: "format version \(version); this program reads \(Self.version)")
        }
        flags = Flags(rawValue: bytes.number(at: 16))
        logID = bytes.number(at: 24)
        firstOffset = bytes.number(at: 32)
        salt = bytes.number(at: 40)
        before = TransactionTail()
        before.lastCommitLSN = LSN(bytes.number(at: 48))
        before.lastEndLSN = LSN(bytes.number(at: 56))
        before.lastOrdinal = bytes.number(at: 64)
        before.lastCommitTime = Timestamp(microsecondsSince2000: bytes.number(at: 72))
        boundaryOffset = bytes.number(at: 80)
        preamblePosition = bytes.number(at: 88)
        initialLength = bytes.number(at: 96)
        spooled = flags.contains(.spooled) ? TransactionInfo(body: bytes.part(104..<149)) : nil
    }

    init(logID: UInt64, firstOffset: UInt64, salt: UInt64, before: TransactionTail, boundaryOffset: UInt64) {
        self.logID = logID
        self.firstOffset = firstOffset
        self.salt = salt
        self.before = before
        self.boundaryOffset = boundaryOffset
    }

    /// Over everything but the checksum itself (bytes 12 to 15).
    private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        Checksum.crc32c(bytes.part(16..<size), from: Checksum.crc32c(bytes.part(0..<12)))
    }

    // MARK: Places

    func position(ofOffset offset: UInt64) -> UInt64 { offset &- firstOffset &+ UInt64(Self.size) }
    func offset(ofPosition position: UInt64) -> UInt64 { position &- UInt64(Self.size) &+ firstOffset }

    // MARK: Names

    /// Fixed width, so that names sort as the offsets do.
    static func name(firstOffset: UInt64) -> String {
        let digits = String(firstOffset, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits + ".seg"
    }

    /// Nil where `name` is not that of a segment.
    static func firstOffset(ofName name: String) -> UInt64? {
        guard name.utf8.count == 20, name.hasSuffix(".seg"), let offset = UInt64(name.dropLast(4), radix: 16),
            SegmentHeader.name(firstOffset: offset) == name
        else { return nil }
        return offset
    }
}
