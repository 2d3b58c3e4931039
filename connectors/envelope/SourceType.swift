import MillraceCore

/// What `column.propagate.source.type` says of a column: the name that PostgreSQL has for its type, and length and scale
/// as the JDBC driver's metadata gives them.
struct SourceType {
    /// `VARCHAR`, `_INT4`, `SERIAL`; in capitals.
    let name: String
    private let length: Int32
    /// Nil for `numeric` without a precision.
    private let scale: Int32?

    func parameters(_ column: String) -> [ConnectParameter] {
        let prefix = "__debezium.source.column."
        var result = [
            ConnectParameter(prefix + "type", name), ConnectParameter(prefix + "length", String(length)),
        ]
        if let scale { result.append(ConnectParameter(prefix + "scale", String(scale))) }
        result.append(ConnectParameter(prefix + "name", column))
        return result
    }

    /// `isStreamed`: Debezium goes by the driver's metadata in a full load, by pgoutput's relations behind it.
    init(_ column: Column, in relation: Relation, isStreamed: Bool) {
        let resolved = ResolvedType(column, in: relation)
        var base = UInt32(0)
        switch resolved.type {
        case .builtIn(let oid), .array(.builtIn(let oid)): base = oid
        default: break
        }
        if isStreamed, base == TypeOID.numeric, TypeModifier.numeric(resolved.modifier) == nil {
            // What the JDBC driver has for a type modifier of -1.
            (length, scale) = (131_089, 0)
        } else {
            (length, scale) = SourceType.size(base, resolved.modifier)
        }
        name = SourceType.name(column, relation, isStreamed: isStreamed).uppercased()
    }

    private static func name(_ column: Column, _ relation: Relation, isStreamed: Bool) -> String {
        if let definition = relation.types.first(where: { $0.oid == column.typeOID }) { return definition.name }
        if let element = TypeOID.elements[column.typeOID] { return "_" + (names[element] ?? column.typeName) }
        let isSerial = !isStreamed && column.defaultExpression?.hasPrefix("nextval(") == true
        switch column.typeOID {
        case TypeOID.int2 where isSerial: return "smallserial"
        case TypeOID.int4 where isSerial: return "serial"
        case TypeOID.int8 where isSerial: return "bigserial"
        default: return names[column.typeOID] ?? column.typeName
        }
    }

    /// `pg_type.typname` of built-in types.
    private static let names: [UInt32: String] = [
        TypeOID.bool: "bool", TypeOID.bytea: "bytea", TypeOID.char: "char", TypeOID.name: "name",
        TypeOID.int8: "int8", TypeOID.int2: "int2", TypeOID.int4: "int4", TypeOID.text: "text", TypeOID.oid: "oid",
        TypeOID.json: "json", TypeOID.xml: "xml", TypeOID.point: "point", TypeOID.lseg: "lseg", TypeOID.path: "path",
        TypeOID.box: "box", TypeOID.polygon: "polygon", TypeOID.line: "line", TypeOID.cidr: "cidr",
        TypeOID.float4: "float4", TypeOID.float8: "float8", TypeOID.circle: "circle", TypeOID.macaddr8: "macaddr8",
        TypeOID.money: "money", TypeOID.macaddr: "macaddr", TypeOID.inet: "inet", TypeOID.bpchar: "bpchar",
        TypeOID.varchar: "varchar", TypeOID.date: "date", TypeOID.time: "time", TypeOID.timestamp: "timestamp",
        TypeOID.timestamptz: "timestamptz", TypeOID.interval: "interval", TypeOID.timetz: "timetz",
        TypeOID.bit: "bit", TypeOID.varbit: "varbit", TypeOID.numeric: "numeric", TypeOID.refcursor: "refcursor",
        TypeOID.uuid: "uuid", TypeOID.tsvector: "tsvector", TypeOID.jsonb: "jsonb", 3904: "int4range",
        3906: "numrange", 3908: "tsrange", 3910: "tstzrange", 3912: "daterange", 3926: "int8range",
    ]

    private static func size(_ oid: UInt32, _ modifier: Int32) -> (Int32, Int32?) {
        let digits = (0...6).contains(modifier) ? modifier : 6
        let fraction = digits == 0 ? 0 : digits + 1
        switch oid {
        case TypeOID.bool: return (1, 0)
        case TypeOID.int2: return (5, 0)
        case TypeOID.int4, TypeOID.oid: return (10, 0)
        case TypeOID.int8: return (19, 0)
        case TypeOID.float4: return (8, 8)
        case TypeOID.float8: return (17, 17)
        case TypeOID.numeric:
            guard let (precision, scale) = TypeModifier.numeric(modifier) else { return (0, nil) }
            return (Int32(clamping: precision), Int32(clamping: scale))
        case TypeOID.varchar, TypeOID.bpchar: return (modifier >= 4 ? modifier - 4 : .max, 0)
        case TypeOID.bit, TypeOID.varbit: return (modifier > 0 ? modifier : .max, 0)
        case TypeOID.date: return (13, 0)
        case TypeOID.time: return (8 + fraction, digits)
        case TypeOID.timetz: return (14 + fraction, digits)
        case TypeOID.timestamp: return (22 + fraction, digits)
        case TypeOID.timestamptz: return (28 + fraction, digits)
        case TypeOID.interval: return (49, digits)
        default: return (.max, 0)
        }
    }
}
