import MillraceCore

/// `io.confluent.connect.avro.AvroConverter`: Avro behind a zero byte and the id of the schema in the registry.
final class AvroConverter: Converter {
    private let registration: RegistryForm
    private let writesMetadata: Bool
    private let ignoresDefaults: Bool
    private var ids: [String: SchemaMemo<UInt32>] = [:]

    init(_ choice: ConverterChoice, _ registries: SchemaRegistryFactory?) throws(ConnectorError) {
        registration = try RegistryForm(choice, registries)
        writesMetadata = choice.flag("connect.meta.data", true)
        ignoresDefaults = choice.flag("ignore.default.for.nullables", false)
        if choice.flag("scrub.invalid.names", false) {
            throw ConnectorError(
                .configuration, code: "unsupported_property", "scrub.invalid.names is not supported",
                hint: "set schema.name.adjustment.mode=avro and field.name.adjustment.mode=avro in the source")
        }
    }

    var form: ConvertedForm { .binary }

    func convert(
        _ value: ConnectValue, _ schema: ConnectSchema?, topic: String, into out: JSONBuffer
    ) throws(ConnectorError) -> Bool {
        guard let schema else {
            if value.isNull { return false }
            throw ConnectorError(
                .data, code: "no_schema", "a value of topic \(topic) has no schema, which Avro needs",
                hint: "leave out transforms that drop schemas, or use JsonConverter")
        }
        let id = try id(of: schema, topic)
        out.append(byte: 0)
        out.append(bigEndian: id)
        try write(value, schema, out)
        return true
    }

    private func id(of schema: ConnectSchema, _ topic: String) throws(ConnectorError) -> UInt32 {
        let registration = self.registration
        let writesMetadata = self.writesMetadata
        return try ids[topic, default: SchemaMemo()].value(for: schema) { () throws(ConnectorError) in
            let text = try AvroSchema.text(schema, writesMetadata: writesMetadata)
            return try registration.id(
                of: RegistrySchema(.avro, text), topic: topic, record: schema.name ?? "\(schema.kind)")
        }
    }

    // MARK: Values

    private func write(
        _ value: ConnectValue, _ schema: ConnectSchema, _ out: JSONBuffer
    ) throws(ConnectorError) {
        var value = value
        if value.isNull, !(ignoresDefaults && schema.isOptional), let standard = schema.defaultValue {
            value = standard
        }
        if schema.isOptional {
            let nullBranch: Int64 = AvroSchema.nullIsLast(schema) ? 1 : 0
            out.append(zigzag: value.isNull ? nullBranch : 1 - nullBranch)
            if value.isNull { return }
        }
        switch (value, schema.kind) {
        case (.structure(let values), .structure(let fields)) where values.count == fields.count:
            for (index, field) in fields.enumerated() { try write(values[index], field.schema, out) }
        case (.array(let items), .array(let itemSchema)):
            if !items.isEmpty { out.append(zigzag: Int64(items.count)) }
            for item in items { try write(item, itemSchema, out) }
            out.append(byte: 0)
        case (.map(let entries), .map(let keys, let values)):
            if !entries.isEmpty { out.append(zigzag: Int64(entries.count)) }
            for entry in entries {
                try write(entry.key, keys, out)
                try write(entry.value, values, out)
            }
            out.append(byte: 0)
        default: try writePrimitive(value, schema, out)
        }
    }

    private func writePrimitive(
        _ value: ConnectValue, _ schema: ConnectSchema, _ out: JSONBuffer
    ) throws(ConnectorError) {
        switch (value, schema.kind) {
        case (.int8(let number), .int8): out.append(zigzag: Int64(number))
        case (.int16(let number), .int16): out.append(zigzag: Int64(number))
        case (.int32(let number), .int32): out.append(zigzag: Int64(number))
        case (.int64(let number), .int64): out.append(zigzag: number)
        case (.float32(let number), .float32): out.append(littleEndian: number.bitPattern)
        case (.float64(let number), .float64): out.append(littleEndian: number.bitPattern)
        case (.boolean(let flag), .boolean): out.append(byte: flag ? 1 : 0)
        case (.string(let text), .string):
            out.append(zigzag: Int64(text.utf8.count))
            out.append(text)
        case (.bytes(let bytes), .bytes):
            out.append(zigzag: Int64(bytes.count))
            bytes.withUnsafeBytes { out.append($0) }
        default: throw JSONValueWriter.mismatch(schema)
        }
    }
}

extension JSONBuffer {
    /// Base 128, smallest group first.
    func append(varint number: UInt64) {
        var rest = number
        while rest >= 0x80 {
            append(byte: UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(byte: UInt8(truncatingIfNeeded: rest))
    }

    /// Small numbers of either sign are short.
    func append(zigzag number: Int64) {
        append(varint: UInt64(bitPattern: number << 1 ^ number >> 63))
    }

    func append<Number: FixedWidthInteger>(littleEndian number: Number) {
        withUnsafeBytes(of: number.littleEndian) { append($0) }
    }
}
