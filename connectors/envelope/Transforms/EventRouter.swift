import MillraceCore

/// Debezium's `outbox.EventRouter`: the rows inserted into an outbox table as events of their own.
final class EventRouter: Transform {
    private struct Column {
        let index: Int
        let schema: ConnectSchema
    }

    /// Where the columns of one version of the outbox table are.
    private struct Plan {
        let id: Column
        let key: Column?
        let payload: Column
        let route: Column
        let timestamp: Column?
        let placed: [(placement: Placement, column: Column)]
        /// Of values with more than the payload; nil where the payload is all.
        let envelope: ConnectSchema?
    }

    private struct Placement {
        enum Target: String {
            case header
            case envelope
            case partition
        }

        let column: String
        let target: Target
        let name: String
    }

    private enum InvalidOperation: String, CaseIterable {
        case warn
        case error
        case fatal
    }

    private enum NullInPayload: String, CaseIterable {
        case ignore
        case optionalBytes = "optional_bytes"
    }

    private let idColumn: String
    private let keyColumn: String
    private let payloadColumn: String
    private let timestampColumn: String?
    private let versionColumn: String?
    private let routeColumn: String
    private let routePattern: JavaPattern
    private let routeReplacement: String
    private let placements: [Placement]
    private let failsOnMissing: Bool
    private let expander: JSONExpander?
    private let invalidOperation: InvalidOperation
    private let writesTombstones: Bool
    private var plans = SchemaCache<Plan>()

    init(_ config: StepConfig) throws(ConnectorError) {
        idColumn = config.text("table.field.event.id") ?? "id"
        keyColumn = config.text("table.field.event.key") ?? "aggregateid"
        payloadColumn = config.text("table.field.event.payload") ?? "payload"
        timestampColumn = config.text("table.field.event.timestamp")
        versionColumn = config.text("table.field.event.schema.version")
        routeColumn = config.text("route.by.field") ?? "aggregatetype"
        routePattern = try config.pattern(
            "route.topic.regex", config.text("route.topic.regex") ?? "(?<routedByValue>.*)")
        routeReplacement = config.text("route.topic.replacement") ?? "outbox.event.${routedByValue}"
        placements = try EventRouter.placements(config)
        failsOnMissing = try config.flag("table.fields.additional.error.on.missing", true)
        let nulls = try config.choice("table.json.payload.null.behavior", NullInPayload.ignore)
        expander =
            try config.flag("table.expand.json.payload", false)
            ? JSONExpander(keepsNulls: nulls == .optionalBytes) : nil
        invalidOperation = try config.choice("table.op.invalid.behavior", .warn)
        writesTombstones = try config.flag("route.tombstone.on.empty.payload", false)
        for name in ["tracing.with.context.field.only", "tracing.with.context.field.required"] {
            if try config.flag(name, false) { throw config.invalid(name, "there is no tracing here") }
        }
    }

    /// `column:header:alias,column:envelope,…`
    private static func placements(_ config: StepConfig) throws(ConnectorError) -> [Placement] {
        var result: [Placement] = []
        for text in config.list("table.fields.additional.placement") {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(\.trimmed)
            guard (2...3).contains(parts.count), let target = Placement.Target(rawValue: parts[1].lowercased()) else {
                throw config.invalid(
                    "table.fields.additional.placement",
                    "<column>:header|envelope|partition, optionally followed by :<alias>, is expected")
            }
            result.append(Placement(column: parts[0], target: target, name: parts.count == 3 ? parts[2] : parts[0]))
        }
        return result
    }

    func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? {
        // Deletes clean the outbox up; they and their tombstones are no events.
        if record.value.isNull { return nil }
        guard let envelope = DebeziumEnvelope(record), let row = envelope.schema(of: "after") else { return record }
        switch envelope.operation {
        case "d": return nil
        case "c", "r": break
        default:
            guard invalidOperation == .fatal else { return nil }
            throw transformFailure(
                "Unexpected update message received in the outbox table \(record.topic): only rows inserted are events",
                hint: "set table.op.invalid.behavior=warn to pass over them")
        }
        let values = try envelope["after"].structure("Read Outbox Event")
        let plan = try plans.plan(for: row) { row throws(ConnectorError) in
            try self.plan(row, record.topic, values)
        }
        return try event(record, envelope, values, plan)
    }

    // MARK: Columns

    private func column(_ name: String, _ row: ConnectSchema) -> Column? {
        row.index(of: name).map { Column(index: $0, schema: row.fields[$0].schema) }
    }

    private func required(_ name: String, _ row: ConnectSchema) throws(ConnectorError) -> Column {
        if let column = column(name, row) { return column }
        throw transformFailure(
            "Unable to find column \(name) in the outbox table",
            hint: "name the columns with table.field.event.…, or limit the transform to the outbox table by a predicate"
        )
    }

