import CChecksum

// Numbers at fixed places, big-endian as in the records. Every caller has made sure of the length.

extension UnsafeRawBufferPointer {
    @inline(__always)
    func number<T: FixedWidthInteger>(at offset: Int, as: T.Type = T.self) -> T {
        T(bigEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }

    /// The bytes in `range`, as a buffer of their own.
    func part(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: self[range])
    }
}

extension UnsafeMutableRawBufferPointer {
    @inline(__always)
    func store<T: FixedWidthInteger>(_ value: T, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: T.self)
    }
}

enum Checksum {
    static func crc32c(_ bytes: UnsafeRawBufferPointer, from start: UInt32 = 0) -> UInt32 {
        millrace_crc32c(start, bytes.baseAddress, bytes.count)
    }

    /// What the checksums of a frame or seal start from: the file's random salt and the place in the file, so that bytes
    /// of another file, of an earlier life of this one, or from another place are never taken for what belongs here.
    static func seed(salt: UInt64, position: UInt64) -> UInt32 {
        withUnsafeBytes(of: (salt.bigEndian, position.bigEndian)) { crc32c($0) }
    }
}
