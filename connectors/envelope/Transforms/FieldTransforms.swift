import MillraceCore

/// A field's value as Kafka's `Struct.get` gives it: null becomes the schema's default, unless told otherwise.
struct FieldReader {
    private let replacesNull: Bool

    init(_ config: StepConfig) throws(ConnectorError) {
        replacesNull = try config.flag("replace.null.with.default", true)
    }

    func value(_ values: [ConnectValue], _ index: Int, _ schema: ConnectSchema) -> ConnectValue {
        guard index < values.count else { return .null }
        let value = values[index]
        return value.isNull && replacesNull ? schema.defaultValue ?? .null : value
    }
}

/// `ReplaceField`: leaves fields out (`exclude`, `include`) and renames them.
final class ReplaceField: Transform {
    private struct Plan {
        let schema: ConnectSchema
        /// Places of the kept fields in the old structure.
        let sources: [(index: Int, schema: ConnectSchema)]
    }

    private let half: RecordHalf
    private let exclude: Set<String>
    private let include: Set<String>
    private let renames: [String: String]
    private let reader: FieldReader
    private var plans = SchemaCache<Plan>()

    init(_ config: StepConfig, _ half: RecordHalf) throws(ConnectorError) {
        self.half = half
        // The names before Kafka 2.6 are still around.
        exclude = Set(config.list("exclude") + config.list("blacklist"))
        include = Set(config.list("include") + config.list("whitelist"))
        var renames: [String: String] = [:]
        for pair in config.list("renames") {
            let parts = pair.split(separator: ":", omittingEmptySubsequences: false).map(\.trimmed)
            guard parts.count == 2 else { throw config.invalid("renames", "Invalid rename mapping: \(pair)") }
            renames[parts[0]] = parts[1]
        }
        self.renames = renames
        reader = try FieldReader(config)
    }

    private func isKept(_ name: String) -> Bool {
        !exclude.contains(name) && (include.isEmpty || include.contains(name))
    }

    func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? {
        let content = record.content(half)
        if content.isNull { return record }
        var record = record
        guard let schema = record.schema(half) else {
            let entries = try content.map("field replacement").compactMap { entry -> ConnectEntry? in
                guard case .string(let name) = entry.key else { return entry }
                return isKept(name) ? ConnectEntry(.string(renames[name] ?? name), entry.value) : nil
            }
            record.set(half, nil, .map(entries))
            return record
        }
        let values = try content.structure("field replacement")
        let plan = try plans.plan(for: schema) { schema throws(ConnectorError) in self.plan(schema) }
        let kept = plan.sources.map { reader.value(values, $0.index, $0.schema) }
        record.set(half, plan.schema, .structure(kept))
        return record
    }

    private func plan(_ schema: ConnectSchema) -> Plan {
        var fields: [ConnectField] = []
        var sources: [(index: Int, schema: ConnectSchema)] = []
        for (index, field) in schema.fields.enumerated() where isKept(field.name) {
            fields.append(ConnectField(renames[field.name] ?? field.name, field.schema))
            sources.append((index, field.schema))
        }
        return Plan(schema: schema.rebuilt(fields), sources: sources)
    }
}

extension ConnectSchema {
    /// What Kafka's `copySchemaBasics` keeps of a structure: name, version, doc, parameters; it is no longer optional.
    func rebuilt(_ fields: [ConnectField]) -> ConnectSchema {
        with(kind: .structure(fields), isOptional: false, defaultValue: .some(nil))
    }
}

/// `InsertField`: adds the topic, the partition, the time or a fixed text.
final class InsertField: Transform {
    private struct Insertion {
        var name: String
        var isOptional: Bool

        /// A name with `!` behind it is required, with `?` or nothing optional.
        init?(_ text: String?) {
            guard let text, let last = text.last else { return nil }
            name = last == "?" || last == "!" ? String(text.dropLast()) : text
            isOptional = last != "!"
        }
    }

    private let half: RecordHalf
    private let topic: Insertion?
    private let partition: Insertion?
    private let timestamp: Insertion?
    private let fixed: Insertion?
    private let fixedValue: String
    private let reader: FieldReader
    private var schemas = SchemaCache<ConnectSchema>()

    init(_ config: StepConfig, _ half: RecordHalf) throws(ConnectorError) {
        self.half = half
        topic = Insertion(config.text("topic.field"))
        partition = Insertion(config.text("partition.field"))
        timestamp = Insertion(config.text("timestamp.field"))
        fixed = Insertion(config.text("static.field"))
        fixedValue = config["static.value"] ?? ""
        reader = try FieldReader(config)
        if config.text("offset.field") != nil {
            throw config.invalid("offset.field", "only records that come out of Kafka have an offset")
        }
        if topic == nil, partition == nil, timestamp == nil, fixed == nil {
            throw StepConfig.error("Invalid configuration of \(config.prefix)type: No field insertion configured")
        }
        if let fixed, config["static.value"] == nil {
            throw config.invalid("static.value", "No value specified for static field: \(fixed.name)")
        }
    }

