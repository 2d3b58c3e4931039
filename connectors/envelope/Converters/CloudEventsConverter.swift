import MillraceCore

/// `io.debezium.converters.CloudEventsConverter`: change events as CloudEvents in JSON. What is no change event (tombstones,
/// messages, transaction records) has no value, as in Debezium.
final class CloudEventsConverter: Converter {
    private let data: EnvelopeOptions.Converter
    private let addsExtensions: Bool
    private let values: JSONValueWriter
    private var plans = SchemaMemo<Plan?>()

    init(_ choice: ConverterChoice) throws(ConnectorError) {
        for name in ["serializer.type", "data.serializer.type"] {
            let type = choice.properties[name]?.trimmed.lowercased() ?? "json"
            guard type == "json" else {
                throw Self.unsupported(name, "'\(type)' is not supported, only 'json'")
            }
        }
        if let sources = choice.properties["metadata.source"] {
            let parts = sources.split(separator: ",").map { $0.trimmed.lowercased() }
            let isHeader = parts.contains { part in
                part == "header" || part.hasSuffix(":header") && !part.hasPrefix("traceparent")
            }
            if isHeader {
                throw Self.unsupported(
                    "metadata.source", "attributes cannot be taken from headers, only from the value")
            }
        }
        let json = choice.properties.filter { $0.key.hasPrefix("json.") }.map {
            (String($0.key.dropFirst(5)), $0.value)
        }
        data = ConverterChoice(.json, Dictionary(json) { $1 }).json
        values = JSONValueWriter(
            decimalsAsNumbers: data.writesDecimalsAsNumbers, replacesNullWithDefault: data.replacesNullWithDefault)
        addsExtensions = choice.flag("extension.attributes.enable", true)
    }

    private static func unsupported(_ name: String, _ reason: String) -> ConnectorError {
        ConnectorError(.configuration, code: "unsupported_property", "CloudEventsConverter: \(name): \(reason)")
    }

    var form: ConvertedForm { .json }

    /// What is worked out for an envelope's schema.
    private struct Plan {
        var before: Int
        var after: Int
        var source: Int
        var operation: Int
        var transaction: Int?
        var sourceSchema: ConnectSchema
        /// Names of the attributes that the source's fields become.
        var extensions: [String]
        var dataSchema: ConnectSchema
        /// `{"schema":…,"payload":`, or nothing.
        var dataPrefix: String

        init?(_ schema: ConnectSchema, includesSchema: Bool, decimalsAsNumbers: Bool) {
            guard schema.name?.hasSuffix(".Envelope") == true, let before = schema.index(of: "before"),
                let after = schema.index(of: "after"), let source = schema.index(of: "source"),
                let operation = schema.index(of: "op")
            else { return nil }
            (self.before, self.after, self.source, self.operation) = (before, after, source, operation)
            transaction = schema.index(of: "transaction")
            sourceSchema = schema.fields[source].schema
            extensions = sourceSchema.fields.map { field in
                "iodebezium" + field.name.filter { $0.isASCII && ($0.isLetter || $0.isNumber) }
            }
            dataSchema = ConnectSchema(
                .structure([schema.fields[before], schema.fields[after]]), name: "io.debezium.connector.postgresql.Data"
            )
            dataPrefix =
                includesSchema
                ? "{\"schema\":\(SchemaText.json(dataSchema, decimalsAsNumbers: decimalsAsNumbers)),\"payload\":" : ""
        }
    }

    func convert(
        _ value: ConnectValue, _ schema: ConnectSchema?, topic: String, into out: JSONBuffer
    ) throws(ConnectorError) -> Bool {
        guard case .structure(let fields) = value, let schema else { return false }
        let includesSchema = data.includesSchema
        let decimalsAsNumbers = data.writesDecimalsAsNumbers
        let known = try plans.value(for: schema) { () throws(ConnectorError) in
            Plan(schema, includesSchema: includesSchema, decimalsAsNumbers: decimalsAsNumbers)
        }
        guard let plan = known, fields.count == schema.fields.count,
            case .structure(let source) = fields[plan.source], source.count == plan.extensions.count
        else { return false }
        writeAttributes(plan, source, out)
        if addsExtensions { writeExtensions(plan, source, fields, out) }
        out.append(",\"data\":")
        out.append(plan.dataPrefix)
        try values.write(.structure([fields[plan.before], fields[plan.after]]), plan.dataSchema, into: out)
        out.append(plan.dataPrefix.isEmpty ? "}" : "}}")
        return true
    }

