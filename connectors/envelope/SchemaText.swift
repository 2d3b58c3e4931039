import MillraceCore

/// Schemas as Kafka Connect's JsonConverter writes them: `type`, the parts of the type, `optional`, `name`, `version`, `doc`,
/// `parameters`, `default`, `field`, in this order.
struct SchemaText {
    /// `"type":"int32"`, with items or fields.
    var type: String
    var name: String?
    var doc: String?
    var parameters: [(String, String)] = []

    init(_ type: String, _ name: String? = nil, doc: String? = nil, parameters: [(String, String)] = []) {
        self.type = "\"type\":\"\(type)\""
        self.name = name
        self.doc = doc
        self.parameters = parameters
    }

    static func structure(_ fields: [String], _ name: String? = nil, doc: String? = nil) -> SchemaText {
        var schema = SchemaText("struct", name, doc: doc)
        schema.type += ",\"fields\":[\(fields.joined(separator: ","))]"
        return schema
    }

    func json(optional: Bool, version: Int? = nil, default defaultJSON: String? = nil, field: String? = nil) -> String {
        var text = "{\(type),\"optional\":\(optional)"
        if let name {
            text += ",\"name\":\(SchemaText.quote(name))"
            if let version = version ?? (name.hasPrefix("io.") || name.hasPrefix("org.") ? 1 : nil) {
                text += ",\"version\":\(version)"
            }
        }
        if let doc { text += ",\"doc\":\(SchemaText.quote(doc))" }
        if !parameters.isEmpty {
            let pairs = parameters.map { "\(SchemaText.quote($0.0)):\(SchemaText.quote($0.1))" }
            text += ",\"parameters\":{\(pairs.joined(separator: ","))}"
        }
        if let defaultJSON { text += ",\"default\":\(defaultJSON)" }
        if let field { text += ",\"field\":\(SchemaText.quote(field))" }
        return text + "}"
    }

    static func quote(_ text: String) -> String {
        let out = JSONBuffer()
        out.append(quoted: text)
        return String(decoding: out.bytes, as: UTF8.self)
    }

    // MARK: Columns

    init(_ encoder: ColumnEncoder, _ type: ResolvedType, _ elements: [ColumnEncoder]) {
        switch encoder {
        case .boolean, .bitBoolean: self.init("boolean")
        case .integer: self.init(SchemaText.integer(type.type))
        case .float(let isSingle): self.init(isSingle ? "float" : "double")
        case .text: self = SchemaText.text(type.type)
        case .decimal(let scale), .decimalNumber(let scale):
            let precision = TypeModifier.numeric(type.modifier)?.precision ?? 0
            self.init(
                "bytes", "org.apache.kafka.connect.data.Decimal",
                parameters: [("scale", String(scale)), ("connect.decimal.precision", String(precision))])
        case .variableScaleDecimal:
            let fields = [
                SchemaText("int32").json(optional: false, field: "scale"),
                SchemaText("bytes").json(optional: false, field: "value"),
            ]
            self = .structure(fields, "io.debezium.data.VariableScaleDecimal", doc: "Variable scaled decimal")
        case .decimalDouble: self.init("double")
        case .decimalString: self.init("string")
        case .money(let mode, let digits, _): self = SchemaText.money(mode, digits)
        case .bits: self = SchemaText.bits(type.modifier)
        case .bytea(let mode), .textBytes(let mode), .geometricBytes(let mode):
            self.init(mode == .bytes ? "bytes" : "string")
        case .date, .isoDate, .time, .timestamp, .zonedTime, .zonedTimestamp, .microDuration, .isoInterval:
            self = SchemaText.temporal(encoder)
        case .hstoreJSON: self.init("string", "io.debezium.data.Json")
        case .hstoreMap: self = SchemaText.map(values: SchemaText("string").json(optional: true))
        case .point, .geometry, .vector, .sparseVector: self = SchemaText.geometric(encoder)
        case .array(let element, _): self = SchemaText.array(elements[element], type, elements)
        case .alwaysNull: self = SchemaText.list(SchemaText.bits(type.modifier).json(optional: true))
        }
    }

    private static func integer(_ type: ColumnType) -> String {
        switch type {
        case .builtIn(TypeOID.int2): "int16"
        case .builtIn(TypeOID.int4): "int32"
        default: "int64"
        }
    }

    private static func text(_ type: ColumnType) -> SchemaText {
        switch type {
        case .builtIn(TypeOID.uuid): SchemaText("string", "io.debezium.data.Uuid")
        case .builtIn(TypeOID.json), .builtIn(TypeOID.jsonb): SchemaText("string", "io.debezium.data.Json")
        case .builtIn(TypeOID.xml): SchemaText("string", "io.debezium.data.Xml")
        case .builtIn(TypeOID.tsvector): SchemaText("string", "io.debezium.data.Tsvector")
        case .named("ltree"): SchemaText("string", "io.debezium.data.Ltree")
        case .enumeration(let labels):
            SchemaText("string", "io.debezium.data.Enum", parameters: [("allowed", labels.joined(separator: ","))])
        default: SchemaText("string")
        }
    }

