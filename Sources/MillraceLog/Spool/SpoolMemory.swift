#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A growing stretch of bytes that can be cut back.
struct SpoolMemory: ~Copyable {
    private var base: UnsafeMutableRawPointer
    private var capacity: Int
    private(set) var count = 0

    init() {
        capacity = 4096
        base = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit {
        base.deallocate()
    }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    mutating func append(_ more: UnsafeRawBufferPointer) {
        guard let source = more.baseAddress, more.count > 0 else { return }
        if capacity - count < more.count {
            capacity = max(capacity * 2, count + more.count)
            let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
            memcpy(larger, base, count)
            base.deallocate()
            base = larger
        }
        memcpy(base + count, source, more.count)
        count += more.count
    }

    mutating func removeLast(to newCount: Int) {
        precondition(newCount >= 0 && newCount <= count, "cut back to more than there is")
        count = newCount
    }
}