    private func writeAttributes(_ plan: Plan, _ source: [ConnectValue], _ out: JSONBuffer) {
        func text(_ name: String) -> String {
            plan.sourceSchema.index(of: name).map { Self.text(source[$0]) ?? "null" } ?? "null"
        }
        let name = text("name")
        out.append("{\"id\":")
        out.append(
            quoted: "name:\(name);lsn:\(text("lsn"));txId:\(text("txId"));sequence:\(text("sequence"))")
        out.append(",\"source\":")
        out.append(quoted: "/debezium/\(text("connector"))/\(name)")
        out.append(",\"specversion\":\"1.0\",\"type\":")
        out.append(quoted: "io.debezium.connector.\(text("connector")).DataChangeEvent")
        out.append(",\"time\":\"")
        out.appendUTC(milliseconds: Int64(text("ts_ms")) ?? 0)
        out.append("\",\"datacontenttype\":\"application/json\"")
    }

    private func writeExtensions(_ plan: Plan, _ source: [ConnectValue], _ fields: [ConnectValue], _ out: JSONBuffer) {
        func attribute(_ name: String, _ value: ConnectValue) {
            out.append(byte: 0x2C)
            out.append(quoted: name)
            out.append(byte: 0x3A)
            if let text = Self.text(value) { out.append(quoted: text) } else { out.append("null") }
        }
        attribute("iodebeziumop", fields[plan.operation])
        for (name, value) in zip(plan.extensions, source) { attribute(name, value) }
        var transaction = [ConnectValue](repeating: .null, count: 3)
        if let place = plan.transaction, case .structure(let block) = fields[place], block.count == 3 {
            transaction = block
        }
        attribute("iodebeziumtxid", transaction[0])
        attribute("iodebeziumtxtotalorder", transaction[1])
        attribute("iodebeziumtxdatacollectionorder", transaction[2])
    }

    /// Attributes are texts whatever the fields are; nil for null.
    private static func text(_ value: ConnectValue) -> String? {
        switch value {
        case .string(let text): text
        case .int16(let number): String(number)
        case .int32(let number): String(number)
        case .int64(let number): String(number)
        case .boolean(let flag): String(flag)
        default: nil
        }
    }
}

extension JSONBuffer {
    /// Year, month and day in the proleptic Gregorian calendar.
    static func civil(daysSince1970 days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        // Days since 0000-03-01 in the proleptic Gregorian calendar: eras of 400 years, years that begin in March.
        let (era, dayOfEra) = (days &+ 719_468).floorDivided(by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shifted + 2) / 5 + 1
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, day)
    }

    /// `2026-11-21T00:50:04.932Z`: ISO 8601 with milliseconds.
    func appendUTC(milliseconds: Int64) {
        let (days, rest) = milliseconds.floorDivided(by: 86_400_000)
        let (year, month, day) = JSONBuffer.civil(daysSince1970: days)
        append(decimal: UInt64(max(year, 0)), width: 4)
        append("-")
        append(decimal: UInt64(month), width: 2)
        append("-")
        append(decimal: UInt64(day), width: 2)
        append("T")
        append(decimal: UInt64(rest / 3_600_000), width: 2)
        append(":")
        append(decimal: UInt64(rest / 60_000 % 60), width: 2)
        append(":")
        append(decimal: UInt64(rest / 1000 % 60), width: 2)
        append(".")
        append(decimal: UInt64(rest % 1000), width: 3)
        append("Z")
    }
}

extension Int64 {
    fileprivate func floorDivided(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
