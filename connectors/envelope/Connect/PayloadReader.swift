import MillraceCore

/// Reads JSON that this module wrote back as values of the schema that it was written for: one writer per type is enough
/// for all converters.
///
/// What is read is always JsonConverter's form without a schema, with decimals as base64 or as numbers.
struct PayloadReader {
    private let bytes: UnsafeRawBufferPointer
    private var index = 0
    private var scratch: [UInt8] = []

    private init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    static func read(_ bytes: UnsafeRawBufferPointer, _ schema: ConnectSchema) throws(ConnectorError) -> ConnectValue {
        var reader = PayloadReader(bytes)
        let value = try reader.value(schema)
        guard reader.index == bytes.count else { throw reader.malformed(schema) }
        return value
    }

    /// Of a default; nil where the text is not of the schema's type.
    static func read(_ json: String, _ schema: ConnectSchema) -> ConnectValue? {
        var json = json
        return json.withUTF8 { bytes in
            do {
                let value = try read(UnsafeRawBufferPointer(bytes), schema)
                return value.isNull ? nil : value
            } catch {
                return nil
            }
        }
    }

    private func malformed(_ schema: ConnectSchema) -> ConnectorError {
        ConnectorError(
            .bug, code: "payload_schema",
            "an event's JSON is not of its own schema (\(schema.name ?? "\(schema.kind)"), byte \(index))")
    }

    private var next: UInt8 { index < bytes.count ? bytes[index] : 0 }

    private mutating func take(_ byte: UInt8, _ schema: ConnectSchema) throws(ConnectorError) {
        guard next == byte else { throw malformed(schema) }
        index += 1
    }

    /// True where `byte` follows; it is taken then.
    private mutating func skip(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        index += 1
        return true
    }

    private mutating func value(_ schema: ConnectSchema) throws(ConnectorError) -> ConnectValue {
        if next == UInt8(ascii: "n") {
            index += 4
            return .null
        }
        switch schema.kind {
        case .structure(let fields): return try structure(fields, schema)
        case .array(let items): return try array(items, schema)
        case .map(let keys, let values): return try map(keys, values, schema)
        default:
            // Arrays of several dimensions have the schema of one.
            if next == UInt8(ascii: "[") { return try array(schema, schema) }
            return try primitive(schema)
        }
    }

    // MARK: Containers

    private mutating func structure(
        _ fields: [ConnectField], _ schema: ConnectSchema
    ) throws(ConnectorError) -> ConnectValue {
        try take(UInt8(ascii: "{"), schema)
        var values = [ConnectValue](repeating: .null, count: fields.count)
        var position = 0
        while !skip(UInt8(ascii: "}")) {
            if position > 0 { try take(UInt8(ascii: ","), schema) }
            let name = try string(schema)
            try take(UInt8(ascii: ":"), schema)
            // Written in the schema's order, but for a form that leaves fields out.
            let isNext = position < fields.count && fields[position].name == name
            guard let place = isNext ? position : fields.firstIndex(where: { $0.name == name }) else {
                throw malformed(schema)
            }
            values[place] = try value(fields[place].schema)
            position = place + 1
        }
        return .structure(values)
    }

    private mutating func array(
        _ items: ConnectSchema, _ schema: ConnectSchema
    ) throws(ConnectorError) -> ConnectValue {
        try take(UInt8(ascii: "["), schema)
        var values: [ConnectValue] = []
        while !skip(UInt8(ascii: "]")) {
            if !values.isEmpty { try take(UInt8(ascii: ","), schema) }
            values.append(try value(items))
        }
        return .array(values)
    }

    private mutating func map(
        _ keys: ConnectSchema, _ values: ConnectSchema, _ schema: ConnectSchema
    ) throws(ConnectorError) -> ConnectValue {
        var entries: [ConnectEntry] = []
        if skip(UInt8(ascii: "[")) {
            while !skip(UInt8(ascii: "]")) {
                if !entries.isEmpty { try take(UInt8(ascii: ","), schema) }
                try take(UInt8(ascii: "["), schema)
                let key = try value(keys)
                try take(UInt8(ascii: ","), schema)
                entries.append(ConnectEntry(key, try value(values)))
                try take(UInt8(ascii: "]"), schema)
            }
            return .map(entries)
        }
        try take(UInt8(ascii: "{"), schema)
        while !skip(UInt8(ascii: "}")) {
            if !entries.isEmpty { try take(UInt8(ascii: ","), schema) }
            let key = try string(schema)
            try take(UInt8(ascii: ":"), schema)
            entries.append(ConnectEntry(.string(key), try value(values)))
        }
        return .map(entries)
    }

    // MARK: Single values

