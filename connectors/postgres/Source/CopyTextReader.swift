internal import MillraceCore

/// Reads rows in COPY's text format ("File Formats" of COPY in PostgreSQL's documentation: tabs between columns, `\N` for
/// null, backslash escapes) and writes them as tuples of the log. One pass over the bytes, nothing allocated per row.
enum CopyTextReader {
    private static let tab: UInt8 = 0x09
    private static let backslash: UInt8 = 0x5C

    /// Appends `line` (one row, with or without its line end) to `buffer` as an insert at `lsn`. False, with the buffer of no more
    /// use, where the line has not `columnCount` columns.
    static func appendInsert(
        _ line: UnsafeRawBufferPointer, columnCount: Int, relation: RelationID, lsn: LSN, to buffer: RecordBuffer
    ) -> Bool {
        guard let base = line.baseAddress else { return false }
        let start = buffer.beginRow(RecordKind.insert, relation: relation, lsn: lsn)
        // Marker and count, then per column a kind and a length. Words are stored whole, so there is one to spare.
        let output = buffer.reserve(3 + 5 * columnCount + line.count + 8)
        guard let count = convert(base, line.count, columnCount: columnCount, to: output) else { return false }
        buffer.advance(by: count)
        buffer.endRow(start)
        return true
    }

    /// Writes marker `N`, column count and columns; returns the number of bytes, nil for another number of columns.
    private static func convert(
        _ line: UnsafeRawPointer, _ count: Int, columnCount: Int, to output: UnsafeMutableRawPointer
    ) -> Int? {
        var end = count
        if end > 0, line.load(fromByteOffset: end - 1, as: UInt8.self) == 0x0A { end -= 1 }
        output.storeBytes(of: 0x4E, as: UInt8.self)  // 'N'
        output.storeBytes(of: UInt16(truncatingIfNeeded: columnCount).bigEndian, toByteOffset: 1, as: UInt16.self)
        var target = 3
        guard columnCount > 0 else { return end == 0 ? target : nil }
        var source = 0
        var columns = 0
        while true {
            if isNull(line, at: source, end: end) {
                output.storeBytes(of: TupleView.Kind.null, toByteOffset: target, as: UInt8.self)
                target += 1
                source += 2
            } else {
                let header = target
                target += 5
                copyValue(line, &source, end, to: output, &target)
                output.storeBytes(of: TupleView.Kind.text, toByteOffset: header, as: UInt8.self)
                let length = UInt32(truncatingIfNeeded: target - header - 5)
                output.storeBytes(of: length.bigEndian, toByteOffset: header + 1, as: UInt32.self)
            }
            columns += 1
            if source == end { return columns == columnCount ? target : nil }
            // A tab: there is another column.
            guard columns < columnCount else { return nil }
            source += 1
        }
    }

    /// `\N` and nothing else up to the tab or the end.
    @inline(__always)
    private static func isNull(_ line: UnsafeRawPointer, at source: Int, end: Int) -> Bool {
        guard end - source >= 2, line.load(fromByteOffset: source, as: UInt8.self) == backslash,
            line.load(fromByteOffset: source + 1, as: UInt8.self) == 0x4E
        else { return false }
        return source + 2 == end || line.load(fromByteOffset: source + 2, as: UInt8.self) == tab
    }

    /// Copies and unescapes from `source` up to the next tab or the end.
    @inline(__always)
    private static func copyValue(
        _ line: UnsafeRawPointer, _ source: inout Int, _ end: Int, to output: UnsafeMutableRawPointer,
        _ target: inout Int
    ) {
        while true {
            // Eight bytes at a time, searched while they are copied: most values are short, which a call of memchr per
            // value would not pay for.
            while end - source >= 8 {
                let word = UInt64(littleEndian: line.loadUnaligned(fromByteOffset: source, as: UInt64.self))
                output.storeBytes(of: word.littleEndian, toByteOffset: target, as: UInt64.self)
                let hits = matches(word, tab) | matches(word, backslash)
                let clean = hits == 0 ? 8 : hits.trailingZeroBitCount >> 3
                source += clean
                target += clean
                if hits != 0 { break }
            }
            while source < end {
                let byte = line.load(fromByteOffset: source, as: UInt8.self)
                if byte == tab || byte == backslash { break }
                output.storeBytes(of: byte, toByteOffset: target, as: UInt8.self)
                source += 1
                target += 1
            }
            guard source < end, line.load(fromByteOffset: source, as: UInt8.self) == backslash else { return }
            let byte = unescape(line, &source, end)
            output.storeBytes(of: byte, toByteOffset: target, as: UInt8.self)
            target += 1
        }
    }

    /// The top bit of every byte of `word` that equals `byte`; bytes above the first hit may be marked wrongly.
    @inline(__always)
    private static func matches(_ word: UInt64, _ byte: UInt8) -> UInt64 {
        let difference = word ^ (UInt64(byte) &* 0x0101_0101_0101_0101)
        return (difference &- 0x0101_0101_0101_0101) & ~difference & 0x8080_8080_8080_8080
    }

    /// The byte that the escape at `source` stands for; leaves `source` behind it.
    private static func unescape(_ line: UnsafeRawPointer, _ source: inout Int, _ end: Int) -> UInt8 {
        source += 1
        // A backslash at the very end stands for itself, as the server reads it.
        guard source < end else { return backslash }
        let byte = line.load(fromByteOffset: source, as: UInt8.self)
        source += 1
        switch byte {
        case 0x62: return 0x08  // \b
        case 0x66: return 0x0C  // \f
        case 0x6E: return 0x0A  // \n
        case 0x72: return 0x0D  // \r
        case 0x74: return 0x09  // \t
        case 0x76: return 0x0B  // \v
        case 0x30...0x37: return number(line, &source, end, first: byte - 0x30, radix: 8, digits: 3)
        case 0x78: return number(line, &source, end, first: nil, radix: 16, digits: 2)
        default: return byte
        }
    }

    /// `\ooo` and `\xhh`, which the server reads but never writes. `\x` without a digit is an x.
    private static func number(
        _ line: UnsafeRawPointer, _ source: inout Int, _ end: Int, first: UInt8?, radix: UInt8, digits: Int
    ) -> UInt8 {
        var value = first ?? 0
        var read = first == nil ? 0 : 1
        while read < digits, source < end,
            let digit = digitValue(line.load(fromByteOffset: source, as: UInt8.self)), digit < radix
        {
            value = value &* radix &+ digit
            source += 1
            read += 1
        }
        return read == 0 ? 0x78 : value
    }

    private static func digitValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
