import MillraceCore

/// A column's type in the terms of this module: the type behind a domain, with what its modifier says.
indirect enum ColumnType: Hashable {
    /// Built in, by OID.
    case builtIn(UInt32)
    case enumeration(labels: [String])
    /// By the name that its extension gave it: citext, ltree, hstore ….
    case named(String)
    /// Of no use but as text: composites, user-defined ranges, and what is not known at all.
    case unknown
    case array(ColumnType)
}

/// OIDs of built-in types (PostgreSQL's src/include/catalog/pg_type.dat).
enum TypeOID {
    static let bool: UInt32 = 16
    static let bytea: UInt32 = 17
    static let char: UInt32 = 18
    static let name: UInt32 = 19
    static let int8: UInt32 = 20
    static let int2: UInt32 = 21
    static let int4: UInt32 = 23
    static let text: UInt32 = 25
    static let oid: UInt32 = 26
    static let json: UInt32 = 114
    static let xml: UInt32 = 142
    static let point: UInt32 = 600
    static let lseg: UInt32 = 601
    static let path: UInt32 = 602
    static let box: UInt32 = 603
    static let polygon: UInt32 = 604
    static let line: UInt32 = 628
    static let cidr: UInt32 = 650
    static let float4: UInt32 = 700
    static let float8: UInt32 = 701
    static let circle: UInt32 = 718
    static let macaddr8: UInt32 = 774
    static let money: UInt32 = 790
    static let macaddr: UInt32 = 829
    static let inet: UInt32 = 869
    static let bpchar: UInt32 = 1042
    static let varchar: UInt32 = 1043
    static let date: UInt32 = 1082
    static let time: UInt32 = 1083
    static let timestamp: UInt32 = 1114
    static let timestamptz: UInt32 = 1184
    static let interval: UInt32 = 1186
    static let timetz: UInt32 = 1266
    static let bit: UInt32 = 1560
    static let varbit: UInt32 = 1562
    static let numeric: UInt32 = 1700
    static let refcursor: UInt32 = 1790
    static let uuid: UInt32 = 2950
    static let tsvector: UInt32 = 3614
    static let jsonb: UInt32 = 3802
    /// int4range, numrange, tsrange, tstzrange, daterange, int8range.
    static let ranges: Set<UInt32> = [3904, 3906, 3908, 3910, 3912, 3926]

    /// Element types of the built-in array types.
    static let elements: [UInt32: UInt32] = [
        143: 142, 199: 114, 629: 628, 651: 650, 719: 718, 775: 774, 791: 790, 1000: 16, 1001: 17, 1002: 18, 1003: 19,
        1005: 21, 1007: 23, 1009: 25, 1014: 1042, 1015: 1043, 1016: 20, 1017: 600, 1018: 601, 1019: 602, 1020: 603,
        1021: 700, 1022: 701, 1027: 604, 1028: 26, 1040: 829, 1041: 869, 1115: 1114, 1182: 1082, 1183: 1083,
        1185: 1184, 1187: 1186, 1231: 1700, 1270: 1266, 1561: 1560, 1563: 1562, 2201: 1790, 2951: 2950, 3643: 3614,
        3807: 3802, 3905: 3904, 3907: 3906, 3909: 3908, 3911: 3910, 3913: 3912, 3927: 3926,
    ]
}

/// A resolved type and the modifier that goes with it.
struct ResolvedType: Hashable {
    var type: ColumnType
    /// `atttypmod`; -1 for none.
    var modifier: Int32

    /// Follows domains, also those over domains, to their base and its modifier.
    init(_ column: Column, in relation: Relation) {
        self = ResolvedType.resolve(column.typeOID, column.typeModifier, relation.types, depth: 0)
    }

    private init(_ type: ColumnType, _ modifier: Int32) {
        self.type = type
        self.modifier = modifier
    }

    private static func resolve(
        _ oid: UInt32, _ modifier: Int32, _ types: [TypeDefinition], depth: Int
    ) -> ResolvedType {
        if let element = TypeOID.elements[oid] { return ResolvedType(.array(.builtIn(element)), modifier) }
        guard let definition = types.first(where: { $0.oid == oid }) else {
            return ResolvedType(.builtIn(oid), modifier)
        }
        // Types come from outside: a cycle must end.
        guard depth < 32 else { return ResolvedType(.unknown, -1) }
        switch definition.kind {
        case .domain(let baseOID, let baseTypeName, _, _):
            return resolve(baseOID, TypeModifier.parse(baseTypeName, baseOID), types, depth: depth + 1)
        case .enumeration(let labels):
            return ResolvedType(.enumeration(labels: labels), -1)
        case .array(let elementOID):
            let element = resolve(elementOID, modifier, types, depth: depth + 1)
            return ResolvedType(.array(element.type), element.modifier)
        case .extensionMember:
            return ResolvedType(.named(definition.name), modifier)
        case .composite, .range, .other:
            return ResolvedType(.unknown, -1)
        }
    }
}

enum TypeModifier {
    /// `numeric(10,2)`: precision 10, scale 2 (numeric_typmod_precision and _scale in numeric.c). Nil for plain `numeric`.
    static func numeric(_ modifier: Int32) -> (precision: Int, scale: Int)? {
        guard modifier >= 4 else { return nil }
        let packed = modifier - 4
        return (Int(packed >> 16 & 0xFFFF), Int((packed & 0x7FF ^ 1024) - 1024))
    }

    /// The modifier that a type's name stands for: needed for domains, of which only the name is known.
    static func parse(_ typeName: String, _ oid: UInt32) -> Int32 {
        guard let open = typeName.firstIndex(of: "("), let close = typeName.lastIndex(of: ")"), open < close else {
            return -1
        }
        let numbers = typeName[typeName.index(after: open)..<close].split(separator: ",").compactMap {
            Int32($0.trimmed)
        }
        guard let first = numbers.first, (0...Int32(UInt16.max)).contains(first) || oid != TypeOID.numeric else {
            return -1
        }
        switch oid {
        case TypeOID.numeric:
            let scale = numbers.count > 1 ? numbers[1] : 0
            return first << 16 | (scale & 0x7FF) &+ 4
        case TypeOID.bpchar, TypeOID.varchar:
            return first &+ 4
        default:
            return first
        }
    }
}
