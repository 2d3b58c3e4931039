#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Growing bytes that JSON is written into: no String, no array of values, nothing allocated per event.
///
/// Owned by one thread at a time.
// SAFETY: the storage is private to the object; whoever holds the encoder is the only one who touches it.
package final class JSONBuffer: @unchecked Sendable {
    private var base: UnsafeMutableRawPointer
    private var capacity: Int
    private var used = 0
    package var count: Int { used }

    package init(capacity: Int = 1 << 12) {
        self.capacity = max(capacity, 64)
        base = .allocate(byteCount: self.capacity, alignment: 16)
    }

    deinit {
        base.deallocate()
    }

    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: used) }

    package subscript(range: Range<Int>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[range])
    }

    /// Forgets what lies behind `count`.
    package func truncate(to count: Int) {
        precondition(count >= 0 && count <= used, "a buffer is only ever made shorter")
        used = count
    }

    /// Forgets the content. Memory above `keeping` bytes is given back.
    package func removeAll(keeping limit: Int = 8 << 20) {
        used = 0
        if capacity > limit {
            base.deallocate()
            capacity = 1 << 12
            base = .allocate(byteCount: capacity, alignment: 16)
        }
    }

    /// Room for `byteCount` bytes; `advance(by:)` says how many were written.
    @inline(__always)
    func reserve(_ byteCount: Int) -> UnsafeMutableRawPointer {
        if capacity &- used < byteCount { grow(byteCount) }
        return base + used
    }

    @inline(__always)
    func advance(by byteCount: Int) {
        used &+= byteCount
    }

    private func grow(_ byteCount: Int) {
        capacity = max(capacity * 2, used + byteCount)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        memcpy(larger, base, used)
        base.deallocate()
        base = larger
    }

    @inline(__always)
    package func append(byte: UInt8) {
        reserve(1).storeBytes(of: byte, as: UInt8.self)
        used &+= 1
    }

    @inline(__always)
    package func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        memcpy(reserve(bytes.count), source, bytes.count)
        used &+= bytes.count
    }

    /// A piece of other bytes.
    @inline(__always)
    func append(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
        guard let source = bytes.baseAddress else { return }
        memcpy(reserve(range.count), source + range.lowerBound, range.count)
        used &+= range.count
    }

    @inline(__always)
    package func append(_ text: StaticString) {
        memcpy(reserve(text.utf8CodeUnitCount), text.utf8Start, text.utf8CodeUnitCount)
        used &+= text.utf8CodeUnitCount
    }

    /// For fragments that are made once.
    package func append(_ text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    // MARK: Numbers

    package func append(decimal value: UInt64) {
        let target = reserve(20)
        let length = JSONBuffer.digitCount(value)
        JSONBuffer.writeDigits(value, length, target)
        used &+= length
    }

    package func append(decimal value: Int64) {
        if value < 0 { append(byte: 0x2D) }
        append(decimal: value.magnitude)
    }

    /// `value` in `width` digits, zeros in front.
    func append(decimal value: UInt64, width: Int) {
        let length = max(width, JSONBuffer.digitCount(value))
        JSONBuffer.writeDigits(value, length, reserve(length))
        used &+= length
    }

    @inline(__always)
    static func digitCount(_ value: UInt64) -> Int {
        var length = 1
        var rest = value
        while rest >= 100 {
            rest /= 100
            length &+= 2
        }
        return rest >= 10 ? length &+ 1 : length
    }

    @inline(__always)
    static func writeDigits(_ value: UInt64, _ length: Int, _ target: UnsafeMutableRawPointer) {
        let pairs = JSONBuffer.digitPairs.utf8Start
        var rest = value
        var index = length
        while index >= 2 {
            let (quotient, pair) = rest.quotientAndRemainder(dividingBy: 100)
            index &-= 2
            memcpy(target + index, pairs + Int(truncatingIfNeeded: pair &* 2), 2)
            rest = quotient
        }
        if index == 1 { target.storeBytes(of: UInt8(truncatingIfNeeded: 0x30 &+ rest % 10), as: UInt8.self) }
    }

    private static let digitPairs: StaticString = """
        00010203040506070809101112131415161718192021222324\
        25262728293031323334353637383940414243444546474849\
        50515253545556575859606162636465666768697071727374\
        75767778798081828384858687888990919293949596979899
        """
}
