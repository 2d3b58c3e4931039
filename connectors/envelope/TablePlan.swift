import MillraceCore

/// What is needed to write the events of one version of a relation: made once, then only read.
final class TablePlan {
    /// A column of the row, in the order of the tuple.
    struct ColumnPlan {
        /// Nil: the column is left out.
        var encoder: ColumnEncoder?
        /// `"name":`, with a comma in front where one is needed. Ranges are of `text`.
        var name: Range<Int>
        /// What is written for NULL.
        var null: Range<Int>
        /// What is written where only the key of an old row is known.
        var absent: Range<Int>
        /// What is written for a value that the source did not send; nil: an error.
        var unavailable: Range<Int>?
        var isIdentity: Bool
        /// Nil: the value is shown.
        var mask: ColumnMask?
    }

    /// A column of the key.
    struct KeyColumnPlan {
        var column: Int
        var encoder: ColumnEncoder
        var name: Range<Int>
        var null: Range<Int>
    }

    let relation: Relation
    let topic: Int
    /// Place in the transaction's counts of events.
    let collection: Int
    private(set) var columns: [ColumnPlan] = []
    private(set) var elements: [ColumnEncoder] = []
    private(set) var keyColumns: [KeyColumnPlan] = []
    private(set) var keyElements: [ColumnEncoder] = []
    /// Columns that are left out, for a warning.
    private(set) var omitted: [String] = []
    /// Columns that a rule would hide and whose type it does not reach, for a warning.
    private(set) var shown: [String] = []
    /// All constant pieces of JSON.
    let text = JSONBuffer()
    /// `{"schema":…,"payload":` or nothing.
    private(set) var keyPrefix = 0..<0
    private(set) var valuePrefix = 0..<0
    /// `"schema":"public","table":"customers"`
    private(set) var sourceName = 0..<0
    /// Index into the encoder's `schemas`.
    var schemas = 0
    /// Nil where nobody needs schemas, or there is no key.
    private(set) var keySchema: ConnectSchema?
    private(set) var valueSchema: ConnectSchema?
    /// Matches the sink's topics.
    let isWanted: Bool
    /// For the events behind the full load.
    private let isStreamed: Bool

    init(
        _ relation: Relation, _ options: EnvelopeOptions, topic: Int, collection: Int, isWanted: Bool,
        isStreamed: Bool = false
    ) throws(ConnectorError) {
        self.relation = relation
        self.topic = topic
        self.collection = collection
        self.isWanted = isWanted
        self.isStreamed = isStreamed
        guard isWanted else { return }
        var fields: [ConnectField] = []
        compileColumns(options, &fields)
        let keyFields = try compileKey(options)
        sourceName = fragment(
            "\"schema\":\(SchemaText.quote(relation.namespace)),\"table\":\(SchemaText.quote(relation.name))")
        let name = options.schemaNames.schemaName(relation.topic)
        if options.value.includesSchema || options.keepsSchemas {
            valueSchema = EventSchemas.envelope(topic: name, columns: fields)
        }
        if options.key.includesSchema || options.keepsSchemas, !keyColumns.isEmpty {
            keySchema = EventSchemas.key(topic: name, columns: keyFields)
        }
        if options.value.includesSchema, let valueSchema { valuePrefix = prefix(valueSchema, options.value) }
        if options.key.includesSchema, let keySchema { keyPrefix = prefix(keySchema, options.key) }
    }

    private func prefix(_ schema: ConnectSchema, _ converter: EnvelopeOptions.Converter) -> Range<Int> {
        let json = SchemaText.json(schema, decimalsAsNumbers: converter.writesDecimalsAsNumbers)
        return fragment("{\"schema\":\(json),\"payload\":")
    }

    private func fragment(_ piece: String) -> Range<Int> {
        let start = text.count
        text.append(piece)
        return start..<text.count
    }

