import MillraceCore

/// Debezium's `ExtractNewRecordState`: the row in place of the envelope.
final class ExtractNewRecordState: Transform {
    private enum DeleteMode: String, CaseIterable {
        /// Neither deletes nor tombstones.
        case drop
        /// A delete becomes a null under the row's schema; tombstones are dropped.
        case tombstone
        /// A delete becomes the old row with `__deleted`; tombstones are dropped.
        case rewrite
        case rewriteWithTombstone = "rewrite-with-tombstone"
        /// A delete becomes a tombstone; the tombstones behind deletes are dropped.
        case deleteToTombstone = "delete-to-tombstone"

        var isRewriting: Bool { self == .rewrite || self == .rewriteWithTombstone }
    }

    private struct Plan {
        /// Of the row with all that is added.
        let schema: ConnectSchema
        /// The row's own schema, optional: of a null that stands for a delete.
        let deleted: ConnectSchema
        let added: [FieldReference]
    }

    private let mode: DeleteMode
    private let addedFields: [FieldReference]
    private let addedHeaders: [FieldReference]
    private let routeField: String?
    private let dropHeader: String?
    private let dropsFromKey: Bool
    private let keepsSchemaCompatible: Bool
    private var plans = SchemaCache<Plan>()

    init(_ config: StepConfig) throws(ConnectorError) {
        mode = try config.choice("delete.tombstone.handling.mode", .tombstone)
        let fieldPrefix = config["add.fields.prefix"] ?? "__"
        addedFields = config.list("add.fields").map { FieldReference($0, prefix: fieldPrefix) }
        let headerPrefix = config["add.headers.prefix"] ?? "__"
        addedHeaders = config.list("add.headers").map { FieldReference($0, prefix: headerPrefix) }
        routeField = config.text("route.by.field")
        dropHeader = config.text("drop.fields.header.name")
        dropsFromKey = try config.flag("drop.fields.from.key", false)
        keepsSchemaCompatible = try config.flag("drop.fields.keep.schema.compatible", true)
    }

    func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? {
        if record.value.isNull {
            return mode == .rewriteWithTombstone ? record : nil
        }
        guard let envelope = DebeziumEnvelope(record) else { return record }
        var record = record
        switch envelope.operation {
        case "t": return nil
        case "d":
            if mode == .drop { return nil }
            try unwrap(envelope, "before", isDeleted: true, &record)
        default: try unwrap(envelope, "after", isDeleted: false, &record)
        }
        return record
    }

    private func unwrap(
        _ envelope: DebeziumEnvelope, _ side: String, isDeleted: Bool, _ record: inout ConnectRecord
    ) throws(ConnectorError) {
        guard let rowSchema = envelope.schema(of: side) else {
            throw transformFailure("Unknown field: \(side)")
        }
        let dropped = droppedFields(record)
        for reference in addedHeaders {
            guard let schema = reference.schema(in: envelope.schema) else { continue }
            record.headers.append(ConnectHeader(reference.name, schema, reference.value(in: envelope)))
        }
        let plan = try plans.plan(for: envelope.schema) { schema throws(ConnectorError) in
            self.plan(rowSchema, schema)
        }
        if isDeleted, mode == .deleteToTombstone || mode == .tombstone {
            record.set(.value, mode == .tombstone ? plan.deleted : nil, .null)
            return
        }
        var values = try envelope[side].structure("read record")
        if let routeField { record.topic = try topic(rowSchema, values, routeField) }
        if mode.isRewriting { values.append(.string(isDeleted ? "true" : "false")) }
        for reference in plan.added { values.append(reference.value(in: envelope)) }
        record.set(.value, plan.schema, .structure(values))
        drop(dropped, &record)
    }

    private func plan(_ row: ConnectSchema, _ envelope: ConnectSchema) -> Plan {
        var fields = row.fields
        if mode.isRewriting { fields.append(ConnectField("__deleted", .optionalString)) }
        let added = addedFields.filter { $0.schema(in: envelope) != nil }
        for reference in added {
            guard let schema = reference.schema(in: envelope) else { continue }
            fields.append(
                ConnectField(reference.name, schema.with(isOptional: true, defaultValue: .some(nil))))
        }
        return Plan(schema: row.rebuilt(fields), deleted: row.with(isOptional: true), added: added)
    }

    private func topic(
        _ schema: ConnectSchema, _ values: [ConnectValue], _ field: String
    ) throws(ConnectorError) -> String {
        guard let index = schema.index(of: field), index < values.count else {
            throw transformFailure("\(field) is not a valid field name")
        }
        guard case .string(let topic) = values[index] else {
            throw transformFailure("Field '\(field)', by which records are routed, is not a text, or is null")
        }
        return topic
    }

    // MARK: drop.fields.header.name

    /// The names that the header lists.
    private func droppedFields(_ record: ConnectRecord) -> Set<String> {
        guard let dropHeader, let header = record.headers.first(where: { $0.key == dropHeader }),
            case .array(let names) = header.value
        else { return [] }
        return Set(names.compactMap(\.simpleText))
    }

    private func drop(_ names: Set<String>, _ record: inout ConnectRecord) {
        guard !names.isEmpty else { return }
        for half in dropsFromKey ? [RecordHalf.value, .key] : [.value] {
            guard let schema = record.schema(half), case .structure(let values) = record.content(half) else { continue }
            let kept = schema.fields.indices.filter { index in
                let field = schema.fields[index]
                guard names.contains(field.name) else { return true }
                return half == .value && keepsSchemaCompatible && !field.schema.isOptional
            }
            record.set(
                half, schema.rebuilt(kept.map { schema.fields[$0] }),
                .structure(kept.map { $0 < values.count ? values[$0] : .null }))
        }
    }
}
