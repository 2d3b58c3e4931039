/// The schemas of columns, by what writes them: never optional and without a default, which are the column's own.
enum ColumnSchema {
    static func schema(
        _ encoder: ColumnEncoder, _ type: ResolvedType, _ elements: [ColumnEncoder]
    ) -> ConnectSchema {
        switch encoder {
        case .boolean, .bitBoolean: ConnectSchema(.boolean)
        case .integer: ConnectSchema(integer(type.type))
        case .float(let isSingle): ConnectSchema(isSingle ? .float32 : .float64)
        case .text: text(type.type)
        case .decimal(let scale), .decimalNumber(let scale):
            decimal(scale, precision: TypeModifier.numeric(type.modifier)?.precision ?? 0)
        case .variableScaleDecimal: variableScaleDecimal
        case .decimalDouble: ConnectSchema(.float64)
        case .decimalString: .string
        case .money(let mode, let digits, _): money(mode, digits)
        case .bits: bits(type.modifier)
        case .bytea(let mode), .textBytes(let mode), .geometricBytes(let mode):
            ConnectSchema(mode == .bytes ? .bytes : .string)
        case .date, .isoDate, .time, .timestamp, .zonedTime, .zonedTimestamp, .microDuration, .isoInterval:
            temporal(encoder)
        case .hstoreJSON: logical(.string, "io.debezium.data.Json")
        case .hstoreMap: ConnectSchema(.map(keys: .string, values: .optionalString))
        case .point, .geometry, .vector, .sparseVector: geometric(encoder)
        case .array(let element, _): array(elements[element], type, elements)
        // As Debezium has it: the elements' schema for the whole, which is null in every row.
        case .alwaysNull: bits(type.modifier)
        }
    }

    /// A named type of version 1, as all of Kafka Connect's and Debezium's are.
    static func logical(
        _ kind: ConnectSchema.Kind, _ name: String, doc: String? = nil, parameters: [ConnectParameter] = []
    ) -> ConnectSchema {
        ConnectSchema(kind, name: name, version: 1, doc: doc, parameters: parameters)
    }

    static func decimal(_ scale: Int, precision: Int?) -> ConnectSchema {
        var parameters = [ConnectParameter("scale", String(scale))]
        if let precision { parameters.append(ConnectParameter("connect.decimal.precision", String(precision))) }
        return logical(.bytes, ConnectSchema.decimalName, parameters: parameters)
    }

    private static let variableScaleDecimal = logical(
        .structure([ConnectField("scale", ConnectSchema(.int32)), ConnectField("value", ConnectSchema(.bytes))]),
        "io.debezium.data.VariableScaleDecimal", doc: "Variable scaled decimal")

    private static func integer(_ type: ColumnType) -> ConnectSchema.Kind {
        switch type {
        case .builtIn(TypeOID.int2): .int16
        case .builtIn(TypeOID.int4): .int32
        default: .int64
        }
    }

    private static func text(_ type: ColumnType) -> ConnectSchema {
        switch type {
        case .builtIn(TypeOID.uuid): logical(.string, "io.debezium.data.Uuid")
        case .builtIn(TypeOID.json), .builtIn(TypeOID.jsonb): logical(.string, "io.debezium.data.Json")
        case .builtIn(TypeOID.xml): logical(.string, "io.debezium.data.Xml")
        case .builtIn(TypeOID.tsvector): logical(.string, "io.debezium.data.Tsvector")
        case .named("ltree"): logical(.string, "io.debezium.data.Ltree")
        case .enumeration(let labels):
            logical(
                .string, "io.debezium.data.Enum",
                parameters: [ConnectParameter("allowed", labels.joined(separator: ","))])
        default: .string
        }
    }

    private static func money(_ mode: EnvelopeOptions.DecimalMode, _ digits: Int) -> ConnectSchema {
        switch mode {
        case .precise: decimal(digits, precision: nil)
        case .double: ConnectSchema(.float64)
        case .string: .string
        }
    }