    private static func money(_ mode: EnvelopeOptions.DecimalMode, _ digits: Int) -> SchemaText {
        switch mode {
        case .precise:
            SchemaText("bytes", "org.apache.kafka.connect.data.Decimal", parameters: [("scale", String(digits))])
        case .double: SchemaText("double")
        case .string: SchemaText("string")
        }
    }

    private static func bits(_ modifier: Int32) -> SchemaText {
        SchemaText(
            "bytes", "io.debezium.data.Bits",
            parameters: [("length", String(modifier > 0 ? modifier : Int32.max))])
    }

    private static func temporal(_ encoder: ColumnEncoder) -> SchemaText {
        switch encoder {
        case .date: SchemaText("int32", "io.debezium.time.Date")
        case .isoDate: SchemaText("string", "io.debezium.time.IsoDate")
        case .time(.milliseconds): SchemaText("int32", "io.debezium.time.Time")
        case .time(.microseconds): SchemaText("int64", "io.debezium.time.MicroTime")
        case .time(.nanoseconds): SchemaText("int64", "io.debezium.time.NanoTime")
        case .time(.iso): SchemaText("string", "io.debezium.time.IsoTime")
        case .timestamp(.milliseconds, _): SchemaText("int64", "io.debezium.time.Timestamp")
        case .timestamp(.microseconds, _): SchemaText("int64", "io.debezium.time.MicroTimestamp")
        case .timestamp(.nanoseconds, _): SchemaText("int64", "io.debezium.time.NanoTimestamp")
        case .timestamp(.iso, _): SchemaText("string", "io.debezium.time.IsoTimestamp")
        case .zonedTime: SchemaText("string", "io.debezium.time.ZonedTime")
        case .zonedTimestamp: SchemaText("string", "io.debezium.time.ZonedTimestamp")
        case .isoInterval: SchemaText("string", "io.debezium.time.Interval")
        default: SchemaText("int64", "io.debezium.time.MicroDuration")
        }
    }

    /// `time.precision.mode=connect` uses Kafka Connect's own logical types.
    func withConnectTimes() -> SchemaText {
        var schema = self
        switch name {
        case "io.debezium.time.Date": schema.name = "org.apache.kafka.connect.data.Date"
        case "io.debezium.time.Time": schema.name = "org.apache.kafka.connect.data.Time"
        case "io.debezium.time.Timestamp": schema.name = "org.apache.kafka.connect.data.Timestamp"
        default: break
        }
        return schema
    }

    private static func geometric(_ encoder: ColumnEncoder) -> SchemaText {
        let wkb = SchemaText("bytes").json(optional: encoder == .point, field: "wkb")
        let srid = SchemaText("int32").json(optional: true, field: "srid")
        let double = SchemaText("double")
        switch encoder {
        case .point:
            let fields = [
                double.json(optional: false, field: "x"), double.json(optional: false, field: "y"), wkb, srid,
            ]
            return .structure(fields, "io.debezium.data.geometry.Point", doc: "Geometry (POINT)")
        case .geometry:
            return .structure([wkb, srid], "io.debezium.data.geometry.Geometry", doc: "Geometry")
        case .vector:
            var schema = list(SchemaText("float").json(optional: false))
            schema.name = "io.debezium.data.FloatVector"
            return schema
        default:
            let values = map(keys: "int16", values: double.json(optional: false))
            let fields = [
                SchemaText("int16").json(optional: false, field: "dimensions"),
                values.json(optional: false, field: "vector"),
            ]
            return .structure(fields, "io.debezium.data.SparseDoubleVector", doc: "Sparse Vector")
        }
    }

    private static func array(
        _ element: ColumnEncoder, _ type: ResolvedType, _ elements: [ColumnEncoder]
    ) -> SchemaText {
        guard case .array(let elementType) = type.type else { return list(SchemaText("bytes").json(optional: true)) }
        let resolved = ResolvedType(elementType: elementType, type.modifier)
        return list(SchemaText(element, resolved, elements).json(optional: true))
    }

    private static func list(_ items: String) -> SchemaText {
        var schema = SchemaText("array")
        schema.type += ",\"items\":\(items)"
        return schema
    }

    private static func map(keys: String = "string", values: String) -> SchemaText {
        var schema = SchemaText("map")
        schema.type += ",\"keys\":\(SchemaText(keys).json(optional: false)),\"values\":\(values)"
        return schema
    }
}
