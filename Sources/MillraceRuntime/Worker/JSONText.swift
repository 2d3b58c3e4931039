import MillraceCore

// JSON text of `JSONTree`, for partitions and offsets in the catalog.

extension JSONTree: CustomStringConvertible {
    /// Compact JSON.
    package var description: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .int(let value): String(value)
        case .double(let value): value.isFinite ? String(value) : "null"
        case .string(let value): Self.quote(value)
        case .array(let elements): "[" + elements.map(\.description).joined(separator: ",") + "]"
        case .object(let members):
            "{" + members.map { Self.quote($0.name) + ":" + $0.value.description }.joined(separator: ",") + "}"
        }
    }

    private static func quote(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    /// Reads what `description` writes (and any other JSON); nil where the text is none.
    package init?(text: String) {
        var parser = JSONParser(bytes: Array(text.utf8))
        guard let value = parser.document() else { return nil }
        self = value
    }
}

private struct JSONParser {
    let bytes: [UInt8]
    var offset = 0

    static let deepest = 64

    mutating func document() -> JSONTree? {
        guard let value = value(depth: 0) else { return nil }
        skipSpace()
        return offset == bytes.count ? value : nil
    }

    private mutating func value(depth: Int) -> JSONTree? {
        guard depth < Self.deepest, let byte = peek() else { return nil }
        switch byte {
        case UInt8(ascii: "{"): return object(depth)
        case UInt8(ascii: "["): return array(depth)
        case UInt8(ascii: "\""): return string().map { .string($0) }
        case UInt8(ascii: "t"): return take("true") ? .bool(true) : nil
        case UInt8(ascii: "f"): return take("false") ? .bool(false) : nil
        case UInt8(ascii: "n"): return take("null") ? .null : nil
        default: return number()
        }
    }

    private mutating func object(_ depth: Int) -> JSONTree? {
        offset += 1
        var members: [JSONTree.Member] = []
        if takeByte("}") { return .object([]) }
        while true {
            guard peek() == UInt8(ascii: "\""), let name = string(), takeByte(":"), let value = value(depth: depth + 1)
            else { return nil }
            members.append(.init(name, value))
            if takeByte("}") { return .object(members) }
            guard takeByte(",") else { return nil }
        }
    }

    private mutating func array(_ depth: Int) -> JSONTree? {
        offset += 1
        var elements: [JSONTree] = []
        if takeByte("]") { return .array([]) }
        while true {
            guard let value = value(depth: depth + 1) else { return nil }
            elements.append(value)
            if takeByte("]") { return .array(elements) }
            guard takeByte(",") else { return nil }
        }
    }

    private mutating func number() -> JSONTree? {
        let start = offset
        while offset < bytes.count, "+-.eE0123456789".utf8.contains(bytes[offset]) { offset += 1 }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        return Int64(text).map { .int($0) } ?? Double(text).map { .double($0) }
    }

    private mutating func string() -> String? {
        offset += 1
        var text: [UInt16] = []
        var plain: [UInt8] = []
        func flush() { text.append(contentsOf: String(decoding: plain, as: UTF8.self).utf16) }
        while offset < bytes.count {
            let byte = bytes[offset]
            offset += 1
            if byte == UInt8(ascii: "\"") {
                flush()
                return String(decoding: text, as: UTF16.self)
            }
            guard byte == UInt8(ascii: "\\") else {
                plain.append(byte)
                continue
            }
            flush()
            plain.removeAll()
            guard let unit = escape() else { return nil }
            text.append(unit)
        }
        return nil
    }

    private mutating func escape() -> UInt16? {
        guard offset < bytes.count else { return nil }
        let byte = bytes[offset]
        offset += 1
        switch byte {
        case UInt8(ascii: "n"): return 0x0A
        case UInt8(ascii: "r"): return 0x0D
        case UInt8(ascii: "t"): return 0x09
        case UInt8(ascii: "b"): return 0x08
        case UInt8(ascii: "f"): return 0x0C
        case UInt8(ascii: "u"):
            guard bytes.count - offset >= 4 else { return nil }
            let digits = String(decoding: bytes[offset..<offset + 4], as: UTF8.self)
            offset += 4
            return UInt16(digits, radix: 16)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return UInt16(byte)
        default: return nil
        }
    }

    private mutating func skipSpace() {
        while offset < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[offset]) { offset += 1 }
    }

    private mutating func peek() -> UInt8? {
        skipSpace()
        return offset < bytes.count ? bytes[offset] : nil
    }

    private mutating func takeByte(_ character: Unicode.Scalar) -> Bool {
        guard peek() == UInt8(ascii: character) else { return false }
        offset += 1
        return true
    }

    private mutating func take(_ word: String) -> Bool {
        guard bytes[offset...].starts(with: word.utf8) else { return false }
        offset += word.utf8.count
        return true
    }
}
