import MillraceCore

/// A structure as a Protobuf message: what its values need, in the order of its fields.
final class ProtobufMessage {
    indirect enum FieldType {
        case int
        case float32
        case float64
        case boolean
        case string
        case bytes
        case decimal(scale: Int)
        case date
        case time
        case timestamp
        case message(ProtobufMessage)
        /// Messages with a key and a value.
        case map(key: FieldType, value: FieldType)
        case repeated(FieldType)
    }

    struct Field {
        var type: FieldType
        /// Written where it is the type's zero, too.
        var hasPresence: Bool
    }

    fileprivate(set) var fields: [Field] = []

    fileprivate init() {}
}

/// Kafka Connect's schemas as Protobuf files (proto3), as Confluent's ProtobufData maps them: the topmost structure is the
/// file's only message, others are nested where they are met first.
struct ProtobufSchema {
    let message: ProtobufMessage
    let text: String

    /// `optional.for.nullables`: fields that may be null are `optional`; without it null and the type's zero are the same.
    init(_ schema: ConnectSchema, marksOptional: Bool) throws(ConnectorError) {
        guard case .structure(let fields) = schema.kind else {
            throw ConnectorError(
                .data, code: "schema_mismatch", "Protobuf takes structures only, not a single value",
                hint: "choose another converter for it")
        }
        var compiler = ProtobufCompiler(marksOptional: marksOptional)
        let fullName = schema.name ?? compiler.defaultName()
        let dot = fullName.lastIndex(of: ".")
        let name = dot.map { String(fullName[fullName.index(after: $0)...]) } ?? fullName
        try ProtobufCompiler.check(fullName.split(separator: ".", omittingEmptySubsequences: false))
        let (message, body) = try compiler.message(name, fields, indent: "")
        var text = "syntax = \"proto3\";\n"
        if let dot { text += "package \(fullName[..<dot]);\n" }
        text += "\n"
        for name in compiler.imports.sorted() { text += "import \"\(name)\";\n" }
        if !compiler.imports.isEmpty { text += "\n" }
        self.message = message
        self.text = text + body
    }
}

private struct ProtobufCompiler {
    let marksOptional: Bool
    var imports: Set<String> = []
    private var defaultNames = 0
    /// Messages that a name stands for, innermost scope last.
    private var scopes: [[String: (schema: ConnectSchema, message: ProtobufMessage)]] = []

    init(marksOptional: Bool) {
        self.marksOptional = marksOptional
    }

    mutating func defaultName() -> String {
        defaultNames += 1
        return "ConnectDefault\(defaultNames)"
    }

    static func check(_ names: [Substring]) throws(ConnectorError) {
        for name in names where !AvroName.isValid(name) {
            throw ConnectorError(
                .data, code: "protobuf_name", "\(names.joined(separator: ".")) is no name that Protobuf allows",
                hint: "set schema.name.adjustment.mode=avro and field.name.adjustment.mode=avro in the source")
        }
    }

    mutating func message(
        _ name: String, _ fields: [ConnectField], indent: String
    ) throws(ConnectorError) -> (ProtobufMessage, String) {
        let message = ProtobufMessage()
        var nested = ""
        var text = "\(indent)message \(name) {\n"
        scopes.append([:])
        for (index, field) in fields.enumerated() {
            try Self.check([field.name[...]])
            var options: [String] = []
            let (type, typeName) = try self.type(field.schema, field.name, &options, &nested, indent + "  ")
            let label = label(field.schema, type)
            message.fields.append(ProtobufMessage.Field(type: type, hasPresence: label == "optional "))
            text += "\(indent)  \(label)\(typeName) \(field.name) = \(index + 1)"
            if !options.isEmpty {
                imports.insert("confluent/meta.proto")
                text += " [(confluent.field_meta) = { params: [ \(options.joined(separator: ", ")) ] }]"
            }
            text += ";\n"
        }
        scopes.removeLast()
        return (message, text + nested + "\(indent)}\n")
    }

    private func label(_ schema: ConnectSchema, _ type: ProtobufMessage.FieldType) -> String {
        switch type {
        case .repeated, .map: "repeated "
        case .message, .decimal, .date, .time, .timestamp: ""
        default: marksOptional && schema.isOptional ? "optional " : ""
        }
    }

