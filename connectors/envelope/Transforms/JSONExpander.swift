import MillraceCore

/// `table.expand.json.payload`: JSON text as structures with a schema worked out from the text itself. Text that is no
/// JSON object or array stays as it is.
struct JSONExpander {
    /// Fields that are null become optional bytes; otherwise they are left out, for nothing tells their type.
    let keepsNulls: Bool

    func expand(_ value: ConnectValue) -> (ConnectSchema, ConnectValue)? {
        guard case .string(let text) = value, let first = text.trimmed.first, first == "{" || first == "[" else {
            return nil
        }
        guard let json = PlainJSON(text) else { return nil }
        return convert(json, "payload")
    }

    /// Nil for null, and for an array from which no type can be told.
    private func convert(_ json: PlainJSON, _ name: String) -> (ConnectSchema, ConnectValue)? {
        switch json {
        case .null:
            return keepsNulls ? (ConnectSchema(.bytes, isOptional: true), .null) : nil
        case .boolean(let flag): return (ConnectSchema(.boolean, isOptional: true), .boolean(flag))
        case .string(let text): return (.optionalString, .string(text))
        case .number(let text):
            if let small = Int32(text) { return (ConnectSchema(.int32, isOptional: true), .int32(small)) }
            if let large = Int64(text) { return (ConnectSchema(.int64, isOptional: true), .int64(large)) }
            return (ConnectSchema(.float64, isOptional: true), .float64(Double(text) ?? 0))
        case .array(let items):
            let converted = items.map { convert($0, name) }
            guard let item = converted.compactMap({ $0 }).first?.0, converted.allSatisfy({ $0 == nil || $0?.0 == item })
            else {
                // Items of several types have no schema; as text, nothing of them is lost.
                return items.isEmpty && !keepsNulls ? nil : strings(items)
            }
            return (ConnectSchema(.array(item), isOptional: true), .array(converted.map { $0?.1 ?? .null }))
        case .object(let members):
            var fields: [ConnectField] = []
            var values: [ConnectValue] = []
            for (key, member) in members {
                guard let (schema, value) = convert(member, "\(name).\(key)") else { continue }
                fields.append(ConnectField(key, schema))
                values.append(value)
            }
            return (ConnectSchema(.structure(fields), isOptional: true, name: name), .structure(values))
        }
    }

    private func strings(_ items: [PlainJSON]) -> (ConnectSchema, ConnectValue) {
        let texts = items.map { item -> ConnectValue in
            if case .null = item { return .null }
            return .string(item.text)
        }
        return (ConnectSchema(.array(.optionalString), isOptional: true), .array(texts))
    }
}