    private func plan(
        _ row: ConnectSchema, _ topic: String, _ values: [ConnectValue]
    ) throws(ConnectorError) -> Plan {
        let payload = try required(payloadColumn, row)
        let route = try required(routeColumn, row)
        var placed: [(placement: Placement, column: Column)] = []
        for placement in placements {
            guard let column = column(placement.column, row) else {
                guard failsOnMissing else { continue }
                throw transformFailure("Unable to find field '\(placement.column)' in the outbox table")
            }
            placed.append((placement, column))
        }
        var fields = [ConnectField("payload", payload.schema)]
        for (placement, column) in placed where placement.target == .envelope {
            fields.append(ConnectField(placement.name, column.schema))
        }
        // As Debezium does it: named after the first event that came with this version of the table.
        let type = route.index < values.count ? values[route.index].simpleText ?? "" : ""
        let version = versionColumn.flatMap { column($0, row) }.flatMap { value($0, values).integer }
        let envelope = ConnectSchema(
            .structure(fields), name: "\(topic).\(type).Value", version: version.map { Int($0) })
        return Plan(
            id: try required(idColumn, row), key: try required(keyColumn, row), payload: payload, route: route,
            timestamp: try timestampColumn.map { name throws(ConnectorError) in try required(name, row) },
            placed: placed, envelope: fields.count > 1 ? envelope : nil)
    }

    private func value(_ column: Column, _ values: [ConnectValue]) -> ConnectValue {
        column.index < values.count ? values[column.index] : .null
    }

    // MARK: The event

    private func event(
        _ record: ConnectRecord, _ envelope: DebeziumEnvelope, _ values: [ConnectValue], _ plan: Plan
    ) throws(ConnectorError) -> ConnectRecord {
        var event = record
        guard let type = value(plan.route, values).simpleText else {
            throw transformFailure("Field '\(routeColumn)', by which outbox events are routed, is null or no text")
        }
        event.topic = routePattern.replacingWhole(type, with: routeReplacement) ?? type
        if let key = plan.key { (event.keySchema, event.key) = (key.schema, value(key, values)) }
        event.timestamp = try timestamp(envelope, values, plan) ?? record.timestamp
        event.headers.append(ConnectHeader("id", plan.id.schema, value(plan.id, values)))
        var payload = value(plan.payload, values)
        var schema = plan.payload.schema
        let isEmpty = payload.isNull
        if let expander, let expanded = expander.expand(payload) { (schema, payload) = expanded }
        var content = [payload]
        for (placement, column) in plan.placed {
            let placed = value(column, values)
            switch placement.target {
            case .header: event.headers.append(ConnectHeader(placement.name, column.schema, placed))
            case .envelope: content.append(placed)
            case .partition: event.partition = placed.integer.flatMap { Int(exactly: $0) }
            }
        }
        if isEmpty, writesTombstones {
            event.set(.value, nil, .null)
        } else if let envelope = plan.envelope {
            var fields = envelope.fields
            fields[0].schema = schema
            event.set(
                .value, schema == plan.payload.schema ? envelope : envelope.with(fields: fields), .structure(content))
        } else {
            event.set(.value, schema, payload)
        }
        return event
    }

    /// Milliseconds since 1970; without a column for it, when the event was made.
    private func timestamp(
        _ envelope: DebeziumEnvelope, _ values: [ConnectValue], _ plan: Plan
    ) throws(ConnectorError) -> Int64? {
        guard let column = plan.timestamp else { return envelope["ts_ms"].integer }
        let value = value(column, values)
        if value.isNull { return nil }
        switch (column.schema.name ?? "", value) {
        case ("io.debezium.time.MicroTimestamp", .int64(let time)): return time.flooredQuotient(1000)
        case ("io.debezium.time.NanoTimestamp", .int64(let time)): return time.flooredQuotient(1_000_000)
        case ("io.debezium.time.ZonedTimestamp", .string(let text)),
            ("io.debezium.time.IsoTimestamp", .string(let text)):
            if let milliseconds = EventRouter.milliseconds(text) { return milliseconds }
        case (_, .int64(let time)): return time
        default: break
        }
        throw transformFailure("Unsupported type of field '\(timestampColumn ?? "")' as an event's timestamp")
    }

    /// `2024-01-01T00:00:00.123456Z`
    private static func milliseconds(_ text: String) -> Int64? {
        var plain = text.replacing("T", with: " ")
        if plain.hasSuffix("Z") { plain.removeLast() }
        return plain.withUTF8 {
            TimeText.timestamp(UnsafeRawBufferPointer($0), zoned: false)?.millisecondsSince1970
        }
    }
}
