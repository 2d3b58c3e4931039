import MillraceCore

/// `org.apache.kafka.connect.storage.StringConverter`: what Java's `toString` makes of the value.
final class StringConverter: Converter {
    var form: ConvertedForm { .text }

    func convert(
        _ value: ConnectValue, _ schema: ConnectSchema?, topic: String, into out: JSONBuffer
    ) throws(ConnectorError) -> Bool {
        if value.isNull { return false }
        try append(value, schema, out)
        return true
    }

    private func append(
        _ value: ConnectValue, _ schema: ConnectSchema?, _ out: JSONBuffer
    ) throws(ConnectorError) {
        switch value {
        case .null: out.append("null")
        case .int8(let number): out.append(decimal: Int64(number))
        case .int16(let number): out.append(decimal: Int64(number))
        case .int32(let number): out.append(decimal: Int64(number))
        case .int64(let number): out.append(decimal: number)
        case .float32(let number): FloatText.write(number, quotesSpecials: false, into: out)
        case .float64(let number): FloatText.write(number, quotesSpecials: false, into: out)
        case .boolean(let flag): out.append(flag ? "true" : "false")
        case .string(let text): out.append(text)
        case .bytes(let bytes):
            guard schema?.name == ConnectSchema.decimalName else {
                throw ConnectorError(
                    .data, code: "no_text_form", "StringConverter has no form for bytes",
                    hint: "choose another converter, or set binary.handling.mode=base64 in the source")
            }
            out.append(DecimalText.text(unscaled: bytes, scale: schema?.decimalScale ?? 0))
        case .array, .map, .structure: try appendContainer(value, schema, out)
        }
    }

    private func appendContainer(
        _ value: ConnectValue, _ schema: ConnectSchema?, _ out: JSONBuffer
    ) throws(ConnectorError) {
        switch value {
        case .array(let items):
            var itemSchema: ConnectSchema?
            if case .array(let items)? = schema?.kind { itemSchema = items }
            out.append(byte: 0x5B)
            for (index, item) in items.enumerated() {
                if index > 0 { out.append(", ") }
                try append(item, itemSchema, out)
            }
            out.append(byte: 0x5D)
        case .map(let entries):
            out.append(byte: 0x7B)
            for (index, entry) in entries.enumerated() {
                if index > 0 { out.append(", ") }
                try append(entry.key, nil, out)
                out.append(byte: 0x3D)
                try append(entry.value, nil, out)
            }
            out.append(byte: 0x7D)
        case .structure(let values):
            out.append("Struct{")
            var isFirst = true
            for (field, value) in zip(schema?.fields ?? [], values) {
                let value = value.isNull ? field.schema.defaultValue ?? .null : value
                if value.isNull { continue }
                if !isFirst { out.append(byte: 0x2C) }
                isFirst = false
                out.append(field.name)
                out.append(byte: 0x3D)
                try append(value, field.schema, out)
            }
            out.append(byte: 0x7D)
        default: break
        }
    }
}

/// `org.apache.kafka.connect.storage.SimpleHeaderConverter`: text as it is, everything else as JSON.
final class SimpleHeaderConverter: Converter {
    private let values = JSONValueWriter(replacesNullWithDefault: false)
    var form: ConvertedForm { .text }

    func convert(
        _ value: ConnectValue, _ schema: ConnectSchema?, topic: String, into out: JSONBuffer
    ) throws(ConnectorError) -> Bool {
        switch value {
        case .null: return false
        case .string(let text): out.append(text)
        case .float32(let number): FloatText.write(number, quotesSpecials: false, into: out)
        case .float64(let number): FloatText.write(number, quotesSpecials: false, into: out)
        case .bytes(let bytes):
            if schema?.name == ConnectSchema.decimalName {
                out.append(DecimalText.text(unscaled: bytes, scale: schema?.decimalScale ?? 0))
            } else {
                bytes.withUnsafeBytes { out.append(base64: $0) }
            }
        default: try values.write(value, schema, into: out)
        }
        return true
    }
}

/// Converters of one type each: `ByteArrayConverter`, `BinaryDataConverter` and `ByteBufferConverter` take bytes as they
/// are, the number converters write big-endian bytes as Kafka's serializers do.
final class PrimitiveConverter: Converter {
    private let kind: ConverterChoice.Kind
    /// `delegate.converter.type`: takes what is no bytes.
    private let delegate: (any Converter)?

    init(_ kind: ConverterChoice.Kind, delegate: (any Converter)? = nil) {
        self.kind = kind
        self.delegate = delegate
    }

    var form: ConvertedForm { .binary }

    func convert(
        _ value: ConnectValue, _ schema: ConnectSchema?, topic: String, into out: JSONBuffer
    ) throws(ConnectorError) -> Bool {
        switch (kind, value) {
        case (_, .null): return false
        case (.byteArray, .bytes(let bytes)), (.binaryData, .bytes(let bytes)), (.byteBuffer, .bytes(let bytes)):
            bytes.withUnsafeBytes { out.append($0) }
        case (.boolean, .boolean(let flag)): out.append(byte: flag ? 1 : 0)
        case (.short, .int16(let number)): out.append(bigEndian: number)
        case (.integer, .int32(let number)): out.append(bigEndian: number)
        case (.long, .int64(let number)): out.append(bigEndian: number)
        case (.float, .float32(let number)): out.append(bigEndian: number.bitPattern)
        case (.double, .float64(let number)): out.append(bigEndian: number.bitPattern)
        default:
            if let delegate { return try delegate.convert(value, schema, topic: topic, into: out) }
            throw ConnectorError(
                .data, code: "schema_mismatch", "\(kind.rawValue) does not take values of this type (topic \(topic))",
                hint: "choose another converter, or a transform that makes such values")
        }
        return true
    }
}

extension JSONBuffer {
    func append<Number: FixedWidthInteger>(bigEndian number: Number) {
        withUnsafeBytes(of: number.bigEndian) { append($0) }
    }
}
