import MillraceCore

/// `io.confluent.connect.protobuf.ProtobufConverter`: Protobuf behind a zero byte, the id of the schema in the registry, and
/// the place of the message in its file, which is always the first.
final class ProtobufConverter: Converter {
    private let registration: RegistryForm
    private let marksOptional: Bool
    private let ignoresDefaults: Bool
    private var known: [String: SchemaMemo<(id: UInt32, message: ProtobufMessage)>] = [:]
    /// Messages inside messages stand behind their length: one buffer for each depth.
    private var scratch: [JSONBuffer] = []

    init(_ choice: ConverterChoice, _ registries: SchemaRegistryFactory?) throws(ConnectorError) {
        registration = try RegistryForm(choice, registries)
        marksOptional = choice.flag("optional.for.nullables", false)
        ignoresDefaults = choice.flag("ignore.default.for.nullables", false)
        for name in ["wrapper.for.nullables", "scrub.invalid.names"] where choice.flag(name, false) {
            throw ConnectorError(
                .configuration, code: "unsupported_property", "ProtobufConverter: \(name) is not supported",
                hint: name == "wrapper.for.nullables" ? "optional.for.nullables=true tells null from zero" : nil)
        }
    }

    var form: ConvertedForm { .binary }

    func convert(
        _ value: ConnectValue, _ schema: ConnectSchema?, topic: String, into out: JSONBuffer
    ) throws(ConnectorError) -> Bool {
        if value.isNull { return false }
        guard let schema else {
            throw ConnectorError(
                .data, code: "no_schema", "a value of topic \(topic) has no schema, which Protobuf needs",
                hint: "leave out transforms that drop schemas, or use JsonConverter")
        }
        let registration = self.registration
        let marksOptional = self.marksOptional
        let plan = try known[topic, default: SchemaMemo()].value(for: schema) { () throws(ConnectorError) in
            let plan = try ProtobufSchema(schema, marksOptional: marksOptional)
            let id = try registration.id(
                of: RegistrySchema(.protobuf, plan.text), topic: topic, record: schema.name ?? "ConnectDefault1")
            return (id: id, message: plan.message)
        }
        out.append(byte: 0)
        out.append(bigEndian: plan.id)
        // The list of indexes [0] has a short form.
        out.append(byte: 0)
        try write(value, schema, plan.message, depth: 0, out)
        return true
    }

    // MARK: Messages

    private func write(
        _ value: ConnectValue, _ schema: ConnectSchema, _ message: ProtobufMessage, depth: Int, _ out: JSONBuffer
    ) throws(ConnectorError) {
        guard case .structure(let values) = value, case .structure(let fields) = schema.kind,
            values.count == fields.count, values.count == message.fields.count
        else { throw JSONValueWriter.mismatch(schema) }
        for (index, field) in message.fields.enumerated() {
            var value = values[index]
            let fieldSchema = fields[index].schema
            if value.isNull, !(ignoresDefaults && fieldSchema.isOptional), let standard = fieldSchema.defaultValue {
                value = standard
            }
            if value.isNull {
                guard fieldSchema.isOptional else { throw JSONValueWriter.mismatch(fieldSchema) }
                continue
            }
            try writeField(value, fieldSchema, field, UInt64(index + 1), depth, out)
        }
    }

    private func writeField(
        _ value: ConnectValue, _ schema: ConnectSchema, _ field: ProtobufMessage.Field, _ number: UInt64, _ depth: Int,
        _ out: JSONBuffer
    ) throws(ConnectorError) {
        switch (field.type, value, schema.kind) {
        case (.repeated(let type), .array(let items), .array(let itemSchema)):
            for item in items {
                guard !item.isNull else {
                    throw ConnectorError(
                        .data, code: "null_in_array", "Protobuf has no null in arrays",
                        hint: "leave the column out with column.exclude.list, or choose another converter")
                }
                try write(item, itemSchema, type, number, depth, out)
            }
        case (.map(let keyType, let valueType), .map(let entries), .map(let keys, let values)):
            for entry in entries {
                try writeDelimited(number, depth, out) { body throws(ConnectorError) in
                    try write(entry.key, keys, keyType, 1, depth + 1, body)
                    if !entry.value.isNull { try write(entry.value, values, valueType, 2, depth + 1, body) }
                }
            }
        default:
            if !field.hasPresence, Self.isZero(value), schema.name != ConnectSchema.decimalName,
                schema.name.map({ !Self.messageTypes.contains($0) }) ?? true
            {
                return
            }
            try write(value, schema, field.type, number, depth, out)
        }
    }

    private static let messageTypes: Set<String> = [
        ConnectSchema.dateName, ConnectSchema.timeName, ConnectSchema.timestampName,
    ]

