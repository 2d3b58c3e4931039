import MillraceCore

/// `HeaderFrom`: copies or moves fields into headers.
final class HeaderFrom: Transform {
    private enum Operation: String, CaseIterable {
        case copy
        case move
    }

    private let half: RecordHalf
    private let fields: [String]
    private let headers: [String]
    private let operation: Operation
    private let reader: FieldReader
    private var schemas = SchemaCache<ConnectSchema>()

    init(_ config: StepConfig, _ half: RecordHalf) throws(ConnectorError) {
        self.half = half
        _ = try config.required("fields")
        _ = try config.required("headers")
        _ = try config.required("operation")
        fields = config.list("fields")
        headers = config.list("headers")
        guard fields.count == headers.count, !fields.isEmpty else {
            throw StepConfig.error("'fields' config must have the same number of elements as 'headers' config.")
        }
        operation = try config.choice("operation", .copy)
        reader = try FieldReader(config)
    }

    func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? {
        var record = record
        let content = record.content(half)
        guard let schema = record.schema(half) else {
            var entries = try content.map("header from")
            for (field, header) in zip(fields, headers) {
                record.headers.append(ConnectHeader(header, nil, entries.value(field) ?? .null))
            }
            if operation == .move {
                entries.removeAll { entry in fields.contains { entry.key == .string($0) } }
                record.set(half, nil, .map(entries))
            }
            return record
        }
        let values = try content.structure("header from")
        for (field, header) in zip(fields, headers) {
            guard let index = schema.index(of: field) else { throw transformFailure("Unknown field: \(field)") }
            let fieldSchema = schema.fields[index].schema
            record.headers.append(ConnectHeader(header, fieldSchema, reader.value(values, index, fieldSchema)))
        }
        guard operation == .move else { return record }
        let moved = Set(fields)
        let updated = try schemas.plan(for: schema) { schema throws(ConnectorError) in
            schema.rebuilt(schema.fields.filter { !moved.contains($0.name) })
        }
        let kept = schema.fields.indices.filter { !moved.contains(schema.fields[$0].name) }
        record.set(
            half, updated, .structure(kept.map { reader.value(values, $0, schema.fields[$0].schema) }))
        return record
    }
}

/// `InsertHeader`: a fixed header.
final class InsertHeader: Transform {
    private let header: ConnectHeader

    init(_ config: StepConfig) throws(ConnectorError) {
        let name = try config.required("header")
        let literal = try config.required("value.literal")
        header = InsertHeader.header(name, literal)
    }

    /// What Kafka's `Values.parseString` takes a text for, as far as simple values go.
    private static func header(_ name: String, _ literal: String) -> ConnectHeader {
        if literal == "true" || literal == "false" {
            return ConnectHeader(name, ConnectSchema(.boolean), .boolean(literal == "true"))
        }
        if let value = Int8(literal) { return ConnectHeader(name, ConnectSchema(.int8), .int8(value)) }
        if let value = Int16(literal) { return ConnectHeader(name, ConnectSchema(.int16), .int16(value)) }
        if let value = Int32(literal) { return ConnectHeader(name, ConnectSchema(.int32), .int32(value)) }
        if let value = Int64(literal) { return ConnectHeader(name, ConnectSchema(.int64), .int64(value)) }
        return ConnectHeader(name, .string, .string(literal))
    }

    func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? {
        var record = record
        record.headers.append(header)
        return record
    }
}

/// `DropHeaders`: removes the headers of these names.
final class DropHeaders: Transform {
    private let names: Set<String>

    init(_ config: StepConfig) throws(ConnectorError) {
        _ = try config.required("headers")
        names = Set(config.list("headers"))
    }

    func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? {
        var record = record
        record.headers.removeAll { names.contains($0.key) }
        return record
    }
}

/// `SetSchemaMetadata`: another name or version of the schema.
final class SetSchemaMetadata: Transform {
    private let half: RecordHalf
    private let name: String?
    private let version: Int?
    private var schemas = SchemaCache<ConnectSchema>()

    init(_ config: StepConfig, _ half: RecordHalf) throws(ConnectorError) {
        self.half = half
        name = config.text("schema.name")
        version = config.text("schema.version").flatMap { Int($0) }
        if version == nil, config.text("schema.version") != nil {
            throw config.invalid("schema.version", "Not a number of type INT")
        }
        if name == nil, version == nil {
            throw StepConfig.error("Neither schema name nor version configured (\(config.prefix)schema.name)")
        }
    }

    func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? {
        guard let schema = record.schema(half) else {
            if record.content(half).isNull { return record }
            throw transformFailure("Schema required for [updating schema metadata]")
        }
        let updated = try schemas.plan(for: schema) { schema throws(ConnectorError) in
            var updated = schema
            if let name { updated = updated.with(name: .some(name)) }
            if let version { updated = updated.with(version: .some(version)) }
            return updated
        }
        var record = record
        record.set(half, updated, record.content(half))
        return record
    }
}