    private func compileColumns(_ options: EnvelopeOptions, _ fields: inout [ConnectField]) {
        var selection = EncoderSelection(options, options.value)
        var separator = ""
        for column in relation.columns {
            let type = ResolvedType(column, in: relation)
            guard let encoder = selection.encoder(for: type) else {
                omitted.append(column.name)
                columns.append(
                    ColumnPlan(
                        encoder: nil, name: 0..<0, null: 0..<0, absent: 0..<0, unavailable: nil, isIdentity: false))
                continue
            }
            let defaultJSON = defaultJSON(column, encoder, selection.elements)
            let null = options.value.replacesNullWithDefault ? defaultJSON ?? "null" : "null"
            let unavailable = encoder.unavailableJSON(options.unavailablePlaceholder, selection.elements)
            var plan = ColumnPlan(
                encoder: encoder,
                name: fragment("\(separator)\(SchemaText.quote(options.fieldNames.fieldName(column.name))):"),
                null: fragment(null),
                absent: fragment(column.isNotNull ? defaultJSON ?? encoder.zeroJSON : null),
                unavailable: unavailable.map { fragment($0) }, isIdentity: column.isReplicaIdentity)
            let action = options.columnRules.action(column, of: relation)
            if let action { mask(&plan, action, column, type, options) }
            columns.append(plan)
            separator = ","
            if options.value.includesSchema || options.keepsSchemas {
                var field = TablePlan.field(column, encoder, type, selection.elements, defaultJSON, options)
                var parameters = action.map { [$0.parameter] } ?? []
                if let propagated = propagated(column, options) { parameters += propagated }
                if !parameters.isEmpty {
                    field.schema = field.schema.with(parameters: field.schema.parameters + parameters)
                }
                fields.append(field)
            }
        }
        elements = selection.elements
    }

    /// Puts what hides the values of a column into its plan, for values that are not there too.
    private func mask(
        _ plan: inout ColumnPlan, _ action: MaskingRule, _ column: Column, _ type: ResolvedType,
        _ options: EnvelopeOptions
    ) {
        guard let encoder = plan.encoder, let mask = action.mask(encoder, type, text) else {
            shown.append("\(column.name) (\(column.typeName))")
            return
        }
        plan.mask = mask
        if case .fixed(let stars) = mask {
            (plan.null, plan.absent, plan.unavailable) = (stars, stars, stars)
            return
        }
        if column.isNotNull {
            var value = ""
            if let expression = column.defaultExpression, case .constant(let text) = DefaultValue(expression) {
                value = text
            }
            plan.absent = masked(Array(value.utf8), mask, encoder)
        }
        if plan.unavailable != nil { plan.unavailable = masked(options.unavailablePlaceholder, mask, encoder) }
    }

    /// `value`: text, or the bytes of a bytea.
    private func masked(_ value: [UInt8], _ mask: ColumnMask, _ encoder: ColumnEncoder) -> Range<Int> {
        let start = text.count
        if case .bytea = encoder {
            guard case .truncate(let count) = mask else { return start..<start }
            Array(value.prefix(count)).withUnsafeBytes { text.append(base64: $0) }
        } else {
            let scratch = JSONBuffer()
            value.withUnsafeBytes { bytes in
                _ = text.append(quoted: mask.masked(bytes, isBytes: false, scratch))
            }
        }
        return start..<text.count
    }

    private func propagated(_ column: Column, _ options: EnvelopeOptions) -> [ConnectParameter]? {
        guard options.columnRules.propagatesAny else { return nil }
        let type = SourceType(column, in: relation, isStreamed: isStreamed)
        let isWanted = options.columnRules.propagates(
            column, of: relation, database: options.database, typeName: type.name)
        return isWanted ? type.parameters(column.name) : nil
    }

    private func defaultJSON(
        _ column: Column, _ encoder: ColumnEncoder, _ elements: [ColumnEncoder]
    ) -> String? {
        guard let expression = column.defaultExpression, !column.isGenerated else { return nil }
        let type = ResolvedType(column, in: relation)
        guard let json = encoder.defaultJSON(expression, elements, type.type) else { return nil }
        if encoder == .decimalString, let scale = TypeModifier.numeric(type.modifier)?.scale, scale > 0 {
            return TablePlan.padded(json, scale)
        }
        return json
    }

