// The bytes of a Relation inside a log record; docs/LOG_FORMAT.md has them as a table.

extension Relation {
    package func encode(into writer: inout ByteWriter) {
        writer.append(id.value)
        Relation.encodeBody(
            namespace: namespace, name: name, topic: topic, replicaIdentity: replicaIdentity, columns: columns,
            primaryKey: primaryKey, types: types, computedColumns: computedColumns, into: &writer)
    }

    /// Throws `MalformedRecord` on bytes that are no relation.
    package static func decode(_ reader: inout ByteReader) throws(MalformedRecord) -> Relation {
        let id = RelationID(try reader.uint32())
        let namespace = try reader.string()
        let name = try reader.string()
        let topic = try reader.string()
        guard let replicaIdentity = ReplicaIdentity(rawValue: try reader.uint8()) else {
            throw MalformedRecord("unknown replica identity of \(namespace).\(name)")
        }
        let columnCount = Int(try reader.uint16())
        var columns: [Column] = []
        columns.reserveCapacity(columnCount)
        for _ in 0..<columnCount { columns.append(try Column.decode(&reader)) }
        var primaryKey: [Int] = []
        for _ in 0..<Int(try reader.uint16()) {
            let index = Int(try reader.uint16())
            guard index < columnCount else { throw MalformedRecord("key column \(index) of \(namespace).\(name)") }
            primaryKey.append(index)
        }
        var types: [TypeDefinition] = []
        for _ in 0..<Int(try reader.uint16()) { types.append(try TypeDefinition.decode(&reader)) }
        var computedColumns: [Column] = []
        for _ in 0..<Int(try reader.uint16()) { computedColumns.append(try Column.decode(&reader)) }
        return Relation(
            id: id, namespace: namespace, name: name, topic: topic, replicaIdentity: replicaIdentity, columns: columns,
            primaryKey: primaryKey, types: types, computedColumns: computedColumns)
    }

    private static func encodeBody(
        namespace: String, name: String, topic: String, replicaIdentity: ReplicaIdentity, columns: [Column],
        primaryKey: [Int], types: [TypeDefinition], computedColumns: [Column], into writer: inout ByteWriter
    ) {
        writer.append(namespace)
        writer.append(name)
        writer.append(topic)
        writer.append(replicaIdentity.rawValue)
        writer.append(UInt16(columns.count))
        for column in columns { column.encode(into: &writer) }
        writer.append(UInt16(primaryKey.count))
        for index in primaryKey { writer.append(UInt16(index)) }
        writer.append(UInt16(types.count))
        for type in types { type.encode(into: &writer) }
        writer.append(UInt16(computedColumns.count))
        for column in computedColumns { column.encode(into: &writer) }
    }

    /// FNV-1a over the encoded bytes: stable across processes and versions of Swift, unlike `Hasher`.
    static func hash(
        id: RelationID, namespace: String, name: String, topic: String, replicaIdentity: ReplicaIdentity,
        columns: [Column], primaryKey: [Int], types: [TypeDefinition], computedColumns: [Column]
    ) -> UInt64 {
        var writer = ByteWriter()
        writer.append(id.value)
        encodeBody(
            namespace: namespace, name: name, topic: topic, replicaIdentity: replicaIdentity, columns: columns,
            primaryKey: primaryKey, types: types, computedColumns: computedColumns, into: &writer)
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in writer.bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }
}

extension Column {
    private static let notNull: UInt8 = 1
    private static let replicaIdentity: UInt8 = 2
    private static let generated: UInt8 = 4
    private static let hasDefault: UInt8 = 8

    func encode(into writer: inout ByteWriter) {
        writer.append(name)
        writer.append(UInt16(bitPattern: attributeNumber))
        writer.append(typeOID)
        writer.append(UInt32(bitPattern: typeModifier))
        writer.append(typeName)
        var flags: UInt8 = 0
        if isNotNull { flags |= Column.notNull }
        if isReplicaIdentity { flags |= Column.replicaIdentity }
        if isGenerated { flags |= Column.generated }
        if defaultExpression != nil { flags |= Column.hasDefault }
        writer.append(flags)
        writer.append(identity.rawValue)
        if let defaultExpression { writer.append(defaultExpression) }
    }

