import MillraceCore

/// `Cast`: fields, or the whole key or value, as another simple type.
final class Cast: Transform {
    enum Target: String, CaseIterable {
        case int8
        case int16
        case int32
        case int64
        case float32
        case float64
        case boolean
        case string

        var kind: ConnectSchema.Kind {
            switch self {
            case .int8: .int8
            case .int16: .int16
            case .int32: .int32
            case .int64: .int64
            case .float32: .float32
            case .float64: .float64
            case .boolean: .boolean
            case .string: .string
            }
        }
    }

    private let half: RecordHalf
    private let fields: [String: Target]
    private let whole: Target?
    private let reader: FieldReader
    private var schemas = SchemaCache<ConnectSchema>()

    init(_ config: StepConfig, _ half: RecordHalf) throws(ConnectorError) {
        self.half = half
        _ = try config.required("spec")
        var fields: [String: Target] = [:]
        var whole: Target?
        for part in config.list("spec") {
            let pieces = part.split(separator: ":", omittingEmptySubsequences: false).map(\.trimmed)
            guard pieces.count <= 2, let last = pieces.last else {
                throw config.invalid("spec", "Invalid rename mapping: \(part)")
            }
            guard let target = Target(rawValue: last.lowercased()) else {
                throw config.invalid("spec", "Invalid type found in casting spec: \(last)")
            }
            if pieces.count == 1 { whole = target } else { fields[pieces[0]] = target }
        }
        if whole != nil, !fields.isEmpty {
            throw config.invalid(
                "spec",
                "Cast transformations that specify a type to cast the entire value to may ony specify a single cast in their spec"
            )
        }
        (self.fields, self.whole) = (fields, whole)
        reader = try FieldReader(config)
    }

    func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? {
        let content = record.content(half)
        if content.isNull { return record }
        var record = record
        let schema = record.schema(half)
        if let whole {
            let updated = schema.map { Cast.cast($0, whole) }
            record.set(half, updated, try Cast.cast(content, schema, whole, "the \(half.name)"))
            return record
        }
        guard let schema else {
            var entries = try content.map("cast types")
            for index in entries.indices {
                guard case .string(let name) = entries[index].key, let target = fields[name] else { continue }
                entries[index].value = try Cast.cast(entries[index].value, nil, target, name)
            }
            record.set(half, nil, .map(entries))
            return record
        }
        var values = try content.structure("cast types")
        let updated = try schemas.plan(for: schema) { schema throws(ConnectorError) in
            schema.rebuilt(
                schema.fields.map { field in
                    guard let target = fields[field.name] else { return field }
                    return ConnectField(field.name, Cast.cast(field.schema, target))
                })
        }
        for (index, field) in schema.fields.enumerated() where index < values.count {
            values[index] = reader.value(values, index, field.schema)
            guard let target = fields[field.name] else { continue }
            values[index] = try Cast.cast(values[index], field.schema, target, field.name)
        }
        record.set(half, updated, .structure(values))
        return record
    }

    private static func cast(_ schema: ConnectSchema, _ target: Target) -> ConnectSchema {
        let value = schema.defaultValue.flatMap { try? cast($0, schema, target, "") }
        return ConnectSchema(target.kind, isOptional: schema.isOptional, defaultValue: value)
    }

    private static func cast(
        _ value: ConnectValue, _ schema: ConnectSchema?, _ target: Target, _ field: String
    ) throws(ConnectorError) -> ConnectValue {
        if value.isNull { return .null }
        if schema?.name == "org.apache.kafka.connect.data.Decimal", case .bytes(let bytes) = value {
            let scale = schema?.parameter("scale").flatMap { Int($0) } ?? 0
            return try cast(text: UnscaledText.decimal(bytes, scale: scale), target, field)
        }
        switch value {
        case .string(let text): return try cast(text: text, target, field)
        case .boolean(let flag):
            if target == .boolean { return value }
            if target == .string { return .string(String(flag)) }
            return try number(flag ? 1 : 0, target, field)
        case .float32(let float): return try cast(Double(float), value, target, field)
        case .float64(let double): return try cast(double, value, target, field)
        case .bytes(let bytes) where target == .string:
            let out = JSONBuffer()
            bytes.withUnsafeBytes { out.append(base64: $0) }
            return .string(String(decoding: out.bytes.dropFirst().dropLast(), as: UTF8.self))
        default:
            guard let integer = value.integer else {
                throw transformFailure("Unexpected type in Cast transformation: \(value.className) (field \(field))")
            }
            return target == .string ? .string(String(integer)) : try number(integer, target, field)
        }
    }