    private mutating func type(
        _ schema: ConnectSchema, _ field: String, _ options: inout [String], _ nested: inout String, _ indent: String
    ) throws(ConnectorError) -> (ProtobufMessage.FieldType, String) {
        func parameter(_ key: String, _ value: String) { options.append("{ key: \"\(key)\", value: \"\(value)\" }") }
        switch schema.name {
        case ConnectSchema.decimalName:
            imports.insert("confluent/type/decimal.proto")
            if let precision = schema.parameter("connect.decimal.precision"), Int(precision) != nil {
                parameter("precision", precision)
            }
            parameter("scale", String(schema.decimalScale))
            return (.decimal(scale: schema.decimalScale), "confluent.type.Decimal")
        case ConnectSchema.dateName:
            imports.insert("google/type/date.proto")
            return (.date, "google.type.Date")
        case ConnectSchema.timeName:
            imports.insert("google/type/timeofday.proto")
            return (.time, "google.type.TimeOfDay")
        case ConnectSchema.timestampName:
            imports.insert("google/protobuf/timestamp.proto")
            return (.timestamp, "google.protobuf.Timestamp")
        default: break
        }
        switch schema.kind {
        case .int8: parameter("connect.type", "int8")
        case .int16: parameter("connect.type", "int16")
        default: break
        }
        switch schema.kind {
        case .int8, .int16, .int32: return (.int, "int32")
        case .int64: return (.int, "int64")
        case .float32: return (.float32, "float")
        case .float64: return (.float64, "double")
        case .boolean: return (.boolean, "bool")
        case .string: return (.string, "string")
        case .bytes: return (.bytes, "bytes")
        case .array(let items):
            let (type, name) = try self.type(items, field, &options, &nested, indent)
            if case .repeated = type { throw Self.nesting }
            if case .map = type { throw Self.nesting }
            return (.repeated(type), name)
        case .map(let keys, let values): return try map(keys, values, schema, &nested, indent)
        case .structure(let fields): return try structure(fields, schema, field, &nested, indent)
        }
    }

    private static let nesting = ConnectorError(
        .data, code: "nested_array", "Protobuf has no arrays or maps in arrays and maps",
        hint: "leave the column out with column.exclude.list, or choose another converter")

    private mutating func map(
        _ keys: ConnectSchema, _ values: ConnectSchema, _ schema: ConnectSchema, _ nested: inout String,
        _ indent: String
    ) throws(ConnectorError) -> (ProtobufMessage.FieldType, String) {
        let name = (schema.name.flatMap { $0.split(separator: ".").last.map(String.init) } ?? defaultName()) + "Entry"
        let entry = [ConnectField("key", keys), ConnectField("value", values)]
        let (message, text) = try self.message(name, entry, indent: indent)
        for field in message.fields {
            if case .repeated = field.type { throw Self.nesting }
            if case .map = field.type { throw Self.nesting }
        }
        nested += "\n" + text
        return (.map(key: message.fields[0].type, value: message.fields[1].type), name)
    }

    private mutating func structure(
        _ fields: [ConnectField], _ schema: ConnectSchema, _ field: String, _ nested: inout String, _ indent: String
    ) throws(ConnectorError) -> (ProtobufMessage.FieldType, String) {
        var name = schema.name.flatMap { $0.split(separator: ".").last.map(String.init) } ?? defaultName()
        try Self.check([name[...]])
        // A message cannot have the name of a field beside it.
        if name == field { name += "Message" }
        for scope in scopes.reversed() {
            guard let known = scope[name] else { continue }
            guard known.schema.name == schema.name, known.schema.kind == schema.kind else { break }
            return (.message(known.message), name)
        }
        guard scopes.last?[name] == nil else {
            throw ConnectorError(
                .data, code: "protobuf_name", "two different structures of one message would be called \(name)",
                hint: "leave one of them out with column.exclude.list, or choose another converter")
        }
        let (message, text) = try self.message(name, fields, indent: indent)
        scopes[scopes.count - 1][name] = (schema, message)
        nested += "\n" + text
        return (.message(message), name)
    }
}
