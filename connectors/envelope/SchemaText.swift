/// Schemas as Kafka Connect's JsonConverter writes them: `type`, the parts of the type, `optional`, `name`, `version`, `doc`,
/// `parameters`, `default`, `field`, in this order.
enum SchemaText {
    /// `decimalsAsNumbers`: how defaults of decimals are written (`decimal.format`).
    static func write(
        _ schema: ConnectSchema, field: String? = nil, decimalsAsNumbers: Bool, into out: JSONBuffer
    ) {
        out.append("{\"type\":\"")
        out.append(typeName(schema.kind))
        out.append(byte: 0x22)
        writeParts(schema, decimalsAsNumbers, out)
        out.append(",\"optional\":")
        out.append(schema.isOptional ? "true" : "false")
        if let name = schema.name {
            out.append(",\"name\":")
            out.append(quoted: name)
        }
        if let version = schema.version {
            out.append(",\"version\":")
            out.append(decimal: Int64(version))
        }
        if let doc = schema.doc {
            out.append(",\"doc\":")
            out.append(quoted: doc)
        }
        if !schema.parameters.isEmpty {
            out.append(",\"parameters\":{")
            for (index, parameter) in schema.parameters.enumerated() {
                if index > 0 { out.append(byte: 0x2C) }
                out.append(quoted: parameter.key)
                out.append(byte: 0x3A)
                out.append(quoted: parameter.value)
            }
            out.append(byte: 0x7D)
        }
        if let value = schema.defaultValue {
            out.append(",\"default\":")
            JSONValueWriter(decimalsAsNumbers: decimalsAsNumbers).writeDefault(value, schema, into: out)
        }
        if let field {
            out.append(",\"field\":")
            out.append(quoted: field)
        }
        out.append(byte: 0x7D)
    }

    private static func writeParts(_ schema: ConnectSchema, _ decimalsAsNumbers: Bool, _ out: JSONBuffer) {
        switch schema.kind {
        case .array(let items):
            out.append(",\"items\":")
            write(items, decimalsAsNumbers: decimalsAsNumbers, into: out)
        case .map(let keys, let values):
            out.append(",\"keys\":")
            write(keys, decimalsAsNumbers: decimalsAsNumbers, into: out)
            out.append(",\"values\":")
            write(values, decimalsAsNumbers: decimalsAsNumbers, into: out)
        case .structure(let fields):
            out.append(",\"fields\":[")
            for (index, field) in fields.enumerated() {
                if index > 0 { out.append(byte: 0x2C) }
                write(field.schema, field: field.name, decimalsAsNumbers: decimalsAsNumbers, into: out)
            }
            out.append(byte: 0x5D)
        default: break
        }
    }

    private static func typeName(_ kind: ConnectSchema.Kind) -> StaticString {
        switch kind {
        case .int8: "int8"
        case .int16: "int16"
        case .int32: "int32"
        case .int64: "int64"
        case .float32: "float"
        case .float64: "double"
        case .boolean: "boolean"
        case .string: "string"
        case .bytes: "bytes"
        case .array: "array"
        case .map: "map"
        case .structure: "struct"
        }
    }

    static func json(_ schema: ConnectSchema, decimalsAsNumbers: Bool) -> String {
        let out = JSONBuffer()
        write(schema, decimalsAsNumbers: decimalsAsNumbers, into: out)
        return String(decoding: out.bytes, as: UTF8.self)
    }

    static func quote(_ text: String) -> String {
        let out = JSONBuffer()
        out.append(quoted: text)
        return String(decoding: out.bytes, as: UTF8.self)
    }
}