    /// What proto3 does not write: whoever reads it takes a field that is not there for this.
    private static func isZero(_ value: ConnectValue) -> Bool {
        switch value {
        case .int8(0), .int16(0), .int32(0), .int64(0), .boolean(false): true
        case .float32(let number): number.bitPattern == 0
        case .float64(let number): number.bitPattern == 0
        case .string(let text): text.isEmpty
        case .bytes(let bytes): bytes.isEmpty
        default: false
        }
    }

    /// Tag and value. Wire types: 0 varint, 1 eight bytes, 2 behind its length, 5 four bytes.
    private func write(
        _ value: ConnectValue, _ schema: ConnectSchema, _ type: ProtobufMessage.FieldType, _ number: UInt64,
        _ depth: Int, _ out: JSONBuffer
    ) throws(ConnectorError) {
        switch (type, value) {
        case (.int, .int8(let integer)): Self.append(Int64(integer), number, out)
        case (.int, .int16(let integer)): Self.append(Int64(integer), number, out)
        case (.int, .int32(let integer)): Self.append(Int64(integer), number, out)
        case (.int, .int64(let integer)): Self.append(integer, number, out)
        case (.boolean, .boolean(let flag)): Self.append(flag ? 1 : 0, number, out)
        case (.float32, .float32(let float)):
            out.append(varint: number << 3 | 5)
            out.append(littleEndian: float.bitPattern)
        case (.float64, .float64(let double)):
            out.append(varint: number << 3 | 1)
            out.append(littleEndian: double.bitPattern)
        case (.string, .string(let text)):
            out.append(varint: number << 3 | 2)
            out.append(varint: UInt64(text.utf8.count))
            out.append(text)
        case (.bytes, .bytes(let bytes)): Self.append(bytes, number, out)
        case (.message(let message), .structure):
            try writeDelimited(number, depth, out) { body throws(ConnectorError) in
                try write(value, schema, message, depth: depth + 1, body)
            }
        default:
            try writeDelimited(number, depth, out) { body throws(ConnectorError) in
                try writeLogical(value, schema, type, body)
            }
        }
    }

    private func writeLogical(
        _ value: ConnectValue, _ schema: ConnectSchema, _ type: ProtobufMessage.FieldType, _ out: JSONBuffer
    ) throws(ConnectorError) {
        switch (type, value) {
        case (.decimal(let scale), .bytes(let bytes)):
            Self.append(bytes, 1, out)
            let digits = DecimalText.text(unscaled: bytes, scale: 0).utf8.filter { $0 != 0x2D }.count
            Self.append(Int64(digits), 2, out)
            if scale != 0 { Self.append(Int64(scale), 3, out) }
        case (.date, .int32(let days)):
            let (year, month, day) = JSONBuffer.civil(daysSince1970: Int64(days))
            for (index, part) in [year, month, day].enumerated() where part != 0 {
                Self.append(part, UInt64(index + 1), out)
            }
        case (.time, .int32(let milliseconds)):
            let parts = [
                milliseconds / 3_600_000, milliseconds / 60_000 % 60, milliseconds / 1000 % 60,
                milliseconds % 1000 * 1_000_000,
            ]
            for (index, part) in parts.enumerated() where part != 0 { Self.append(Int64(part), UInt64(index + 1), out) }
        case (.timestamp, .int64(let milliseconds)):
            let rest = milliseconds % 1000
            let seconds = milliseconds / 1000 - (rest < 0 ? 1 : 0)
            if seconds != 0 { Self.append(seconds, 1, out) }
            if rest != 0 { Self.append((rest < 0 ? rest + 1000 : rest) * 1_000_000, 2, out) }
        default: throw JSONValueWriter.mismatch(schema)
        }
    }

    private func writeDelimited(
        _ number: UInt64, _ depth: Int, _ out: JSONBuffer, _ body: (JSONBuffer) throws(ConnectorError) -> Void
    ) throws(ConnectorError) {
        while scratch.count <= depth { scratch.append(JSONBuffer()) }
        let buffer = scratch[depth]
        buffer.removeAll()
        try body(buffer)
        out.append(varint: number << 3 | 2)
        out.append(varint: UInt64(buffer.count))
        out.append(buffer.bytes)
    }

    private static func append(_ integer: Int64, _ number: UInt64, _ out: JSONBuffer) {
        out.append(varint: number << 3)
        out.append(varint: UInt64(bitPattern: integer))
    }

    private static func append(_ bytes: [UInt8], _ number: UInt64, _ out: JSONBuffer) {
        out.append(varint: number << 3 | 2)
        out.append(varint: UInt64(bytes.count))
        bytes.withUnsafeBytes { out.append($0) }
    }
}
