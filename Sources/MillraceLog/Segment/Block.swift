/// Memory that lives as long as the object: what is read from a file before it is looked at.
final class Block {
    let bytes: UnsafeMutableRawBufferPointer

    init(_ byteCount: Int) {
        bytes = .allocate(byteCount: max(byteCount, 1), alignment: 16)
    }

    deinit {
        bytes.deallocate()
    }

    /// The first `count` bytes, to read.
    func prefix(_ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[..<count])
    }
}
