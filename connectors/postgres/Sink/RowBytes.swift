#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Row images as pointers to their first column's kind byte. Only for tuples that `RecordReader` has checked: nothing here
/// looks at the end of the bytes.
enum RowBytes {
    static let null: UInt8 = 0x6E
    static let unchanged: UInt8 = 0x75
    static let text: UInt8 = 0x74

    /// Values in PostgreSQL's binary format cannot stand between others in text; no source of ours sends them.
    static var notText: PostgresError {
        PostgresError(sqlState: "0A000", message: "the log holds a value in binary format", operation: "write a row")
    }

    /// The column behind the one at `column`.
    @inline(__always)
    static func next(_ column: UnsafeRawPointer) -> UnsafeRawPointer {
        let kind = column.load(as: UInt8.self)
        if kind == null || kind == unchanged { return column + 1 }
        return column + 5 + length(column)
    }

    /// Bytes of the value at `column`, which must be neither null nor unchanged.
    @inline(__always)
    static func length(_ column: UnsafeRawPointer) -> Int {
        Int(UInt32(bigEndian: column.loadUnaligned(fromByteOffset: 1, as: UInt32.self)))
    }

    @inline(__always)
    static func kind(_ column: UnsafeRawPointer) -> UInt8 {
        column.load(as: UInt8.self)
    }

    static func hasUnchanged(_ row: UnsafeRawPointer, count: Int) -> Bool {
        var column = row
        for _ in 0..<count {
            if kind(column) == unchanged { return true }
            column = next(column)
        }
        return false
    }

    static func unchangedColumns(_ row: UnsafeRawPointer, count: Int) -> [Int] {
        var columns: [Int] = []
        var column = row
        for index in 0..<count {
            if kind(column) == unchanged { columns.append(index) }
            column = next(column)
        }
        return columns
    }

    /// Bytes of a row of `count` columns.
    static func size(_ row: UnsafeRawPointer, count: Int) -> Int {
        var column = row
        for _ in 0..<count { column = next(column) }
        return column - row
    }

    /// A copy of `row` in which unchanged columns are those of `base`.
    static func merge(
        _ row: UnsafeRawPointer, over base: UnsafeRawPointer, count: Int, in arena: Arena
    ) -> UnsafeRawPointer {
        let limit = size(row, count: count) + size(base, count: count)
        let target = arena.allocate(limit)
        var written = 0
        var column = row
        var older = base
        for _ in 0..<count {
            let behind = next(column)
            let olderBehind = next(older)
            if kind(column) == unchanged {
                memcpy(target + written, older, olderBehind - older)
                written += olderBehind - older
            } else {
                memcpy(target + written, column, behind - column)
                written += behind - column
            }
            column = behind
            older = olderBehind
        }
        return UnsafeRawPointer(target)
    }

    /// A copy of `row` in which those of `columns` that were not sent are those of `other`.
    static func mergeColumns(
        _ columns: [Int], of row: UnsafeRawPointer, from other: UnsafeRawPointer, count: Int, in arena: Arena
    ) -> UnsafeRawPointer {
        let target = arena.allocate(size(row, count: count) + size(other, count: count))
        var written = 0
        var column = row
        var older = other
        for index in 0..<count {
            let behind = next(column)
            let olderBehind = next(older)
            if kind(column) == unchanged && columns.contains(index) {
                memcpy(target + written, older, olderBehind - older)
                written += olderBehind - older
            } else {
                memcpy(target + written, column, behind - column)
                written += behind - column
            }
            column = behind
            older = olderBehind
        }
        return UnsafeRawPointer(target)
    }
}

/// Memory that is freed all at once: merged rows and scattered keys of one batch.
final class Arena {
    private var chunks: [UnsafeMutableRawPointer] = []
    private var free: UnsafeMutableRawPointer?
    private var left = 0
    private static let chunkSize = 64 << 10

    deinit {
        removeAll()
    }

    func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer {
        if let free, byteCount <= left {
            self.free = free + byteCount
            left -= byteCount
            return free
        }
        let size = max(byteCount, Arena.chunkSize)
        let chunk = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 8)
        chunks.append(chunk)
        if size - byteCount > left {
            free = chunk + byteCount
            left = size - byteCount
        }
        return chunk
    }

    func removeAll() {
        for chunk in chunks { chunk.deallocate() }
        chunks.removeAll()
        free = nil
        left = 0
    }
}