/// JSON text taken apart, numbers as they are written.
indirect enum PlainJSON: Equatable {
    case null
    case boolean(Bool)
    case number(String)
    case string(String)
    case array([PlainJSON])
    case object([(key: String, value: PlainJSON)])

    static func == (left: PlainJSON, right: PlainJSON) -> Bool { left.text == right.text }

    /// Nil for what is not JSON.
    init?(_ text: String) {
        var parser = Parser(bytes: Array(text.utf8))
        guard let value = parser.value(depth: 0), parser.isAtEnd() else { return nil }
        self = value
    }

    var text: String {
        switch self {
        case .null: "null"
        case .boolean(let flag): String(flag)
        case .number(let text), .string(let text): text
        case .array(let items): "[" + items.map(\.quoted).joined(separator: ",") + "]"
        case .object(let members):
            "{" + members.map { "\(PlainJSON.string($0.key).quoted):\($0.value.quoted)" }.joined(separator: ",") + "}"
        }
    }

    private var quoted: String {
        guard case .string(let string) = self else { return text }
        let out = JSONBuffer()
        out.append(quoted: string)
        return String(decoding: out.bytes, as: UTF8.self)
    }

    private struct Parser {
        let bytes: [UInt8]
        var index = 0

        mutating func skipSpace() {
            while index < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[index]) { index += 1 }
        }

        mutating func isAtEnd() -> Bool {
            skipSpace()
            return index == bytes.count
        }

        mutating func take(_ byte: UInt8) -> Bool {
            skipSpace()
            guard index < bytes.count, bytes[index] == byte else { return false }
            index += 1
            return true
        }

        /// Text from outside: nesting has an end.
        mutating func value(depth: Int) -> PlainJSON? {
            skipSpace()
            guard depth < 500, index < bytes.count else { return nil }
            switch bytes[index] {
            case 0x7B: return object(depth)
            case 0x5B: return array(depth)
            case 0x22: return string().map { .string($0) }
            case 0x74: return word("true", .boolean(true))
            case 0x66: return word("false", .boolean(false))
            case 0x6E: return word("null", .null)
            default: return number()
            }
        }

        private mutating func word(_ word: StaticString, _ value: PlainJSON) -> PlainJSON? {
            let count = word.utf8CodeUnitCount
            guard index + count <= bytes.count,
                bytes[index..<index + count].elementsEqual(UnsafeBufferPointer(start: word.utf8Start, count: count))
            else { return nil }
            index += count
            return value
        }

        private mutating func number() -> PlainJSON? {
            let start = index
            while index < bytes.count, "+-.0123456789eE".utf8.contains(bytes[index]) { index += 1 }
            let text = String(decoding: bytes[start..<index], as: UTF8.self)
            return Double(text) == nil ? nil : .number(text)
        }

        private mutating func array(_ depth: Int) -> PlainJSON? {
            index += 1
            var items: [PlainJSON] = []
            if take(0x5D) { return .array([]) }
            repeat {
                guard let item = value(depth: depth + 1) else { return nil }
                items.append(item)
            } while take(0x2C)
            return take(0x5D) ? .array(items) : nil
        }

        private mutating func object(_ depth: Int) -> PlainJSON? {
            index += 1
            var members: [(key: String, value: PlainJSON)] = []
            if take(0x7D) { return .object([]) }
            repeat {
                skipSpace()
                guard index < bytes.count, bytes[index] == 0x22, let key = string(), take(0x3A),
                    let member = value(depth: depth + 1)
                else { return nil }
                members.append((key, member))
            } while take(0x2C)
            return take(0x7D) ? .object(members) : nil
        }

        private mutating func string() -> String? {
            index += 1
            var units: [UInt8] = []
            while index < bytes.count, bytes[index] != 0x22 {
                guard bytes[index] == 0x5C else {
                    units.append(bytes[index])
                    index += 1
                    continue
                }
                guard index + 1 < bytes.count else { return nil }
                let escape = bytes[index + 1]
                index += 2
                switch escape {
                case 0x62: units.append(0x08)
                case 0x66: units.append(0x0C)
                case 0x6E: units.append(0x0A)
                case 0x72: units.append(0x0D)
                case 0x74: units.append(0x09)
                case 0x75:
                    guard let scalar = escapedScalar() else { return nil }
                    units += Array(String(Character(scalar)).utf8)
                default: units.append(escape)
                }
            }
            guard index < bytes.count else { return nil }
            index += 1
            return String(decoding: units, as: UTF8.self)
        }

        private mutating func escapedScalar() -> Unicode.Scalar? {
            guard let high = hexadecimal() else { return nil }
            guard (0xD800...0xDBFF).contains(high) else { return Unicode.Scalar(high) ?? "\u{FFFD}" }
            guard index + 1 < bytes.count, bytes[index] == 0x5C, bytes[index + 1] == 0x75 else { return "\u{FFFD}" }
            index += 2
            guard let low = hexadecimal(), (0xDC00...0xDFFF).contains(low) else { return "\u{FFFD}" }
            return Unicode.Scalar(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00))
        }

        private mutating func hexadecimal() -> UInt32? {
            guard index + 4 <= bytes.count else { return nil }
            let value = UInt32(String(decoding: bytes[index..<index + 4], as: UTF8.self), radix: 16)
            index += 4
            return value
        }
    }
}
