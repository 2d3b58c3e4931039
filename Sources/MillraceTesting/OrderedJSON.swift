/// JSON as it is written: fields in their order, numbers in their spelling, so that two documents can be compared to the
/// letter.
package indirect enum OrderedJSON: Hashable, Sendable {
    case object([Field])
    case array([OrderedJSON])
    /// With its escapes, without its quotes.
    case string(String)
    /// Numbers, true, false, null.
    case literal(String)

    package struct Field: Hashable, Sendable {
        package var name: String
        package var value: OrderedJSON

        package init(name: String, value: OrderedJSON) {
            self.name = name
            self.value = value
        }
    }

    package struct SyntaxError: Error, CustomStringConvertible {
        package var description: String
    }

    package init(_ text: String) throws(SyntaxError) {
        var parser = Parser(bytes: Array(text.utf8))
        self = try parser.value()
        guard parser.index == parser.bytes.count else { throw parser.failure("nothing more") }
    }

    package subscript(name: String) -> OrderedJSON? {
        guard case .object(let fields) = self else { return nil }
        return fields.first { $0.name == name }?.value
    }

    package var text: String {
        switch self {
        case .object(let fields): "{" + fields.map { "\"\($0.name)\":\($0.value.text)" }.joined(separator: ",") + "}"
        case .array(let elements): "[" + elements.map(\.text).joined(separator: ",") + "]"
        case .string(let string): "\"\(string)\""
        case .literal(let literal): literal
        }
    }

    /// Replaces the fields of an object that `body` has something else for.
    package func mapFields(_ body: (String, OrderedJSON) -> OrderedJSON) -> OrderedJSON {
        guard case .object(let fields) = self else { return self }
        return .object(fields.map { Field(name: $0.name, value: body($0.name, $0.value)) })
    }

    private struct Parser {
        let bytes: [UInt8]
        var index = 0

        var next: UInt8 { index < bytes.count ? bytes[index] : 0 }

        func failure(_ expected: String) -> SyntaxError {
            SyntaxError(description: "\(expected) expected at byte \(index)")
        }

        mutating func expect(_ byte: UInt8) throws(SyntaxError) {
            guard next == byte else { throw failure("'\(UnicodeScalar(byte))'") }
            index += 1
        }

        mutating func value() throws(SyntaxError) -> OrderedJSON {
            switch next {
            case 0x7B: return try object()
            case 0x5B: return try array()
            case 0x22: return .string(try string())
            default:
                let start = index
                while index < bytes.count, ![0x2C, 0x5D, 0x7D].contains(next) { index += 1 }
                guard index > start else { throw failure("a value") }
                return .literal(String(decoding: bytes[start..<index], as: UTF8.self))
            }
        }

        mutating func object() throws(SyntaxError) -> OrderedJSON {
            try expect(0x7B)
            var fields: [Field] = []
            while next != 0x7D {
                if !fields.isEmpty { try expect(0x2C) }
                let name = try string()
                try expect(0x3A)
                fields.append(Field(name: name, value: try value()))
            }
            index += 1
            return .object(fields)
        }

        mutating func array() throws(SyntaxError) -> OrderedJSON {
            try expect(0x5B)
            var elements: [OrderedJSON] = []
            while next != 0x5D {
                if !elements.isEmpty { try expect(0x2C) }
                elements.append(try value())
            }
            index += 1
            return .array(elements)
        }

        mutating func string() throws(SyntaxError) -> String {
            try expect(0x22)
            let start = index
            while index < bytes.count, next != 0x22 { index += next == 0x5C ? 2 : 1 }
            guard index < bytes.count else { throw failure("'\"'") }
            index += 1
            return String(decoding: bytes[start..<index - 1], as: UTF8.self)
        }
    }
}