    private mutating func primitive(_ schema: ConnectSchema) throws(ConnectorError) -> ConnectValue {
        switch schema.kind {
        case .string: return .string(try string(schema))
        case .bytes: return .bytes(try binary(schema))
        case .boolean:
            let isTrue = next == UInt8(ascii: "t")
            index += isTrue ? 4 : 5
            return .boolean(isTrue)
        case .float32:
            guard let number = Float(try numberText(schema)) else { throw malformed(schema) }
            return .float32(number)
        case .float64:
            guard let number = Double(try numberText(schema)) else { throw malformed(schema) }
            return .float64(number)
        case .int8: return .int8(try integer(schema))
        case .int16: return .int16(try integer(schema))
        case .int32: return .int32(try integer(schema))
        case .int64: return .int64(try integer(schema))
        case .array, .map, .structure: throw malformed(schema)
        }
    }

    private mutating func integer<Number: FixedWidthInteger>(
        _ schema: ConnectSchema
    ) throws(ConnectorError) -> Number {
        guard let number = Number(try numberText(schema)) else { throw malformed(schema) }
        return number
    }

    /// NaN and the infinities stand in quotes.
    private mutating func numberText(_ schema: ConnectSchema) throws(ConnectorError) -> String {
        if next == UInt8(ascii: "\"") { return try string(schema) }
        let start = index
        while index < bytes.count, ![0x2C, 0x5D, 0x7D].contains(bytes[index]) { index += 1 }
        return String(decoding: bytes[start..<index], as: UTF8.self)
    }

    /// Base64, or a decimal's digits.
    private mutating func binary(_ schema: ConnectSchema) throws(ConnectorError) -> [UInt8] {
        guard next == UInt8(ascii: "\"") else {
            let text = Array(try numberText(schema).utf8)
            var decimals = UnscaledDecimal()
            var unscaled: [UInt8] = []
            let isRead = text.withUnsafeBytes { digits in
                guard let number = NumericText(digits) else { return false }
                return decimals.withBytes(of: number, scale: schema.decimalScale) { unscaled = Array($0) }
            }
            guard isRead else { throw malformed(schema) }
            return unscaled
        }
        let text = try string(schema)
        guard let decoded = Base64.decode(text.utf8) else { throw malformed(schema) }
        return decoded
    }

    private mutating func string(_ schema: ConnectSchema) throws(ConnectorError) -> String {
        try take(UInt8(ascii: "\""), schema)
        let start = index
        while index < bytes.count, bytes[index] != 0x22, bytes[index] != 0x5C { index += 1 }
        if skip(0x22) { return String(decoding: bytes[start..<(index - 1)], as: UTF8.self) }
        scratch.removeAll(keepingCapacity: true)
        scratch.append(contentsOf: bytes[start..<index])
        while !skip(0x22) {
            guard index < bytes.count else { throw malformed(schema) }
            if skip(0x5C) {
                try appendEscaped(schema)
            } else {
                scratch.append(next)
                index += 1
            }
        }
        return String(decoding: scratch, as: UTF8.self)
    }

    private mutating func appendEscaped(_ schema: ConnectSchema) throws(ConnectorError) {
        let letter = next
        index += 1
        switch letter {
        case UInt8(ascii: "n"): scratch.append(0x0A)
        case UInt8(ascii: "r"): scratch.append(0x0D)
        case UInt8(ascii: "t"): scratch.append(0x09)
        case UInt8(ascii: "b"): scratch.append(0x08)
        case UInt8(ascii: "f"): scratch.append(0x0C)
        case UInt8(ascii: "u"):
            var units = [try unit(schema)]
            if units[0] & 0xFC00 == 0xD800, skip(0x5C), skip(UInt8(ascii: "u")) { units.append(try unit(schema)) }
            scratch.append(contentsOf: String(decoding: units, as: UTF16.self).utf8)
        default: scratch.append(letter)
        }
    }

    private mutating func unit(_ schema: ConnectSchema) throws(ConnectorError) -> UInt16 {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard let digit = HexText.value(next) else { throw malformed(schema) }
            unit = unit << 4 | UInt16(digit)
            index += 1
        }
        return unit
    }
}

/// RFC 4648, with padding.
package enum Base64 {
    package static func decode(_ text: some Sequence<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        var group: UInt32 = 0
        var count = 0
        for character in text {
            if character == UInt8(ascii: "=") { break }
            guard let digit = value(character) else { return nil }
            group = group << 6 | UInt32(digit)
            count += 1
            if count == 4 {
                bytes.append(UInt8(truncatingIfNeeded: group >> 16))
                bytes.append(UInt8(truncatingIfNeeded: group >> 8))
                bytes.append(UInt8(truncatingIfNeeded: group))
                (group, count) = (0, 0)
            }
        }
        switch count {
        case 0: break
        case 2: bytes.append(UInt8(truncatingIfNeeded: group >> 4))
        case 3:
            bytes.append(UInt8(truncatingIfNeeded: group >> 10))
            bytes.append(UInt8(truncatingIfNeeded: group >> 2))
        default: return nil
        }
        return bytes
    }

    private static func value(_ character: UInt8) -> UInt8? {
        switch character {
        case 0x41...0x5A: character - 0x41
        case 0x61...0x7A: character - 0x61 + 26
        case 0x30...0x39: character - 0x30 + 52
        case 0x2B, 0x2D: 62
        case 0x2F, 0x5F: 63
        default: nil
        }
    }
}
