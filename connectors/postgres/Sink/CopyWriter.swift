#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Turns rows into the lines of a COPY … FROM STDIN in text format and sends them.
final class CopyWriter {
    private let connection: PostgresConnection
    private let operation: String
    private let buffer: UnsafeMutablePointer<UInt8>
    private var count = 0
    private static let capacity = 128 << 10
    /// Largest part of a value that is escaped at once.
    private static let slice = 32 << 10
    private(set) var rows = 0

    init(_ connection: PostgresConnection, _ sql: String, _ operation: String) throws(PostgresError) {
        self.connection = connection
        self.operation = operation
        buffer = .allocate(capacity: CopyWriter.capacity)
        try connection.startCopyIn(sql, operation)
    }

    deinit {
        buffer.deallocate()
    }

    /// Sends what is left and waits for the server's word. The number of rows.
    @discardableResult
    func finish() throws(PostgresError) -> Int {
        try send()
        return try connection.endCopyIn(operation)
    }

    /// One line: of each of the row's columns whose number is set in `written`, the value.
    @inline(__always)
    func row(_ row: UnsafeRawPointer, _ written: UnsafeBufferPointer<Bool>) throws(PostgresError) {
        var column = row
        var isFirst = true
        for isWritten in written {
            let kind = RowBytes.kind(column)
            if kind == RowBytes.null || kind == RowBytes.unchanged {
                if isWritten { try null(isFirst) }
                column += 1
            } else {
                if kind != RowBytes.text { throw RowBytes.notText }
                let length = RowBytes.length(column)
                if isWritten { try value(column + 5, length, isFirst) }
                column += 5 + length
            }
            if isWritten { isFirst = false }
        }
        try endLine()
    }

    /// One line of all columns, of which there are `columnCount`, that stand at `row`.
    func allColumns(_ row: UnsafeRawPointer, columnCount: Int) throws(PostgresError) {
        var column = row
        for index in 0..<columnCount {
            let kind = RowBytes.kind(column)
            if kind == RowBytes.null || kind == RowBytes.unchanged {
                try null(index == 0)
                column += 1
            } else {
                if kind != RowBytes.text { throw RowBytes.notText }
                let length = RowBytes.length(column)
                try value(column + 5, length, index == 0)
                column += 5 + length
            }
        }
        try endLine()
    }

    @inline(__always)
    private func endLine() throws(PostgresError) {
        if count + 1 > CopyWriter.capacity { try send() }
        buffer[count] = 0x0A
        count += 1
        rows += 1
    }

    @inline(__always)
    private func null(_ isFirst: Bool) throws(PostgresError) {
        if count + 3 > CopyWriter.capacity { try send() }
        if !isFirst {
            buffer[count] = 0x09
            count += 1
        }
        buffer[count] = 0x5C
        buffer[count + 1] = 0x4E
        count += 2
    }

    @inline(__always)
    private func value(_ value: UnsafeRawPointer, _ length: Int, _ isFirst: Bool) throws(PostgresError) {
        // Every byte may become two, and eight are written at a time.
        if count + 2 * length + 16 > CopyWriter.capacity {
            try send()
            if 2 * length + 16 > CopyWriter.capacity { return try large(value, length, isFirst) }
        }
        if !isFirst {
            buffer[count] = 0x09
            count += 1
        }
        count += CopyWriter.escape(value, length, to: buffer + count)
    }

    private func large(_ value: UnsafeRawPointer, _ length: Int, _ isFirst: Bool) throws(PostgresError) {
        if !isFirst {
            buffer[count] = 0x09
            count += 1
        }
        var offset = 0
        while offset < length {
            let part = min(CopyWriter.slice, length - offset)
            count += CopyWriter.escape(value + offset, part, to: buffer + count)
            offset += part
            try send()
        }
    }

    private func send() throws(PostgresError) {
        guard count > 0 else { return }
        try connection.putCopyData(UnsafeRawBufferPointer(start: buffer, count: count), operation)
        count = 0
    }

    /// Copies `length` bytes with tab, line feed, carriage return and backslash escaped; returns how many it wrote.
    /// There must be room for twice as many and eight more.
    @inline(__always)
    static func escape(_ source: UnsafeRawPointer, _ length: Int, to target: UnsafeMutablePointer<UInt8>) -> Int {
        var read = 0
        var written = 0
        while read + 8 <= length {
            let word = source.loadUnaligned(fromByteOffset: read, as: UInt64.self)
            if needsCare(word) {
                for offset in read..<read + 8 {
                    written += escaped(source.load(fromByteOffset: offset, as: UInt8.self), to: target + written)
                }
            } else {
                UnsafeMutableRawPointer(target + written).storeBytes(of: word, as: UInt64.self)
                written += 8
            }
            read += 8
        }
        while read < length {
            written += escaped(source.load(fromByteOffset: read, as: UInt8.self), to: target + written)
            read += 1
        }
        return written
    }

    /// Whether one of the eight bytes is below 14 or a backslash: the usual tests for bytes in a word.
    @inline(__always)
    private static func needsCare(_ word: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        let low = (word &- ones &* 14) & ~word
        let backslash = word ^ (ones &* 0x5C)
        return (low | ((backslash &- ones) & ~backslash)) & highs != 0
    }

    @inline(__always)
    private static func escaped(_ byte: UInt8, to target: UnsafeMutablePointer<UInt8>) -> Int {
        let letter: UInt8
        switch byte {
        case 0x5C: letter = 0x5C
        case 0x09: letter = 0x74
        case 0x0A: letter = 0x6E
        case 0x0D: letter = 0x72
        default:
            target[0] = byte
            return 1
        }
        target[0] = 0x5C
        target[1] = letter
        return 2
    }
}
