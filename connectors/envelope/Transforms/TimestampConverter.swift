import MillraceCore

/// `TimestampConverter`: between text, a number since 1970, and Kafka Connect's Date, Time and Timestamp.
final class TimestampConverter: Transform {
    enum Form: String, CaseIterable {
        case string
        case unix
        case date = "Date"
        case time = "Time"
        case timestamp = "Timestamp"

        var schemaName: String? {
            switch self {
            case .string, .unix: nil
            case .date, .time, .timestamp: "org.apache.kafka.connect.data.\(rawValue)"
            }
        }

        func schema(isOptional: Bool) -> ConnectSchema {
            let kind: ConnectSchema.Kind =
                switch self {
                case .string: .string
                case .unix, .timestamp: .int64
                case .date, .time: .int32
                }
            return ConnectSchema(
                kind, isOptional: isOptional, name: schemaName, version: schemaName == nil ? nil : 1)
        }
    }

    private enum Precision: String, CaseIterable {
        case seconds
        case milliseconds
        case microseconds
        case nanoseconds
    }

    private let half: RecordHalf
    private let field: String
    private let target: Form
    private let format: DateFormat?
    private let precision: Precision
    private let reader: FieldReader
    private var schemas = SchemaCache<ConnectSchema>()

    init(_ config: StepConfig, _ half: RecordHalf) throws(ConnectorError) {
        self.half = half
        field = config["field"] ?? ""
        let name = try config.required("target.type")
        guard let target = Form(rawValue: name) else {
            let known = Form.allCases.map(\.rawValue).joined(separator: ", ")
            throw config.invalid("target.type", "String must be one of: \(known)")
        }
        self.target = target
        format = config.text("format") == nil ? nil : try DateFormat(config, "format", else: "")
        if target == .string, format == nil {
            throw config.invalid(
                "format",
                "TimestampConverter requires format option to be specified when using string timestamps")
        }
        precision = try config.choice("unix.precision", .milliseconds)
        reader = try FieldReader(config)
    }

    func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? {
        var record = record
        let content = record.content(half)
        guard let schema = record.schema(half) else {
            if content.isNull { return record }
            guard !field.isEmpty else {
                record.set(half, nil, try convert(content, guessed(content)))
                return record
            }
            var entries = try content.map("converting timestamp formats")
            let value = entries.value(field) ?? .null
            if !value.isNull { entries.set(field, try convert(value, guessed(value))) }
            record.set(half, nil, .map(entries))
            return record
        }
        guard !field.isEmpty else {
            let form = try self.form(schema)
            record.set(half, target.schema(isOptional: schema.isOptional), try convert(content, form))
            return record
        }
        if content.isNull { return record }
        var values = try content.structure("converting timestamp formats")
        let updated = try schemas.plan(for: schema) { schema throws(ConnectorError) in
            schema.rebuilt(
                schema.fields.map { field in
                    guard field.name == self.field else { return field }
                    return ConnectField(field.name, target.schema(isOptional: field.schema.isOptional))
                })
        }
        for (index, field) in schema.fields.enumerated() where index < values.count {
            values[index] = reader.value(values, index, field.schema)
            if field.name == self.field { values[index] = try convert(values[index], form(field.schema)) }
        }
        record.set(half, updated, .structure(values))
        return record
    }

    private func form(_ schema: ConnectSchema) throws(ConnectorError) -> Form {
        if let form = Form.allCases.first(where: { $0.schemaName != nil && $0.schemaName == schema.name }) {
            return form
        }
        if schema.kind == .string { return .string }
        if schema.kind == .int64 { return .unix }
        throw transformFailure("Schema \(schema.kindName) does not correspond to a known timestamp type format")
    }

    private func guessed(_ value: ConnectValue) throws(ConnectorError) -> Form {
        if case .string = value { return .string }
        if value.integer != nil { return .unix }
        throw transformFailure("TimestampConverter does not support \(value.className) objects as timestamps")
    }

    private func convert(_ value: ConnectValue, _ form: Form) throws(ConnectorError) -> ConnectValue {
        if value.isNull { return .null }
        let milliseconds = try self.milliseconds(value, form)
        switch target {
        case .string: return .string(format?.text(milliseconds: milliseconds) ?? "")
        case .timestamp: return .int64(milliseconds)
        case .date: return .int32(Int32(clamping: milliseconds.flooredQuotient(86_400_000)))
        case .time:
            return .int32(Int32(milliseconds - milliseconds.flooredQuotient(86_400_000) * 86_400_000))
        case .unix:
            switch precision {
            case .seconds: return .int64(milliseconds.flooredQuotient(1000))
            case .milliseconds: return .int64(milliseconds)
            case .microseconds: return .int64(milliseconds &* 1000)
            case .nanoseconds: return .int64(milliseconds &* 1_000_000)
            }
        }
    }

    private func milliseconds(_ value: ConnectValue, _ form: Form) throws(ConnectorError) -> Int64 {
        if form == .string {
            guard let format else {
                throw transformFailure(
                    "TimestampConverter requires format option to be specified when using string timestamps")
            }
            guard case .string(let text) = value, let parsed = format.milliseconds(text) else {
                throw transformFailure("Could not parse timestamp: value does not match the format (\(field))")
            }
            return parsed
        }
        guard let number = value.integer else {
            throw transformFailure("Expected a number as timestamp, found: \(value.className) (\(field))")
        }
        switch form {
        case .date: return number &* 86_400_000
        case .unix:
            switch precision {
            case .seconds: return number &* 1000
            case .milliseconds: return number
            case .microseconds: return number.flooredQuotient(1000)
            case .nanoseconds: return number.flooredQuotient(1_000_000)
            }
        default: return number
        }
    }
}
