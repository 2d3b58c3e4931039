#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// A key's bytes: its columns as they stand in a tuple (kind, length, value), in the order of the table's columns.
struct KeySpan {
    var start: UnsafeRawPointer
    var count: Int

    @inline(__always)
    static func == (left: KeySpan, right: KeySpan) -> Bool {
        left.count == right.count && memcmp(left.start, right.start, left.count) == 0
    }

    /// Sorts numbers by size and texts of one length by their first bytes: the length of the first column's value, then
    /// its first seven bytes.
    var order: UInt64 {
        guard RowBytes.kind(start) == RowBytes.text else { return 0 }
        let length = RowBytes.length(start)
        var order = UInt64(min(length, 255))
        for offset in 5..<12 {
            order <<= 8
            if offset < 5 + length { order |= UInt64(start.load(fromByteOffset: offset, as: UInt8.self)) }
        }
        return order
    }

    /// Multiply and fold, eight bytes at a time.
    @inline(__always)
    var hash: UInt32 {
        let multiplier: UInt64 = 0x9E37_79B9_7F4A_7C15
        var hash = UInt64(truncatingIfNeeded: count) &* multiplier
        var offset = 0
        while offset + 8 <= count {
            hash = (hash ^ start.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* multiplier
            hash ^= hash >> 29
            offset += 8
        }
        var rest: UInt64 = 0
        while offset < count {
            rest = rest << 8 | UInt64(start.load(fromByteOffset: offset, as: UInt8.self))
            offset += 1
        }
        hash = (hash ^ rest) &* multiplier
        return UInt32(truncatingIfNeeded: hash >> 32)
    }
}

/// Where the key's columns lie in a tuple.
struct KeyLayout {
    /// Indexes of the key's columns, ascending.
    let columns: [Int]
    private let first: Int
    private let last: Int
    private let isContiguous: Bool

    /// `columns` must not be empty.
    init(_ columns: [Int]) {
        self.columns = columns.sorted()
        first = self.columns.first ?? 0
        last = self.columns.last ?? 0
        isContiguous = last - first + 1 == columns.count
    }

    /// The key of `row`; nil where one of its columns was not sent.
    @inline(__always)
    func span(of row: UnsafeRawPointer, _ arena: Arena) -> KeySpan? {
        var column = row
        for _ in 0..<first { column = RowBytes.next(column) }
        guard isContiguous else { return scattered(column, arena) }
        let start = column
        for _ in first...last {
            if RowBytes.kind(column) == RowBytes.unchanged { return nil }
            column = RowBytes.next(column)
        }
        return KeySpan(start: start, count: column - start)
    }

    /// Copies columns that are not neighbours together. `start`: the first column of the key.
    private func scattered(_ start: UnsafeRawPointer, _ arena: Arena) -> KeySpan? {
        var parts: [(UnsafeRawPointer, Int)] = []
        var column = start
        var index = first
        for wanted in columns {
            while index < wanted {
                column = RowBytes.next(column)
                index += 1
            }
            if RowBytes.kind(column) == RowBytes.unchanged { return nil }
            parts.append((column, RowBytes.next(column) - column))
        }
        let total = parts.reduce(0) { $0 + $1.1 }
        let copy = arena.allocate(total)
        var offset = 0
        for (part, count) in parts {
            memcpy(copy + offset, part, count)
            offset += count
        }
        return KeySpan(start: UnsafeRawPointer(copy), count: total)
    }
}
