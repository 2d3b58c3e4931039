import MillraceCore

/// Kafka Connect's schemas as Avro schemas, as Confluent's AvroData maps them: optional is a union with null, names and what
/// Avro cannot say stand in `connect.…` properties.
struct AvroSchema {
    private let out = JSONBuffer()
    /// `connect.meta.data`.
    private let writesMetadata: Bool
    /// Full names of the records so far: the second time a name is enough.
    private var defined: Set<String> = []

    static let defaultNamespace = "io.confluent.connect.avro"

    static func text(_ schema: ConnectSchema, writesMetadata: Bool = true) throws(ConnectorError) -> String {
        var writer = AvroSchema(writesMetadata: writesMetadata)
        try writer.write(schema, namespace: nil)
        return String(decoding: writer.out.bytes, as: UTF8.self)
    }

    private init(writesMetadata: Bool) {
        self.writesMetadata = writesMetadata
    }

    /// Whether null is the second branch of the union: the first one is that of the default.
    static func nullIsLast(_ schema: ConnectSchema) -> Bool { schema.defaultValue != nil }

    /// `namespace`: the one that is in force.
    private mutating func write(_ schema: ConnectSchema, namespace: String?) throws(ConnectorError) {
        guard schema.isOptional else { return try writeRequired(schema, namespace) }
        out.append(byte: 0x5B)
        if !Self.nullIsLast(schema) { out.append("\"null\",") }
        try writeRequired(schema, namespace)
        if Self.nullIsLast(schema) { out.append(",\"null\"") }
        out.append(byte: 0x5D)
    }

    private mutating func writeRequired(_ schema: ConnectSchema, _ namespace: String?) throws(ConnectorError) {
        switch schema.kind {
        case .structure(let fields):
            let name = schema.name ?? "\(Self.defaultNamespace).ConnectDefault"
            try writeRecord(name, fields, schema, namespace)
        case .array(let items):
            out.append("{\"type\":\"array\",\"items\":")
            try write(items, namespace: namespace)
            writeProperties(schema)
        case .map(let keys, let values) where keys.kind == .string && !keys.isOptional:
            out.append("{\"type\":\"map\",\"values\":")
            try write(values, namespace: namespace)
            writeProperties(schema)
        case .map(let keys, let values):
            // Avro's maps have texts for keys; others are arrays of pairs.
            out.append("{\"type\":\"array\",\"items\":")
            let entry = ConnectSchema(.structure([ConnectField("key", keys), ConnectField("value", values)]))
            try writeRecord("\(Self.defaultNamespace).MapEntry", entry.fields, entry, namespace)
            writeProperties(schema)
        default: writePrimitive(schema)
        }
    }

    private func writePrimitive(_ schema: ConnectSchema) {
        let hasProperties =
            writesMetadata
            && (schema.name != nil || schema.defaultValue != nil || !schema.parameters.isEmpty || schema.version != nil
                || schema.doc != nil || schema.kind == .int8 || schema.kind == .int16)
        if !hasProperties, logicalType(schema) == nil {
            out.append(quoted: typeName(schema.kind))
            return
        }
        out.append("{\"type\":")
        out.append(quoted: typeName(schema.kind))
        if schema.name == ConnectSchema.decimalName {
            out.append(",\"scale\":\(schema.decimalScale),\"precision\":\(precision(schema))")
        }
        writeProperties(schema)
    }

    private func precision(_ schema: ConnectSchema) -> Int {
        schema.parameter("connect.decimal.precision").flatMap { Int($0) } ?? 64
    }

    private func typeName(_ kind: ConnectSchema.Kind) -> String {
        switch kind {
        case .int8, .int16, .int32: "int"
        case .int64: "long"
        case .float32: "float"
        case .float64: "double"
        case .boolean: "boolean"
        case .bytes: "bytes"
        default: "string"
        }
    }

    private func logicalType(_ schema: ConnectSchema) -> String? {
        switch schema.name {
        case ConnectSchema.decimalName: "decimal"
        case ConnectSchema.dateName: "date"
        case ConnectSchema.timeName: "time-millis"
        case ConnectSchema.timestampName: "timestamp-millis"
        default: nil
        }
    }

    // MARK: Records