    func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? {
        if record.content(half).isNull { return record }
        var record = record
        let partition = record.partition.flatMap { Int32(exactly: $0) }.map { ConnectValue.int32($0) } ?? .null
        guard let schema = record.schema(half) else {
            var entries = try record.content(half).map("field insertion")
            if let topic { entries.set(topic.name, .string(record.topic)) }
            if let field = self.partition, !partition.isNull { entries.set(field.name, partition) }
            if let fixed { entries.set(fixed.name, .string(fixedValue)) }
            record.set(half, nil, .map(entries))
            return record
        }
        let values = try record.content(half).structure("field insertion")
        let updated = try schemas.plan(for: schema) { schema throws(ConnectorError) in extended(schema) }
        var new = schema.fields.indices.map { reader.value(values, $0, schema.fields[$0].schema) }
        if topic != nil { new.append(.string(record.topic)) }
        if self.partition != nil { new.append(partition) }
        // Debezium's records have no timestamp of their own before Kafka gives them one.
        if timestamp != nil { new.append(.null) }
        if fixed != nil { new.append(.string(fixedValue)) }
        record.set(half, updated, .structure(new))
        return record
    }

    private func extended(_ schema: ConnectSchema) -> ConnectSchema {
        var fields = schema.fields
        func add(_ insertion: Insertion?, _ kind: ConnectSchema.Kind, _ name: String? = nil) {
            guard let insertion else { return }
            let schema = ConnectSchema(
                kind, isOptional: insertion.isOptional, name: name, version: name == nil ? nil : 1)
            fields.append(ConnectField(insertion.name, schema))
        }
        add(topic, .string)
        add(partition, .int32)
        add(timestamp, .int64, "org.apache.kafka.connect.data.Timestamp")
        add(fixed, .string)
        return schema.rebuilt(fields)
    }
}

/// `MaskField`: the null value of its type, or `replacement`, in place of what is there.
final class MaskField: Transform {
    private let half: RecordHalf
    private let fields: Set<String>
    private let replacement: String?
    private let reader: FieldReader

    init(_ config: StepConfig, _ half: RecordHalf) throws(ConnectorError) {
        self.half = half
        _ = try config.required("fields")
        fields = Set(config.list("fields"))
        replacement = config["replacement"]
        if replacement == "" { throw config.invalid("replacement", "String must be non-empty") }
        reader = try FieldReader(config)
    }

    func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? {
        let content = record.content(half)
        if content.isNull { return record }
        var record = record
        guard let schema = record.schema(half) else {
            var entries = try content.map("mask fields")
            for index in entries.indices {
                guard case .string(let name) = entries[index].key, fields.contains(name) else { continue }
                entries[index].value = try masked(entries[index].value, name)
            }
            record.set(half, nil, .map(entries))
            return record
        }
        var values = try content.structure("mask fields")
        for (index, field) in schema.fields.enumerated() where index < values.count {
            values[index] = reader.value(values, index, field.schema)
            if fields.contains(field.name) { values[index] = try masked(values[index], field.name, field.schema) }
        }
        record.set(half, schema, .structure(values))
        return record
    }

    private func masked(
        _ value: ConnectValue, _ field: String, _ schema: ConnectSchema? = nil
    ) throws(ConnectorError) -> ConnectValue {
        if value.isNull { return .null }
        if let replacement { return try replaced(value, field, replacement) }
        switch value {
        case .int8: return .int8(0)
        case .int16: return .int16(0)
        case .int32: return .int32(0)
        case .int64: return .int64(0)
        case .float32: return .float32(0)
        case .float64: return .float64(0)
        case .boolean: return .boolean(false)
        case .string: return .string("")
        case .array: return .array([])
        case .map: return .map([])
        case .bytes where schema?.name == "org.apache.kafka.connect.data.Decimal": return .bytes([0])
        case .bytes, .structure, .null:
            throw transformFailure("Cannot mask value of type: class \(value.className) (field \(field))")
        }
    }

    private func replaced(
        _ value: ConnectValue, _ field: String, _ text: String
    ) throws(ConnectorError) -> ConnectValue {
        let replaced: ConnectValue?
        switch value {
        case .int8: replaced = Int8(text).map { .int8($0) }
        case .int16: replaced = Int16(text).map { .int16($0) }
        case .int32: replaced = Int32(text).map { .int32($0) }
        case .int64: replaced = Int64(text).map { .int64($0) }
        case .float32: replaced = Float(text).map { .float32($0) }
        case .float64: replaced = Double(text).map { .float64($0) }
        case .string: replaced = .string(text)
        default:
            throw transformFailure(
                "Cannot mask value of type class \(value.className) with custom replacement (field \(field)).")
        }
        guard let replaced else {
            throw transformFailure("Unable to convert the replacement to class \(value.className) (field \(field))")
        }
        return replaced
    }
}
