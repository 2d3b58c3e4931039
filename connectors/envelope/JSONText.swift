// Text inside JSON, spelled as Jackson's UTF8JsonGenerator (the writer below Kafka Connect's JsonConverter) spells it:
// the short escapes, \u00XX for other control characters, characters beyond U+FFFF as two escaped surrogates,
// everything else as it is.

extension JSONBuffer {
    /// The text in quotes. False (and nothing to be relied on) where the bytes are not UTF-8.
    @discardableResult
    package func append(quoted text: UnsafeRawBufferPointer) -> Bool {
        append(byte: 0x22)
        let isValid = append(escaped: text)
        append(byte: 0x22)
        return isValid
    }

    package func append(quoted text: String) {
        var text = text
        text.withUTF8 { _ = append(quoted: UnsafeRawBufferPointer($0)) }
    }

    /// The text without the quotes around it.
    func append(escaped text: UnsafeRawBufferPointer) -> Bool {
        guard let base = text.baseAddress else { return true }
        let end = text.count
        var start = 0
        while true {
            let stop = JSONText.plainLength(base, start, end)
            if stop > start { append(UnsafeRawBufferPointer(start: base + start, count: stop &- start)) }
            if stop >= end { return true }
            start = appendSpecial(base, stop, end)
            if start < 0 { return false }
        }
    }

    /// Writes the character at `index`, which is not plain; returns where the next one begins, -1 where it is not UTF-8.
    private func appendSpecial(_ base: UnsafeRawPointer, _ index: Int, _ end: Int) -> Int {
        let byte = base.load(fromByteOffset: index, as: UInt8.self)
        if byte < 0x80 {
            appendEscape(byte)
            return index + 1
        }
        let length = JSONText.characterLength(base, index, end)
        if length == 4 {
            var scalar = UInt32(byte & 0x07)
            for offset in 1..<4 {
                scalar = scalar << 6 | UInt32(base.load(fromByteOffset: index + offset, as: UInt8.self) & 0x3F)
            }
            scalar -= 0x10000
            append(unicodeEscape: UInt16(truncatingIfNeeded: 0xD800 + (scalar >> 10)))
            append(unicodeEscape: UInt16(truncatingIfNeeded: 0xDC00 + (scalar & 0x3FF)))
            return index + 4
        }
        guard length > 0 else { return -1 }
        // Runs of two- and three-byte characters go together.
        var next = index + length
        while next < end, base.load(fromByteOffset: next, as: UInt8.self) >= 0x80 {
            let following = JSONText.characterLength(base, next, end)
            guard following > 0 else { return -1 }
            if following == 4 { break }
            next += following
        }
        append(UnsafeRawBufferPointer(start: base + index, count: next - index))
        return next
    }

    private func appendEscape(_ byte: UInt8) {
        switch byte {
        case 0x22: append("\\\"")
        case 0x5C: append("\\\\")
        case 0x0A: append("\\n")
        case 0x0D: append("\\r")
        case 0x09: append("\\t")
        case 0x08: append("\\b")
        case 0x0C: append("\\f")
        default: append(unicodeEscape: UInt16(byte))
        }
    }

    private func append(unicodeEscape unit: UInt16) {
        append("\\u")
        for shift in [12, 8, 4, 0] as [UInt16] {
            let digit = UInt8(truncatingIfNeeded: unit >> shift & 0xF)
            append(byte: digit < 10 ? 0x30 + digit : 0x41 + digit - 10)
        }
    }

    // MARK: Base64

    /// RFC 4648 with padding, in quotes. `urlSafe`: the alphabet of its section 5.
    package func append(base64 bytes: UnsafeRawBufferPointer, urlSafe: Bool = false) {
        let target = reserve(2 + (bytes.count + 2) / 3 * 4)
        let alphabet = (urlSafe ? JSONText.base64URLAlphabet : JSONText.base64Alphabet).utf8Start
        var written = 0
        @inline(__always)
        func put(_ byte: UInt8) {
            target.storeBytes(of: byte, toByteOffset: written, as: UInt8.self)
            written &+= 1
        }
        put(0x22)
        var index = 0
        while index < bytes.count {
            let left = bytes.count &- index
            let first = UInt32(bytes[index])
            let second = left > 1 ? UInt32(bytes[index &+ 1]) : 0
            let third = left > 2 ? UInt32(bytes[index &+ 2]) : 0
            let group = first << 16 | second << 8 | third
            put(alphabet[Int(group >> 18)])
            put(alphabet[Int(group >> 12 & 63)])
            put(left > 1 ? alphabet[Int(group >> 6 & 63)] : 0x3D)
            put(left > 2 ? alphabet[Int(group & 63)] : 0x3D)
            index &+= 3
        }
        put(0x22)
        advance(by: written)
    }
}

enum JSONText {
    /// Where the run of characters ends that stand for themselves: printable ASCII but for the quote and the backslash.
    @inline(__always)
    static func plainLength(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) -> Int {
        var index = start
        while index &+ 8 <= end {
            let word = base.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            // Eight bytes at once: the high bit of each is set where the byte is < 0x20, a quote, a backslash, or >= 0x80.
            let control = word &- 0x2020_2020_2020_2020
            let quote = (word ^ 0x2222_2222_2222_2222) &- 0x0101_0101_0101_0101
            let backslash = (word ^ 0x5C5C_5C5C_5C5C_5C5C) &- 0x0101_0101_0101_0101
            if (control | quote | backslash | word) & 0x8080_8080_8080_8080 != 0 { break }
            index &+= 8
        }
        while index < end {
            let byte = base.load(fromByteOffset: index, as: UInt8.self)
            if byte < 0x20 || byte == 0x22 || byte == 0x5C || byte >= 0x80 { break }
            index &+= 1
        }
        return index
    }

    /// Length of the UTF-8 character at `index` that is not ASCII; 0 where the bytes are none (Unicode, table 3-7).
    static func characterLength(_ base: UnsafeRawPointer, _ index: Int, _ end: Int) -> Int {
        func byte(_ offset: Int) -> UInt8 {
            index + offset < end ? base.load(fromByteOffset: index + offset, as: UInt8.self) : 0
        }
        func isTail(_ offset: Int) -> Bool { byte(offset) & 0xC0 == 0x80 }
        let first = byte(0)
        let second = byte(1)
        switch first {
        case 0xC2...0xDF:
            return isTail(1) ? 2 : 0
        case 0xE0...0xEF:
            guard isTail(1), isTail(2) else { return 0 }
            if first == 0xE0 && second < 0xA0 || first == 0xED && second > 0x9F { return 0 }
            return 3
        case 0xF0...0xF4:
            guard isTail(1), isTail(2), isTail(3) else { return 0 }
            if first == 0xF0 && second < 0x90 || first == 0xF4 && second > 0x8F { return 0 }
            return 4
        default:
            return 0
        }
    }

    static let base64Alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    static let base64URLAlphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
}
