/// Reads JSON text strictly (RFC 8259). Throws `JSONFault` at the first byte that does not belong there.
package struct JSONParser {
    private let bytes: [UInt8]
    private var index = 0
    private var depth = 0

    /// Deeper documents than this have no use here, and would only serve to exhaust the stack.
    private static let greatestDepth = 64

    package static func parse(_ bytes: [UInt8]) throws(JSONFault) -> JSONDocument {
        var parser = JSONParser(bytes: bytes)
        let document = try parser.value()
        parser.skipWhiteSpace()
        guard parser.index == bytes.count else { throw parser.fault("unexpected text behind the document") }
        return document
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    private var next: UInt8? { index < bytes.count ? bytes[index] : nil }

    private func fault(_ text: String) -> JSONFault {
        let before = bytes[..<min(index, bytes.count)]
        let line = before.count { $0 == 0x0A } + 1
        let column = before.count - (before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0) + 1
        return JSONFault(
            message: index >= bytes.count ? "unexpected end of the text" : text, line: line, column: column)
    }

    private mutating func skipWhiteSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { index += 1 }
    }

    private mutating func value() throws(JSONFault) -> JSONDocument {
        skipWhiteSpace()
        guard let byte = next else { throw fault("") }
        switch byte {
        case UInt8(ascii: "{"): return try nested { (parser) throws(JSONFault) in try parser.object() }
        case UInt8(ascii: "["): return try nested { (parser) throws(JSONFault) in try parser.array() }
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: throw fault("a value was expected")
        }
    }

    private mutating func nested(
        _ body: (inout JSONParser) throws(JSONFault) -> JSONDocument
    ) throws(JSONFault) -> JSONDocument {
        guard depth < Self.greatestDepth else { throw fault("nested too deeply") }
        depth += 1
        index += 1
        let result = try body(&self)
        depth -= 1
        return result
    }

    private mutating func object() throws(JSONFault) -> JSONDocument {
        var members: [JSONDocument.Member] = []
        skipWhiteSpace()
        if next == UInt8(ascii: "}") {
            index += 1
            return .object(members)
        }
        while true {
            skipWhiteSpace()
            guard next == UInt8(ascii: "\"") else { throw fault("a name in double quotes was expected") }
            let name = try string()
            skipWhiteSpace()
            guard next == UInt8(ascii: ":") else { throw fault("a colon was expected") }
            index += 1
            members.append(JSONDocument.Member(name: name, value: try value()))
            if try isLast(before: UInt8(ascii: "}")) { return .object(members) }
        }
    }

    private mutating func array() throws(JSONFault) -> JSONDocument {
        var elements: [JSONDocument] = []
        skipWhiteSpace()
        if next == UInt8(ascii: "]") {
            index += 1
            return .array(elements)
        }
        while true {
            elements.append(try value())
            if try isLast(before: UInt8(ascii: "]")) { return .array(elements) }
        }
    }

    private mutating func isLast(before end: UInt8) throws(JSONFault) -> Bool {
        skipWhiteSpace()
        guard let byte = next, byte == end || byte == UInt8(ascii: ",") else {
            throw fault("a comma or the end was expected")
        }
        index += 1
        return byte == end
    }

    private mutating func word(_ word: String, _ value: JSONDocument) throws(JSONFault) -> JSONDocument {
        guard bytes[index...].starts(with: word.utf8) else { throw fault("a value was expected") }
        index += word.utf8.count
        return value
    }

    private mutating func number() throws(JSONFault) -> JSONDocument {
        let start = index
        if next == UInt8(ascii: "-") { index += 1 }
        let first = next
        guard skipDigits() > 0 else { throw fault("a digit was expected") }
        if first == UInt8(ascii: "0"), index - start > (bytes[start] == UInt8(ascii: "-") ? 2 : 1) {
            throw fault("a number must not begin with zeros")
        }
        if next == UInt8(ascii: ".") {
            index += 1
            guard skipDigits() > 0 else { throw fault("a digit was expected") }
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            index += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { index += 1 }
            guard skipDigits() > 0 else { throw fault("a digit was expected") }
        }
        return .number(String(decoding: bytes[start..<index], as: UTF8.self))
    }

    private mutating func skipDigits() -> Int {
        let start = index
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { index += 1 }
        return index - start
    }

    private mutating func string() throws(JSONFault) -> String {
        index += 1
        var text: [UInt8] = []
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                guard let string = String(validating: text, as: UTF8.self) else {
                    throw fault("text that is not UTF-8")
                }
                index += 1
                return string
            case UInt8(ascii: "\\"):
                index += 1
                try escape(into: &text)
            case 0x00..<0x20:
                throw fault("a control character must be escaped")
            default:
                text.append(byte)
                index += 1
            }
        }
        throw fault("")
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONFault) {
        guard let byte = next else { throw fault("") }
        index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            var code = UInt32(try fourDigits())
            if (0xD800..<0xDC00).contains(code) {
                guard bytes[index...].starts(with: "\\u".utf8) else { throw fault("half a surrogate pair") }
                index += 2
                let low = UInt32(try fourDigits())
                guard (0xDC00..<0xE000).contains(low) else { throw fault("half a surrogate pair") }
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw fault("half a surrogate pair") }
            text += String(Character(scalar)).utf8
        default: throw fault("an unknown escape")
        }
    }

    private mutating func fourDigits() throws(JSONFault) -> UInt16 {
        guard index + 4 <= bytes.count,
            let code = UInt16(String(decoding: bytes[index..<index + 4], as: UTF8.self), radix: 16),
            bytes[index] != UInt8(ascii: "+"), bytes[index] != UInt8(ascii: "-")
        else { throw fault("four hexadecimal digits were expected") }
        index += 4
        return code
    }
}

/// Where a text stops being JSON, and why.
package struct JSONFault: Error, Hashable, Sendable, CustomStringConvertible {
    package var message: String
    package var line: Int
    package var column: Int

    package var description: String { "The body is not JSON: \(message) (line \(line), column \(column))" }
}
