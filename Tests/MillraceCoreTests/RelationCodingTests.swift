import MillraceCore
import Testing

@Suite struct RelationCodingTests {
    /// A relation that uses every part of the encoding.
    static let everything = Relation(
        id: RelationID(16_385), namespace: "Größe", name: "a \"quoted\" name", topic: "srv.Größe.name",
        replicaIdentity: .index,
        columns: [
            Column(
                name: "id", attributeNumber: 1, typeOID: 20, typeName: "bigint", isNotNull: true,
                isReplicaIdentity: true,
                identity: .always),
            Column(
                name: "amount", attributeNumber: 3, typeOID: 1700, typeModifier: 655_366, typeName: "numeric(10,2)",
                identity: .byDefault, defaultExpression: "0.00"),
            Column(
                name: "total", attributeNumber: -1, typeOID: 1700, typeName: "numeric", isGenerated: true,
                defaultExpression: ""),
        ],
        primaryKey: [0, 1],
        types: [
            TypeDefinition(oid: 1, namespace: "public", name: "mood", kind: .enumeration(labels: ["sad", "", "ok"])),
            TypeDefinition(
                oid: 2, namespace: "public", name: "positive",
                kind: .domain(baseOID: 23, baseTypeName: "integer", isNotNull: true, constraints: ["CHECK (VALUE > 0)"])
            ),
            TypeDefinition(
                oid: 3, namespace: "public", name: "pair",
                kind: .composite(fields: [.init(name: "a", typeName: "integer"), .init(name: "b", typeName: "text")])),
            TypeDefinition(oid: 4, namespace: "public", name: "span", kind: .range(subtypeName: "integer")),
            TypeDefinition(oid: 5, namespace: "public", name: "_mood", kind: .array(elementOID: 1)),
            TypeDefinition(
                oid: 6, namespace: "public", name: "hstore", kind: .extensionMember(extensionName: "hstore")),
            TypeDefinition(oid: 7, namespace: "public", name: "odd", kind: .other),
        ],
        computedColumns: [
            Column(name: "sum", typeOID: 23, typeName: "integer", isGenerated: true, defaultExpression: "(a + b)")
        ])

    func encoded(_ relation: Relation) -> [UInt8] {
        var writer = ByteWriter()
        relation.encode(into: &writer)
        return writer.bytes
    }

    @Test func everythingComesBack() throws {
        let bytes = encoded(Self.everything)
        let back = try bytes.withUnsafeBytes { bytes throws -> Relation in
            var reader = ByteReader(bytes)
            let relation = try Relation.decode(&reader)
            #expect(reader.isAtEnd)
            return relation
        }
        let relation = Self.everything
        #expect(back.id == relation.id && back.namespace == relation.namespace && back.name == relation.name)
        #expect(back.topic == relation.topic && back.replicaIdentity == relation.replicaIdentity)
        #expect(back.columns == relation.columns && back.primaryKey == relation.primaryKey)
        #expect(back.computedColumns == relation.computedColumns && back.computedColumns.count == 1)
        #expect(back.types == relation.types && back.version == relation.version)
        #expect(back.identityColumns == [0])
    }

    @Test func versionChangesWithEveryPart() {
        func version(_ change: (inout [Column]) -> Void = { _ in }, name: String = "t", key: [Int] = [0]) -> UInt64 {
            var columns = [Column(name: "id", typeOID: 23, typeName: "integer")]
            change(&columns)
            return Relation(
                id: RelationID(1), namespace: "s", name: name, topic: "t", replicaIdentity: .full, columns: columns,
                primaryKey: key
            ).version
        }
        let versions = [
            version(), version(name: "u"), version(key: []), version { $0[0].typeOID = 20 },
            version { $0[0].isNotNull = true }, version { $0[0].defaultExpression = "" },
            version { $0[0].defaultExpression = "1" }, version { $0.append($0[0]) }, version { $0[0].typeModifier = 4 },
            version { $0[0].attributeNumber = 2 }, version { $0[0].identity = .always },
        ]
        #expect(Set(versions).count == versions.count)
        #expect(version() == version())
    }

    /// The number is stored in other systems: it must not change from one build to the next.
    @Test func versionIsTheSameInEveryProcess() {
        let relation = Relation(
            id: RelationID(1), namespace: "public", name: "t", topic: "srv.public.t", replicaIdentity: .primaryKey,
            columns: [Column(name: "id", typeOID: 23, typeName: "integer")], primaryKey: [0])
        let bytes = encoded(relation)
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        #expect(relation.version == hash)
        #expect(relation.version == 18_033_662_037_412_048_141)
    }

    @Test func keyColumnThatIsNotThereIsRefused() {
        let relation = Relation(
            id: RelationID(1), namespace: "s", name: "t", topic: "t", replicaIdentity: .full,
            columns: [Column(name: "id", typeOID: 23, typeName: "integer")], primaryKey: [0])
        var bytes = encoded(relation)
        // The only key index, in front of the numbers of types and of computed columns.
        bytes[bytes.count - 5] = 7
        #expect(throws: MalformedRecord.self) {
            try bytes.withUnsafeBytes { bytes in
                var reader = ByteReader(bytes)
                _ = try Relation.decode(&reader)
            }
        }
    }
}