    static func decode(_ reader: inout ByteReader) throws(MalformedRecord) -> Column {
        let name = try reader.string()
        let attributeNumber = Int16(bitPattern: try reader.uint16())
        let typeOID = try reader.uint32()
        let typeModifier = Int32(bitPattern: try reader.uint32())
        let typeName = try reader.string()
        let flags = try reader.uint8()
        guard let identity = Identity(rawValue: try reader.uint8()) else {
            throw MalformedRecord("unknown identity of column \(name)")
        }
        return Column(
            name: name, attributeNumber: attributeNumber, typeOID: typeOID, typeModifier: typeModifier,
            typeName: typeName, isNotNull: flags & notNull != 0, isReplicaIdentity: flags & replicaIdentity != 0,
            isGenerated: flags & generated != 0, identity: identity,
            defaultExpression: flags & hasDefault != 0 ? try reader.string() : nil)
    }
}

extension TypeDefinition {
    private enum Tag {
        static let enumeration: UInt8 = 0x65  // 'e', as pg_type.typtype
        static let domain: UInt8 = 0x64  // 'd'
        static let composite: UInt8 = 0x63  // 'c'
        static let range: UInt8 = 0x72  // 'r'
        static let array: UInt8 = 0x61  // 'a'
        static let extensionMember: UInt8 = 0x78  // 'x'
        static let other: UInt8 = 0x6F  // 'o'
    }

    func encode(into writer: inout ByteWriter) {
        writer.append(oid)
        writer.append(namespace)
        writer.append(name)
        switch kind {
        case .enumeration(let labels):
            writer.append(Tag.enumeration)
            writer.append(UInt32(labels.count))
            for label in labels { writer.append(label) }
        case .domain(let baseOID, let baseTypeName, let isNotNull, let constraints):
            writer.append(Tag.domain)
            writer.append(baseOID)
            writer.append(baseTypeName)
            writer.append(UInt8(isNotNull ? 1 : 0))
            writer.append(UInt32(constraints.count))
            for constraint in constraints { writer.append(constraint) }
        case .composite(let fields):
            writer.append(Tag.composite)
            writer.append(UInt32(fields.count))
            for field in fields {
                writer.append(field.name)
                writer.append(field.typeName)
            }
        case .range(let subtypeName):
            writer.append(Tag.range)
            writer.append(subtypeName)
        case .array(let elementOID):
            writer.append(Tag.array)
            writer.append(elementOID)
        case .extensionMember(let extensionName):
            writer.append(Tag.extensionMember)
            writer.append(extensionName)
        case .other:
            writer.append(Tag.other)
        }
    }

    static func decode(_ reader: inout ByteReader) throws(MalformedRecord) -> TypeDefinition {
        let oid = try reader.uint32()
        let namespace = try reader.string()
        let name = try reader.string()
        return TypeDefinition(oid: oid, namespace: namespace, name: name, kind: try decodeKind(&reader))
    }

    private static func decodeKind(_ reader: inout ByteReader) throws(MalformedRecord) -> Kind {
        let tag = try reader.uint8()
        switch tag {
        case Tag.enumeration:
            return .enumeration(labels: try reader.strings())
        case Tag.domain:
            return .domain(
                baseOID: try reader.uint32(), baseTypeName: try reader.string(), isNotNull: try reader.uint8() != 0,
                constraints: try reader.strings())
        case Tag.composite:
            let count = Int(try reader.uint32())
            var fields: [Field] = []
            for _ in 0..<count { fields.append(Field(name: try reader.string(), typeName: try reader.string())) }
            return .composite(fields: fields)
        case Tag.range:
            return .range(subtypeName: try reader.string())
        case Tag.array:
            return .array(elementOID: try reader.uint32())
        case Tag.extensionMember:
            return .extensionMember(extensionName: try reader.string())
        case Tag.other:
            return .other
        default:
            throw MalformedRecord("unknown kind \(tag) of a type")
        }
    }
}
