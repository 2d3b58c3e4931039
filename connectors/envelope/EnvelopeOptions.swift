package import MillraceCore

/// What the configuration says about the form of events: Debezium's properties of the source, and the converters, which
/// the sink may set for itself. Defaults are Debezium's and Kafka Connect's.
package struct EnvelopeOptions: Sendable {
    package enum DecimalMode: String, Sendable, CaseIterable {
        case precise
        case double
        case string
    }

    package enum TimeMode: String, Sendable, CaseIterable {
        case adaptive
        case adaptiveTimeMicroseconds = "adaptive_time_microseconds"
        case connect
        case isostring
        case microseconds
        case nanoseconds
    }

    package enum IntervalMode: String, Sendable, CaseIterable {
        case numeric
        case string
    }

    package enum HstoreMode: String, Sendable, CaseIterable {
        case json
        case map
    }

    package enum BinaryMode: String, Sendable, CaseIterable {
        case bytes
        case base64
        case base64URLSafe = "base64-url-safe"
        case hex
    }

    /// One of the two JsonConverters.
    package struct Converter: Hashable, Sendable {
        /// Each key or value carries its schema.
        package var includesSchema = false
        /// `decimal.format=NUMERIC`: decimals as JSON numbers instead of base64.
        package var writesDecimalsAsNumbers = false
        /// Null becomes the column's default, where it has one.
        package var replacesNullWithDefault = true
    }

    /// `message.key.columns`: for the tables that `table` matches, these columns are the key.
    package struct KeyColumns: Sendable {
        package var table: String
        package var columns: [String]
    }

    package var topicPrefix: String
    /// `schema.name.adjustment.mode` and `field.name.adjustment.mode`.
    package var schemaNames = NameAdjustment.none
    package var fieldNames = NameAdjustment.none
    /// Schemas are kept as objects, for transforms and converters.
    package var keepsSchemas = false
    package var database: String
    package var taskID: Int
    package var key = Converter()
    package var value = Converter()
    package var decimalMode = DecimalMode.precise
    package var timeMode = TimeMode.adaptive
    package var intervalMode = IntervalMode.numeric
    package var hstoreMode = HstoreMode.json
    package var binaryMode = BinaryMode.bytes
    package var moneyFractionDigits = 2
    package var unavailablePlaceholder = Array("__debezium_unavailable_value".utf8)
    package var includesUnknownTypes = false
    package var writesTombstones = true
    /// `skip.messages.without.change`
    package var skipsUnchangedRows = false
    /// `c`, `u`, `d`, `t`.
    package var skippedOperations: Set<Character> = ["t"]
    package var writesTransactionMetadata = false
    package var transactionTopic: String
    package var messageTopic: String
    package var heartbeatTopic: String
    package var writesContextHeaders = true
    package var keyColumns: [KeyColumns] = []
    /// Columns that are masked, cut, or tell of their source type.
    package var columnRules = ColumnRules()

    /// Reads the properties; those of the sink's converters go before the source's.
    package init(
        source: SourceDescription, sink: ConnectorConfig, taskID: Int = 0
    ) throws(ConnectorError) {
        topicPrefix = source.topicPrefix
        database = source.config["database.dbname"] ?? ""
        self.taskID = taskID
        let delimiter = source.config["topic.delimiter"] ?? "."
        transactionTopic = "\(source.topicPrefix)\(delimiter)\(source.config["topic.transaction"] ?? "transaction")"
        messageTopic = "\(source.topicPrefix).message"
        let heartbeat = source.config["topic.heartbeat.prefix"] ?? source.config["heartbeat.topics.prefix"]
        heartbeatTopic =
            source.config["topic.heartbeat.name"]
            ?? "\(heartbeat ?? "__debezium-heartbeat")\(delimiter)\(source.topicPrefix)"
        for finding in EnvelopeOptions.refusals(source.config, overriddenBy: sink) {
            throw ConnectorError(
                .configuration, code: "unsupported_property", "\(finding.property ?? ""): \(finding.message)")
        }
        key = try ConverterChoice("key.converter", source: source.config, sink: sink).json
        value = try ConverterChoice("value.converter", source: source.config, sink: sink).json
        try readModes(source.config)
        try readSelections(source.config)
    }

    private mutating func readModes(_ config: ConnectorConfig) throws(ConnectorError) {
        decimalMode = try EnvelopeOptions.choice("decimal.handling.mode", config, decimalMode)
        timeMode = try EnvelopeOptions.choice("time.precision.mode", config, timeMode)
        intervalMode = try EnvelopeOptions.choice("interval.handling.mode", config, intervalMode)
        hstoreMode = try EnvelopeOptions.choice("hstore.handling.mode", config, hstoreMode)
        binaryMode = try EnvelopeOptions.choice("binary.handling.mode", config, binaryMode)
        schemaNames = try EnvelopeOptions.choice("schema.name.adjustment.mode", config, schemaNames)
        fieldNames = try EnvelopeOptions.choice("field.name.adjustment.mode", config, fieldNames)
        if let digits = config["money.fraction.digits"] {
            guard let digits = Int(digits.trimmed), (0...18).contains(digits) else {
                throw EnvelopeOptions.invalid("money.fraction.digits", "a number from 0 to 18 is expected")
            }
            moneyFractionDigits = digits
        }
        if let placeholder = config["unavailable.value.placeholder"] {
            unavailablePlaceholder = try EnvelopeOptions.placeholder(placeholder)
        }
    }

    private mutating func readSelections(_ config: ConnectorConfig) throws(ConnectorError) {
        includesUnknownTypes = EnvelopeOptions.flag("include.unknown.datatypes", config, includesUnknownTypes)
        writesTombstones = EnvelopeOptions.flag("tombstones.on.delete", config, writesTombstones)
        skipsUnchangedRows = EnvelopeOptions.flag("skip.messages.without.change", config, false)
        writesTransactionMetadata = EnvelopeOptions.flag("provide.transaction.metadata", config, false)
        writesContextHeaders = EnvelopeOptions.flag("extended.headers.enabled", config, writesContextHeaders)
        if let skipped = config["skipped.operations"] {
            skippedOperations = []
            for operation in skipped.split(separator: ",").map({ $0.trimmed.lowercased() }) where !operation.isEmpty {
                if operation == "none" { continue }
                guard operation.count == 1, let letter = operation.first, "cudt".contains(letter) else {
                    throw EnvelopeOptions.invalid("skipped.operations", "c, u, d, t or none are expected")
                }
                skippedOperations.insert(letter)
            }
        }
        keyColumns = try EnvelopeOptions.keyColumns(config["message.key.columns"] ?? "")
        columnRules = try ColumnRules(config)
    }

    // MARK: Single properties

    private static func flag(_ name: String, _ config: ConnectorConfig, _ defaultValue: Bool) -> Bool {
        config[name].map { $0.trimmed.lowercased() == "true" } ?? defaultValue
    }

    private static func choice<Mode: RawRepresentable & CaseIterable>(
        _ name: String, _ config: ConnectorConfig, _ defaultValue: Mode
    ) throws(ConnectorError) -> Mode where Mode.RawValue == String {
        guard let text = config[name] else { return defaultValue }
        guard let mode = Mode(rawValue: text.trimmed.lowercased()) else {
            let known = Mode.allCases.map(\.rawValue).joined(separator: ", ")
            throw invalid(name, "one of \(known) is expected")
        }
        return mode
    }

    /// Plain text, or bytes behind `hex:`.
    private static func placeholder(_ text: String) throws(ConnectorError) -> [UInt8] {
        guard text.hasPrefix("hex:") else { return Array(text.utf8) }
        let digits = Array(text.dropFirst(4).utf8)
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard index + 1 < digits.count, let high = HexText.value(digits[index]),
                let low = HexText.value(digits[index + 1])
            else { throw invalid("unavailable.value.placeholder", "pairs of hexadecimal digits are expected") }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    /// `schema.table:column1,column2;…`
    private static func keyColumns(_ text: String) throws(ConnectorError) -> [KeyColumns] {
        var result: [KeyColumns] = []
        for part in text.split(separator: ";").map(\.trimmed) where !part.isEmpty {
            guard let colon = part.lastIndex(of: ":") else {
                throw invalid("message.key.columns", "<table>:<column>,<column>;… is expected")
            }
            let columns = part[part.index(after: colon)...].split(separator: ",").map(\.trimmed)
            let table = part[..<colon].trimmed
            guard !columns.isEmpty, (try? Regex(table)) != nil else {
                throw invalid("message.key.columns", "'\(table)' is no regular expression, or has no columns")
            }
            result.append(KeyColumns(table: table, columns: columns))
        }
        return result
    }

    private static func invalid(_ name: String, _ reason: String) -> ConnectorError {
        ConnectorError(.configuration, code: "invalid_property", "\(name): \(reason)")
    }
}
