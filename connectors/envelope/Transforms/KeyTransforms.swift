import MillraceCore

/// `ValueToKey`: a key made of fields of the value.
final class ValueToKey: Transform {
    private struct Plan {
        let schema: ConnectSchema
        let sources: [(index: Int, schema: ConnectSchema)]
    }

    private let fields: [String]
    private let reader: FieldReader
    private var plans = SchemaCache<Plan>()

    init(_ config: StepConfig) throws(ConnectorError) {
        _ = try config.required("fields")
        fields = config.list("fields")
        reader = try FieldReader(config)
    }

    func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? {
        var record = record
        guard let schema = record.valueSchema else {
            let entries = try record.value.map("copying fields from value to key")
            record.keySchema = nil
            record.key = .map(fields.map { ConnectEntry(.string($0), entries.value($0) ?? .null) })
            return record
        }
        let values = try record.value.structure("copying fields from value to key")
        let plan = try plans.plan(for: schema) { schema throws(ConnectorError) in try self.plan(schema) }
        record.keySchema = plan.schema
        record.key = .structure(plan.sources.map { reader.value(values, $0.index, $0.schema) })
        return record
    }

    private func plan(_ schema: ConnectSchema) throws(ConnectorError) -> Plan {
        var sources: [(index: Int, schema: ConnectSchema)] = []
        for name in fields {
            guard let index = schema.index(of: name) else { throw transformFailure("Field does not exist: \(name)") }
            sources.append((index, schema.fields[index].schema))
        }
        let keyFields = zip(fields, sources).map { ConnectField($0, $1.schema) }
        return Plan(schema: ConnectSchema(.structure(keyFields)), sources: sources)
    }
}

/// `ExtractField`: one field in place of the structure.
final class ExtractField: Transform {
    private let half: RecordHalf
    private let field: String
    private let reader: FieldReader

    init(_ config: StepConfig, _ half: RecordHalf) throws(ConnectorError) {
        self.half = half
        field = try config.required("field")
        reader = try FieldReader(config)
    }

    func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? {
        var record = record
        let content = record.content(half)
        guard let schema = record.schema(half) else {
            if content.isNull { return record }
            record.set(half, nil, try content.map("field extraction").value(field) ?? .null)
            return record
        }
        guard let index = schema.index(of: field) else { throw transformFailure("Unknown field: \(field)") }
        let fieldSchema = schema.fields[index].schema
        let value =
            content.isNull
            ? .null : reader.value(try content.structure("field extraction"), index, fieldSchema)
        record.set(half, fieldSchema, value)
        return record
    }
}

/// `HoistField`: the whole as one field of a structure.
final class HoistField: Transform {
    private let half: RecordHalf
    private let field: String
    private var schemas = SchemaCache<ConnectSchema>()

    init(_ config: StepConfig, _ half: RecordHalf) throws(ConnectorError) {
        self.half = half
        field = try config.required("field")
    }

    func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? {
        var record = record
        let content = record.content(half)
        guard let schema = record.schema(half) else {
            record.set(half, nil, .map([ConnectEntry(.string(field), content)]))
            return record
        }
        let hoisted = try schemas.plan(for: schema) { schema throws(ConnectorError) in
            ConnectSchema(.structure([ConnectField(field, schema)]))
        }
        record.set(half, hoisted, .structure([content]))
        return record
    }
}

/// `Flatten`: fields of structures in structures, with both names joined by `delimiter`.
final class Flatten: Transform {
    private let half: RecordHalf
    private let delimiter: String
    private var schemas = SchemaCache<ConnectSchema>()

    init(_ config: StepConfig, _ half: RecordHalf) throws(ConnectorError) {
        self.half = half
        delimiter = config["delimiter"] ?? "."
    }

    func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? {
        let content = record.content(half)
        if content.isNull { return record }
        var record = record
        guard let schema = record.schema(half) else {
            var entries: [ConnectEntry] = []
            flatten(try content.map("flattening"), "", &entries)
            record.set(half, nil, .map(entries))
            return record
        }
        _ = try content.structure("flattening")
        let flat = try schemas.plan(for: schema) { schema throws(ConnectorError) in
            var fields: [ConnectField] = []
            try self.fields(of: schema, "", schema.isOptional, nil, &fields)
            return schema.rebuilt(fields)
        }
        var values: [ConnectValue] = []
        flatten(schema, content, &values)
        record.set(half, flat, .structure(values))
        return record
    }

    private func joined(_ prefix: String, _ name: String) -> String {
        prefix.isEmpty ? name : prefix + delimiter + name
    }

    private func flatten(_ entries: [ConnectEntry], _ prefix: String, _ result: inout [ConnectEntry]) {
        for entry in entries {
            let name = joined(prefix, entry.key.simpleText ?? "")
            if case .map(let inner) = entry.value {
                flatten(inner, name, &result)
            } else {
                result.append(ConnectEntry(.string(name), entry.value))
            }
        }
    }

    private func fields(
        of schema: ConnectSchema, _ prefix: String, _ isOptional: Bool, _ defaults: [ConnectValue]?,
        _ result: inout [ConnectField]
    ) throws(ConnectorError) {
        for (index, field) in schema.fields.enumerated() {
            let name = joined(prefix, field.name)
            let optional = isOptional || field.schema.isOptional
            let inherited = defaults.flatMap { index < $0.count && !$0[index].isNull ? $0[index] : nil }
            let value = field.schema.defaultValue ?? inherited
            switch field.schema.kind {
            case .structure:
                var inner: [ConnectValue]?
                if case .structure(let values)? = value { inner = values }
                try fields(of: field.schema, name, optional, inner, &result)
            case .map:
                throw transformFailure(
                    "Flatten transformation does not support MAP for record with schemas (for field \(name)).")
            default:
                let flat =
                    optional == field.schema.isOptional && value == field.schema.defaultValue
                    ? field.schema : field.schema.with(isOptional: optional, defaultValue: value)
                result.append(ConnectField(name, flat))
            }
        }
    }

    private func flatten(_ schema: ConnectSchema, _ content: ConnectValue, _ result: inout [ConnectValue]) {
        var values: [ConnectValue] = []
        if case .structure(let inner) = content { values = inner }
        for (index, field) in schema.fields.enumerated() {
            let value = index < values.count ? values[index] : .null
            if field.schema.isStructure {
                flatten(field.schema, value, &result)
            } else {
                // What lies in a structure that is null has no value, not even its default.
                result.append(value.isNull && !values.isEmpty ? field.schema.defaultValue ?? .null : value)
            }
        }
    }
}