    /// `"1.5"` with as many digits behind the point as the column has: PostgreSQL stores it so.
    private static func padded(_ json: String, _ scale: Int) -> String {
        let text = json.dropFirst().dropLast()
        guard text.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == "." || $0 == "-") }) else { return json }
        let digits = text.firstIndex(of: ".").map { text.distance(from: $0, to: text.endIndex) - 1 }
        let zeros = String(repeating: "0", count: max(scale - (digits ?? 0), 0))
        return "\"\(text)\(digits == nil ? "." : "")\(zeros)\""
    }

    private static func field(
        _ column: Column, _ encoder: ColumnEncoder, _ type: ResolvedType, _ elements: [ColumnEncoder],
        _ defaultJSON: String?, _ options: EnvelopeOptions
    ) -> ConnectField {
        var schema = ColumnSchema.schema(encoder, type, elements)
        if options.timeMode == .connect { schema = ColumnSchema.withConnectTimes(schema) }
        let defaultValue = defaultJSON.flatMap { PayloadReader.read($0, schema) }
        return ConnectField(
            options.fieldNames.fieldName(column.name),
            schema.with(isOptional: !column.isNotNull, defaultValue: defaultValue))
    }

    // MARK: Key

    private func compileKey(_ options: EnvelopeOptions) throws(ConnectorError) -> [ConnectField] {
        var selection = EncoderSelection(options, options.key)
        var fields: [ConnectField] = []
        for index in try keyIndexes(options) {
            let column = relation.columns[index]
            let type = ResolvedType(column, in: relation)
            guard let encoder = selection.encoder(for: type) else {
                throw ConnectorError(
                    .configuration, code: "unknown_key_type",
                    "column \(column.name) of \(relation.qualifiedName) is part of the key, but its type "
                        + "\(column.typeName) has no form in events",
                    hint: "set include.unknown.datatypes=true, or choose other columns with message.key.columns")
            }
            let defaultJSON = defaultJSON(column, encoder, selection.elements)
            let null = options.key.replacesNullWithDefault ? defaultJSON ?? "null" : "null"
            let separator = keyColumns.isEmpty ? "" : ","
            keyColumns.append(
                KeyColumnPlan(
                    column: index, encoder: encoder,
                    name: fragment("\(separator)\(SchemaText.quote(options.fieldNames.fieldName(column.name))):"),
                    null: fragment(column.isNotNull ? defaultJSON ?? encoder.zeroJSON : null)))
            if options.key.includesSchema || options.keepsSchemas {
                fields.append(TablePlan.field(column, encoder, type, selection.elements, defaultJSON, options))
            }
        }
        keyElements = selection.elements
        return fields
    }

    /// `message.key.columns`, or the primary key, or the index that identifies old rows. Empty: events without a key.
    private func keyIndexes(_ options: EnvelopeOptions) throws(ConnectorError) -> [Int] {
        for chosen in options.keyColumns where TablePlan.matches(chosen.table, relation.qualifiedName) {
            var indexes: [Int] = []
            for name in chosen.columns {
                guard let index = relation.columns.firstIndex(where: { $0.name == name }) else {
                    throw ConnectorError(
                        .configuration, code: "unknown_key_column",
                        "message.key.columns names column \(name), which \(relation.qualifiedName) does not have",
                        hint: "correct message.key.columns of the source")
                }
                indexes.append(index)
            }
            return indexes
        }
        if relation.primaryKey.isEmpty, relation.replicaIdentity == .index { return relation.identityColumns }
        return relation.primaryKey
    }

    /// Whether old rows lack a part of the key: with REPLICA IDENTITY USING INDEX they have the columns of that index and
    /// no others, and Debezium, whose keys these are, shows a zero instead.
    var oldRowsLackKey: Bool {
        let identity = relation.identityColumns
        return relation.replicaIdentity == .index && !keyColumns.allSatisfy { identity.contains($0.column) }
    }

    /// Anchored, and without regard to case, as Debezium matches tables.
    private static func matches(_ pattern: String, _ name: String) -> Bool {
        guard let regex = try? Regex(pattern).ignoresCase() else { return false }
        return (try? regex.wholeMatch(in: name)) != nil
    }
}
