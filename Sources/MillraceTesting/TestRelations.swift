package import MillraceCore

extension Column {
    package static func int4(_ name: String, key: Bool = false) -> Column {
        Column(name: name, typeOID: 23, typeName: "integer", isNotNull: key, isReplicaIdentity: key)
    }

    package static func int8(_ name: String, key: Bool = false) -> Column {
        Column(name: name, typeOID: 20, typeName: "bigint", isNotNull: key, isReplicaIdentity: key)
    }

    package static func text(_ name: String, key: Bool = false) -> Column {
        Column(name: name, typeOID: 25, typeName: "text", isNotNull: key, isReplicaIdentity: key)
    }
}

extension Relation {
    /// A table for a test. Columns marked `key: true` are the primary key; attribute numbers count from 1.
    package static func table(
        _ id: UInt32, _ name: String, schema: String = "public", topicPrefix: String = "srv",
        replicaIdentity: ReplicaIdentity = .primaryKey, _ columns: [Column]
    ) -> Relation {
        var columns = columns
        for index in columns.indices where columns[index].attributeNumber == 0 {
            columns[index].attributeNumber = Int16(index + 1)
        }
        return Relation(
            id: RelationID(id), namespace: schema, name: name, topic: "\(topicPrefix).\(schema).\(name)",
            replicaIdentity: replicaIdentity, columns: columns,
            primaryKey: columns.indices.filter { columns[$0].isReplicaIdentity && replicaIdentity == .primaryKey })
    }
}