    private static func bits(_ modifier: Int32) -> ConnectSchema {
        logical(
            .bytes, "io.debezium.data.Bits",
            parameters: [ConnectParameter("length", String(modifier > 0 ? modifier : Int32.max))])
    }

    private static func temporal(_ encoder: ColumnEncoder) -> ConnectSchema {
        switch encoder {
        case .date: logical(.int32, "io.debezium.time.Date")
        case .isoDate: logical(.string, "io.debezium.time.IsoDate")
        case .time(.milliseconds): logical(.int32, "io.debezium.time.Time")
        case .time(.microseconds): logical(.int64, "io.debezium.time.MicroTime")
        case .time(.nanoseconds): logical(.int64, "io.debezium.time.NanoTime")
        case .time(.iso): logical(.string, "io.debezium.time.IsoTime")
        case .timestamp(.milliseconds): logical(.int64, "io.debezium.time.Timestamp")
        case .timestamp(.microseconds): logical(.int64, "io.debezium.time.MicroTimestamp")
        case .timestamp(.nanoseconds): logical(.int64, "io.debezium.time.NanoTimestamp")
        case .timestamp(.iso): logical(.string, "io.debezium.time.IsoTimestamp")
        case .zonedTime: logical(.string, "io.debezium.time.ZonedTime")
        case .zonedTimestamp: logical(.string, "io.debezium.time.ZonedTimestamp")
        case .isoInterval: logical(.string, "io.debezium.time.Interval")
        default: logical(.int64, "io.debezium.time.MicroDuration")
        }
    }

    /// `time.precision.mode=connect` uses Kafka Connect's own logical types.
    static func withConnectTimes(_ schema: ConnectSchema) -> ConnectSchema {
        switch schema.name {
        case "io.debezium.time.Date": schema.with(name: ConnectSchema.dateName)
        case "io.debezium.time.Time": schema.with(name: ConnectSchema.timeName)
        case "io.debezium.time.Timestamp": schema.with(name: ConnectSchema.timestampName)
        default: schema
        }
    }

    private static func geometric(_ encoder: ColumnEncoder) -> ConnectSchema {
        let wkb = ConnectField("wkb", ConnectSchema(.bytes, isOptional: encoder == .point))
        let srid = ConnectField("srid", ConnectSchema(.int32, isOptional: true))
        let double = ConnectSchema(.float64)
        switch encoder {
        case .point:
            return logical(
                .structure([ConnectField("x", double), ConnectField("y", double), wkb, srid]),
                "io.debezium.data.geometry.Point", doc: "Geometry (POINT)")
        case .geometry:
            return logical(.structure([wkb, srid]), "io.debezium.data.geometry.Geometry", doc: "Geometry")
        case .vector:
            return logical(.array(ConnectSchema(.float32)), "io.debezium.data.FloatVector")
        default:
            let values = ConnectSchema(.map(keys: ConnectSchema(.int16), values: double))
            return logical(
                .structure([
                    ConnectField("dimensions", ConnectSchema(.int16)), ConnectField("vector", values),
                ]), "io.debezium.data.SparseDoubleVector", doc: "Sparse Vector")
        }
    }

    private static func array(
        _ element: ColumnEncoder, _ type: ResolvedType, _ elements: [ColumnEncoder]
    ) -> ConnectSchema {
        guard case .array(let elementType) = type.type else {
            return ConnectSchema(.array(ConnectSchema(.bytes, isOptional: true)))
        }
        let resolved = ResolvedType(elementType: elementType, type.modifier)
        // Debezium calls the elements optional but for enumerations and for types without a mapping.
        var isOptional = true
        switch element {
        case .textBytes, .geometricBytes: isOptional = false
        default: if case .enumeration = elementType { isOptional = false }
        }
        return ConnectSchema(.array(schema(element, resolved, elements).with(isOptional: isOptional)))
    }
}

extension ConnectSchema {
    package static let decimalName = "org.apache.kafka.connect.data.Decimal"
    package static let dateName = "org.apache.kafka.connect.data.Date"
    package static let timeName = "org.apache.kafka.connect.data.Time"
    package static let timestampName = "org.apache.kafka.connect.data.Timestamp"
}