    private mutating func writeRecord(
        _ fullName: String, _ fields: [ConnectField], _ schema: ConnectSchema, _ enclosing: String?
    ) throws(ConnectorError) {
        let dot = fullName.lastIndex(of: ".")
        let name = dot.map { String(fullName[fullName.index(after: $0)...]) } ?? fullName
        let namespace = dot.map { String(fullName[..<$0]) }
        guard fullName.split(separator: ".", omittingEmptySubsequences: false).allSatisfy({ AvroName.isValid($0) })
        else {
            throw ConnectorError(
                .data, code: "avro_name", "\(fullName) is no name that Avro allows for a schema",
                hint: "set schema.name.adjustment.mode=avro in the source")
        }
        guard defined.insert(fullName).inserted else {
            out.append(quoted: namespace == enclosing ? name : fullName)
            return
        }
        out.append("{\"type\":\"record\",\"name\":")
        out.append(quoted: name)
        if namespace != enclosing {
            out.append(",\"namespace\":")
            out.append(quoted: namespace ?? "")
        }
        out.append(",\"fields\":[")
        for (index, field) in fields.enumerated() {
            if index > 0 { out.append(byte: 0x2C) }
            try writeField(field, namespace)
        }
        out.append(byte: 0x5D)
        writeProperties(schema)
    }

    private mutating func writeField(_ field: ConnectField, _ namespace: String?) throws(ConnectorError) {
        guard AvroName.isValid(field.name[...]) else {
            throw ConnectorError(
                .data, code: "avro_name", "\(field.name) is no name that Avro allows for a field",
                hint: "set field.name.adjustment.mode=avro in the source")
        }
        out.append("{\"name\":")
        out.append(quoted: field.name)
        out.append(",\"type\":")
        try write(field.schema, namespace: namespace)
        if let value = field.schema.defaultValue {
            out.append(",\"default\":")
            writeDefault(value)
        } else if field.schema.isOptional {
            out.append(",\"default\":null")
        }
        out.append(byte: 0x7D)
    }

    /// The properties that Avro has no word for, in the order in which AvroData adds them; and the end of the object.
    private func writeProperties(_ schema: ConnectSchema) {
        if writesMetadata {
            if let doc = schema.doc { property("connect.doc", doc) }
            if let version = schema.version { out.append(",\"connect.version\":\(version)") }
            if !schema.parameters.isEmpty {
                out.append(",\"connect.parameters\":{")
                for (index, parameter) in schema.parameters.enumerated() {
                    if index > 0 { out.append(byte: 0x2C) }
                    out.append(quoted: parameter.key)
                    out.append(byte: 0x3A)
                    out.append(quoted: parameter.value)
                }
                out.append(byte: 0x7D)
            }
            if let value = schema.defaultValue {
                out.append(",\"connect.default\":")
                writeDefault(value)
            }
            if let name = schema.name { property("connect.name", name) }
            if schema.kind == .int8 { property("connect.type", "int8") }
            if schema.kind == .int16 { property("connect.type", "int16") }
        }
        if let type = logicalType(schema) { property("logicalType", type) }
        out.append(byte: 0x7D)
    }

    private func property(_ name: String, _ value: String) {
        out.append(byte: 0x2C)
        out.append(quoted: name)
        out.append(byte: 0x3A)
        out.append(quoted: value)
    }

    /// Bytes are texts with a character for each byte.
    private func writeDefault(_ value: ConnectValue) {
        switch value {
        case .bytes(let bytes): out.append(quoted: String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) })))
        case .array(let items):
            out.append(byte: 0x5B)
            for (index, item) in items.enumerated() {
                if index > 0 { out.append(byte: 0x2C) }
                writeDefault(item)
            }
            out.append(byte: 0x5D)
        default: JSONValueWriter().writeDefault(value, .string, into: out)
        }
    }
}

enum AvroName {
    /// A letter or an underscore, then letters, digits and underscores.
    static func isValid(_ name: Substring) -> Bool {
        guard let first = name.utf8.first, isLetter(first) else { return false }
        return name.utf8.allSatisfy { isLetter($0) || $0 &- 0x30 < 10 }
    }

    private static func isLetter(_ byte: UInt8) -> Bool { byte == 0x5F || byte < 0x80 && (byte | 0x20) &- 0x61 < 26 }
}
