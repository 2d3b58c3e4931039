/// The number by which row records name their relation: the source's `pg_class.oid`.
package struct RelationID: Hashable, Sendable {
    package var value: UInt32

    @inlinable
    package init(_ value: UInt32) {
        self.value = value
    }
}

/// How a table identifies its old rows (`pg_class.relreplident`).
package enum ReplicaIdentity: UInt8, Sendable {
    case primaryKey = 0x64  // 'd'
    case nothing = 0x6E  // 'n'
    case full = 0x66  // 'f'
    case index = 0x69  // 'i'
}

/// One column of a relation, in the order of its tuples.
package struct Column: Hashable, Sendable {
    package enum Identity: UInt8, Sendable {
        case none = 0
        case always = 0x61  // 'a'
        case byDefault = 0x64  // 'd'
    }

    package var name: String
    /// `pg_attribute.attnum`, which survives a rename; 0 where it could not be found out.
    package var attributeNumber: Int16
    package var typeOID: UInt32
    /// `pg_attribute.atttypmod`; -1 for none.
    package var typeModifier: Int32
    /// The type as SQL writes it, schema-qualified but for `pg_catalog`: `numeric(10,2)`, `public.mood[]`.
    package var typeName: String
    package var isNotNull: Bool
    /// Part of the replica identity: present in the old tuple of updates and deletes.
    package var isReplicaIdentity: Bool
    /// A stored generated column (`attgenerated`): present in full loads, absent from the stream of servers before 18.
    package var isGenerated: Bool
    package var identity: Identity
    /// `pg_get_expr` of the default or the generation expression; nil for none.
    package var defaultExpression: String?

    package init(
        name: String, attributeNumber: Int16 = 0, typeOID: UInt32, typeModifier: Int32 = -1, typeName: String,
        isNotNull: Bool = false, isReplicaIdentity: Bool = false, isGenerated: Bool = false, identity: Identity = .none,
        defaultExpression: String? = nil
    ) {
        self.name = name
        self.attributeNumber = attributeNumber
        self.typeOID = typeOID
        self.typeModifier = typeModifier
        self.typeName = typeName
        self.isNotNull = isNotNull
        self.isReplicaIdentity = isReplicaIdentity
        self.isGenerated = isGenerated
        self.identity = identity
        self.defaultExpression = defaultExpression
    }
}

/// A type that is not built into every server: enough to create it elsewhere and to write its values.
package struct TypeDefinition: Hashable, Sendable {
    package struct Field: Hashable, Sendable {
        package var name: String
        package var typeName: String

        package init(name: String, typeName: String) {
            self.name = name
            self.typeName = typeName
        }
    }

    package enum Kind: Hashable, Sendable {
        /// Labels in sort order.
        case enumeration(labels: [String])
        /// `constraints` as `pg_get_constraintdef` prints them, in order of their names.
        case domain(baseOID: UInt32, baseTypeName: String, isNotNull: Bool, constraints: [String])
        case composite(fields: [Field])
        case range(subtypeName: String)
        case array(elementOID: UInt32)
        /// Member of an extension, which creates it.
        case extensionMember(extensionName: String)
        case other
    }

    package var oid: UInt32
    package var namespace: String
    package var name: String
    package var kind: Kind

    package init(oid: UInt32, namespace: String, name: String, kind: Kind) {
        self.oid = oid
        self.namespace = namespace
        self.name = name
        self.kind = kind
    }
}

/// A table as the source described it at one place in the log. Immutable: a change of the table is a new `Relation` with
/// the same `id` and another `version`.
package final class Relation: Sendable {
    package let id: RelationID
    package let namespace: String
    package let name: String
    /// Topic that the changes belong to: `<topic.prefix>.<schema>.<table>`.
    package let topic: String
    package let replicaIdentity: ReplicaIdentity
    package let columns: [Column]
    /// Indexes into `columns`, in the order of the primary key; empty for a table without one.
    package let primaryKey: [Int]
    /// The types that `columns` use and that are not built in, each after those that it depends on.
    package let types: [TypeDefinition]
    /// Generated columns that the source computes and does not send: they have no place in tuples. A copy of the table
    /// computes them too.
    package let computedColumns: [Column]
    /// Hash of everything above: equal versions are equal definitions, across restarts too.
    package let version: UInt64

    package init(
        id: RelationID, namespace: String, name: String, topic: String, replicaIdentity: ReplicaIdentity,
        columns: [Column], primaryKey: [Int], types: [TypeDefinition] = [], computedColumns: [Column] = []
    ) {
        self.id = id
        self.namespace = namespace
        self.name = name
        self.topic = topic
        self.replicaIdentity = replicaIdentity
        self.columns = columns
        self.primaryKey = primaryKey
        self.types = types
        self.computedColumns = computedColumns
        self.version = Relation.hash(
            id: id, namespace: namespace, name: name, topic: topic, replicaIdentity: replicaIdentity, columns: columns,
            primaryKey: primaryKey, types: types, computedColumns: computedColumns)
    }

    /// `schema.table`, for people.
    package var qualifiedName: String { "\(namespace).\(name)" }

    /// The columns that identify an old row in updates and deletes: those that the source marked.
    package var identityColumns: [Int] {
        columns.indices.filter { columns[$0].isReplicaIdentity }
    }
}
