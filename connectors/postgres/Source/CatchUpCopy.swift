internal import MillraceCore

/// Reads rows `(lsn pg_lsn, data bytea)` of a COPY in binary format (file format: page of COPY in PostgreSQL's
/// documentation), message by message.
struct CatchUpCopy {
    private static let signature: [UInt8] = Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0x00]
    private var isBegun = false
    private var isEnded = false

    /// Calls `body` for each row that `message` holds; the bytes are valid inside it only. A row lies in one message.
    @inline(__always)
    mutating func read(
        _ message: UnsafeRawBufferPointer,
        _ body: (LSN, UnsafeRawBufferPointer) throws(ConnectorError) -> Void
    ) throws(ConnectorError) {
        var offset = 0
        if !isBegun {
            offset = try Self.headerSize(message)
            isBegun = true
        }
        while offset < message.count {
            guard !isEnded, message.count - offset >= 2 else { throw Self.malformed }
            let columns = Int16(bigEndian: message.loadUnaligned(fromByteOffset: offset, as: Int16.self))
            if columns == -1 {
                isEnded = true
                offset += 2
                continue
            }
            guard columns == 2, message.count - offset >= 18,
                message.loadUnaligned(fromByteOffset: offset + 2, as: Int32.self).bigEndian == 8
            else { throw Self.malformed }
            let lsn = UInt64(bigEndian: message.loadUnaligned(fromByteOffset: offset + 6, as: UInt64.self))
            let length = Int(Int32(bigEndian: message.loadUnaligned(fromByteOffset: offset + 14, as: Int32.self)))
            offset += 18
            guard length >= 0, length <= message.count - offset else { throw Self.malformed }
            try body(LSN(lsn), UnsafeRawBufferPointer(rebasing: message[offset..<offset + length]))
            offset += length
        }
    }

    /// Signature, flags, and an extension of any length.
    private static func headerSize(_ message: UnsafeRawBufferPointer) throws(ConnectorError) -> Int {
        let fixed = signature.count + 8
        guard message.count >= fixed, message.prefix(signature.count).elementsEqual(signature) else { throw malformed }
        let length = Int(Int32(bigEndian: message.loadUnaligned(fromByteOffset: fixed - 4, as: Int32.self)))
        guard length >= 0, length <= message.count - fixed else { throw malformed }
        return fixed + length
    }

    private static var malformed: ConnectorError {
        ConnectorError(
            .protocolViolation, code: "malformed_copy", "the server sent changes that are not in COPY's binary format")
    }
}
