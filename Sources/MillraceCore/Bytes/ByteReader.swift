/// Bytes that are not what they should be. Says what was expected and where; never holds values.
package struct MalformedRecord: Error, Hashable, Sendable, CustomStringConvertible {
    package var description: String

    package init(_ description: String) {
        self.description = description
    }
}

/// Reads big-endian numbers and text from bytes that came from outside: every read is checked, none traps.
///
/// A view: whoever makes it keeps the bytes alive for as long as it is used.
package struct ByteReader {
    @usableFromInline
    package let bytes: UnsafeRawBufferPointer
    /// Bytes read so far.
    package private(set) var offset: Int

    package init(_ bytes: UnsafeRawBufferPointer, offset: Int = 0) {
        self.bytes = bytes
        self.offset = offset
    }

    package var remaining: Int { bytes.count - offset }
    package var isAtEnd: Bool { offset >= bytes.count }

    private mutating func integer<T: FixedWidthInteger>(_: T.Type) throws(MalformedRecord) -> T {
        let size = MemoryLayout<T>.size
        guard remaining >= size else { throw MalformedRecord("\(size) bytes expected at \(offset), \(remaining) left") }
        let value = bytes.loadUnaligned(fromByteOffset: offset, as: T.self)
        offset += size
        return T(bigEndian: value)
    }

    package mutating func uint8() throws(MalformedRecord) -> UInt8 { try integer(UInt8.self) }
    package mutating func uint16() throws(MalformedRecord) -> UInt16 { try integer(UInt16.self) }
    package mutating func uint32() throws(MalformedRecord) -> UInt32 { try integer(UInt32.self) }
    package mutating func uint64() throws(MalformedRecord) -> UInt64 { try integer(UInt64.self) }
    package mutating func int64() throws(MalformedRecord) -> Int64 { try integer(Int64.self) }

    package mutating func slice(_ count: Int) throws(MalformedRecord) -> UnsafeRawBufferPointer {
        guard count >= 0, remaining >= count else {
            throw MalformedRecord("\(count) bytes expected at \(offset), \(remaining) left")
        }
        let slice = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
        offset += count
        return slice
    }

    /// Text behind its length in bytes (32 bits).
    package mutating func string() throws(MalformedRecord) -> String {
        let count = Int(try uint32())
        let text = try slice(count)
        guard let string = String(validating: text, as: UTF8.self) else {
            throw MalformedRecord("text at \(offset - count) is not UTF-8")
        }
        return string
    }

    /// A 32-bit count and as many texts.
    package mutating func strings() throws(MalformedRecord) -> [String] {
        let count = Int(try uint32())
        var strings: [String] = []
        for _ in 0..<count { strings.append(try string()) }
        return strings
    }

    /// Text that ends with a zero byte, as pgoutput sends names.
    package mutating func zeroTerminated() throws(MalformedRecord) -> UnsafeRawBufferPointer {
        guard let end = bytes[offset...].firstIndex(of: 0) else {
            throw MalformedRecord("text at \(offset) has no end")
        }
        let text = UnsafeRawBufferPointer(rebasing: bytes[offset..<end])
        offset = end + 1
        return text
    }

    package mutating func zeroTerminatedString() throws(MalformedRecord) -> String {
        let start = offset
        let text = try zeroTerminated()
        guard let string = String(validating: text, as: UTF8.self) else {
            throw MalformedRecord("text at \(start) is not UTF-8")
        }
        return string
    }
}