    /// Java narrows without a word.
    private static func number(
        _ value: Int64, _ target: Target, _ field: String
    ) throws(ConnectorError) -> ConnectValue {
        switch target {
        case .int8: .int8(Int8(truncatingIfNeeded: value))
        case .int16: .int16(Int16(truncatingIfNeeded: value))
        case .int32: .int32(Int32(truncatingIfNeeded: value))
        case .int64: .int64(value)
        case .float32: .float32(Float(value))
        case .float64: .float64(Double(value))
        case .boolean: .boolean(value != 0)
        case .string: .string(String(value))
        }
    }

    private static func cast(
        _ double: Double, _ value: ConnectValue, _ target: Target, _ field: String
    ) throws(ConnectorError) -> ConnectValue {
        switch target {
        case .float64: return .float64(double)
        case .float32: return .float32(Float(double))
        case .boolean: return .boolean(double != 0)
        case .string: return .string(value.simpleText ?? "")
        case .int8, .int16, .int32, .int64:
            // Java's conversion saturates, and NaN is 0.
            let whole = double.isNaN ? 0 : Int64(exactly: double.rounded(.towardZero)) ?? (double < 0 ? .min : .max)
            return try number(target == .int64 ? whole : Int64(Int32(clamping: whole)), target, field)
        }
    }

    private static func cast(text: String, _ target: Target, _ field: String) throws(ConnectorError) -> ConnectValue {
        let value: ConnectValue? =
            switch target {
            case .int8: Int8(text).map { .int8($0) }
            case .int16: Int16(text).map { .int16($0) }
            case .int32: Int32(text).map { .int32($0) }
            case .int64: Int64(text).map { .int64($0) }
            case .float32: Float(text.trimmed).map { .float32($0) }
            case .float64: Double(text.trimmed).map { .float64($0) }
            case .boolean: .boolean(text.lowercased() == "true")
            case .string: .string(text)
            }
        guard let value else {
            throw transformFailure(
                "Value of field \(field) was out of range or not a number for requested data type \(target.rawValue)")
        }
        return value
    }
}

/// The decimal digits of an unscaled value.
enum UnscaledText {
    /// `bytes`: big-endian, two's complement.
    static func decimal(_ bytes: [UInt8], scale: Int) -> String {
        let isNegative = (bytes.first ?? 0) & 0x80 != 0
        var magnitude = bytes
        if isNegative {
            var carry: UInt16 = 1
            for index in magnitude.indices.reversed() {
                let sum = UInt16(~magnitude[index]) + carry
                magnitude[index] = UInt8(truncatingIfNeeded: sum)
                carry = sum >> 8
            }
        }
        var digits: [UInt8] = []
        while magnitude.contains(where: { $0 != 0 }) {
            var remainder: UInt16 = 0
            for index in magnitude.indices {
                let part = remainder << 8 | UInt16(magnitude[index])
                magnitude[index] = UInt8(truncatingIfNeeded: part / 10)
                remainder = part % 10
            }
            digits.append(0x30 + UInt8(truncatingIfNeeded: remainder))
        }
        while digits.count <= max(scale, 0) { digits.append(0x30) }
        var text = String(decoding: digits.reversed(), as: UTF8.self)
        if scale > 0 {
            text.insert(".", at: text.index(text.endIndex, offsetBy: -scale))
        } else if scale < 0, text != "0" {
            text += String(repeating: "0", count: min(-scale, 20_000))
        }
        return isNegative ? "-" + text : text
    }
}
