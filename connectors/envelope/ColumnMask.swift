import MillraceCore

/// What stands in events for the text of a column.
enum ColumnMask {
    /// The same for every value, NULL included: JSON in the plan's text.
    case fixed(Range<Int>)
    case hash(ValueHash, limit: Int)
    /// UTF-16 units of a text, or bytes of a bytea.
    case truncate(Int)

    var isFixed: Bool {
        if case .fixed = self { true } else { false }
    }

    /// What is written for `text`, before it is encoded. `scratch` holds it where it is not a part of `text`.
    func masked(_ text: UnsafeRawBufferPointer, isBytes: Bool, _ scratch: JSONBuffer) -> UnsafeRawBufferPointer {
        switch self {
        case .fixed: return UnsafeRawBufferPointer(start: nil, count: 0)
        case .hash(let hash, let limit):
            scratch.removeAll()
            hash.append(text, limit: limit, to: scratch)
            return scratch.bytes
        case .truncate(let count):
            // `\x0102`: two digits for each byte.
            let end = isBytes ? min(text.count, 2 + 2 * count) : ColumnMask.end(of: count, in: text)
            return UnsafeRawBufferPointer(rebasing: text[..<end])
        }
    }

    /// Where the first `count` UTF-16 units end. A character of two units that does not fit whole is left out.
    static func end(of count: Int, in text: UnsafeRawBufferPointer) -> Int {
        if text.count <= count { return text.count }
        var units = 0
        var index = 0
        while index < text.count {
            let byte = text[index]
            let width = byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
            units += width == 4 ? 2 : 1
            if units > count { break }
            index += width
        }
        return min(index, text.count)
    }
}

extension ColumnEncoder {
    /// Whether Debezium masks such a column: those of character types and enumerations.
    func isMaskable(_ type: ResolvedType) -> Bool {
        guard self == .text else { return false }
        switch type.type {
        case .builtIn(let oid):
            return [TypeOID.text, TypeOID.varchar, TypeOID.bpchar, TypeOID.char, TypeOID.name].contains(oid)
        case .enumeration: return true
        case .named(let name): return name == "citext"
        case .array, .unknown: return false
        }
    }
}

extension MaskingRule {
    /// What the schema of the column says of it.
    var parameter: ConnectParameter {
        switch self {
        case .mask, .hash: ConnectParameter("masked", "true")
        case .truncate(let count): ConnectParameter("truncateLength", String(count))
        }
    }

    /// Nil where values of this type stay as they are.
    func mask(_ encoder: ColumnEncoder, _ type: ResolvedType, _ text: JSONBuffer) -> ColumnMask? {
        if case .truncate(let count) = self, case .bytea(.bytes) = encoder { return .truncate(count) }
        guard encoder.isMaskable(type) else { return nil }
        switch self {
        case .mask(let count):
            let start = text.count
            text.append("\"" + String(repeating: "*", count: count) + "\"")
            return .fixed(start..<text.count)
        case .hash(let algorithm, let salt, let version):
            // Known: the rule could not have been made otherwise.
            guard let hash = ValueHash(algorithm, salt: salt, version) else { return .fixed(0..<0) }
            let isLimited =
                type.modifier >= 4 && [.builtIn(TypeOID.varchar), .builtIn(TypeOID.bpchar)].contains(type.type)
            return .hash(hash, limit: isLimited ? Int(type.modifier) - 4 : .max)
        case .truncate(let count): return .truncate(count)
        }
    }
}
