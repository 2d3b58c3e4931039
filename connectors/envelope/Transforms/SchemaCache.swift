import MillraceCore

/// What a transform has worked out for a schema, found again by the schema's identity: schemas are made once per relation.
struct SchemaCache<Plan> {
    private var plans: [ObjectIdentifier: (schema: ConnectSchema, plan: Plan)] = [:]

    mutating func plan(
        for schema: ConnectSchema, _ make: (ConnectSchema) throws(ConnectorError) -> Plan
    ) throws(ConnectorError) -> Plan {
        let id = ObjectIdentifier(schema)
        if let known = plans[id] { return known.plan }
        // A schema that nobody shares would make the cache grow without end.
        if plans.count >= 4096 { plans.removeAll() }
        let plan = try make(schema)
        // The schema is kept with its plan, so that its identity cannot go to another one.
        plans[id] = (schema, plan)
        return plan
    }
}

/// Which half of a record a transform of Kafka's works on: `…$Key` or `…$Value`.
enum RecordHalf: Sendable {
    case key
    case value

    var name: String { self == .key ? "key" : "value" }
}

extension ConnectRecord {
    func schema(_ half: RecordHalf) -> ConnectSchema? { half == .key ? keySchema : valueSchema }

    func content(_ half: RecordHalf) -> ConnectValue { half == .key ? key : value }

    mutating func set(_ half: RecordHalf, _ schema: ConnectSchema?, _ content: ConnectValue) {
        if half == .key {
            keySchema = schema
            key = content
        } else {
            valueSchema = schema
            value = content
        }
    }
}

extension ConnectSchema {
    /// A structure of the same name, version and so on with other fields.
    func with(fields: [ConnectField]) -> ConnectSchema { with(kind: .structure(fields)) }

    var isStructure: Bool {
        if case .structure = kind { return true }
        return false
    }

    /// The kind as Kafka names it.
    var kindName: String {
        switch kind {
        case .int8: "INT8"
        case .int16: "INT16"
        case .int32: "INT32"
        case .int64: "INT64"
        case .float32: "FLOAT32"
        case .float64: "FLOAT64"
        case .boolean: "BOOLEAN"
        case .string: "STRING"
        case .bytes: "BYTES"
        case .array: "ARRAY"
        case .map: "MAP"
        case .structure: "STRUCT"
        }
    }
}

extension ConnectValue {
    /// The Java class that such a value has in Kafka Connect, for messages.
    var className: String {
        switch self {
        case .null: "null"
        case .int8: "java.lang.Byte"
        case .int16: "java.lang.Short"
        case .int32: "java.lang.Integer"
        case .int64: "java.lang.Long"
        case .float32: "java.lang.Float"
        case .float64: "java.lang.Double"
        case .boolean: "java.lang.Boolean"
        case .string: "java.lang.String"
        case .bytes: "java.nio.ByteBuffer"
        case .array: "java.util.ArrayList"
        case .map: "java.util.HashMap"
        case .structure: "org.apache.kafka.connect.data.Struct"
        }
    }

    /// The values of a structure's fields.
    func structure(_ purpose: String) throws(ConnectorError) -> [ConnectValue] {
        if case .structure(let values) = self { return values }
        throw transformFailure("Only Struct objects supported for [\(purpose)], found: \(className)")
    }

    /// The pairs of a value without a schema.
    func map(_ purpose: String) throws(ConnectorError) -> [ConnectEntry] {
        if case .map(let entries) = self { return entries }
        throw transformFailure(
            "Only Map objects supported in absence of schema for [\(purpose)], found: \(className)")
    }

    /// Text as Java's `toString` or `String.valueOf` gives it for simple values; nil for containers.
    var simpleText: String? {
        switch self {
        case .int8(let value): String(value)
        case .int16(let value): String(value)
        case .int32(let value): String(value)
        case .int64(let value): String(value)
        case .float32(let value): JavaNumber.text(value)
        case .float64(let value): JavaNumber.text(value)
        case .boolean(let value): String(value)
        case .string(let value): value
        case .null, .bytes, .array, .map, .structure: nil
        }
    }

    /// An integer of any width.
    var integer: Int64? {
        switch self {
        case .int8(let value): Int64(value)
        case .int16(let value): Int64(value)
        case .int32(let value): Int64(value)
        case .int64(let value): value
        default: nil
        }
    }
}

/// Numbers as Java prints them.
enum JavaNumber {
    static func text(_ value: Double) -> String { text("\(value)", isSingle: false) }
    static func text(_ value: Float) -> String { text("\(value)", isSingle: true) }

    private static func text(_ description: String, isSingle: Bool) -> String {
        switch description {
        case "nan": return "NaN"
        case "inf": return "Infinity"
        case "-inf": return "-Infinity"
        default: break
        }
        let out = JSONBuffer()
        var text = description
        let isWritten = text.withUTF8 { FloatText.write(UnsafeRawBufferPointer($0), isSingle: isSingle, into: out) }
        return isWritten ? String(decoding: out.bytes, as: UTF8.self) : description
    }
}

extension [ConnectEntry] {
    /// The value of a text key.
    func value(_ key: String) -> ConnectValue? {
        first { $0.key == .string(key) }?.value
    }

    mutating func set(_ key: String, _ value: ConnectValue) {
        if let index = firstIndex(where: { $0.key == .string(key) }) {
            self[index].value = value
        } else {
            append(ConnectEntry(.string(key), value))
        }
    }
}
