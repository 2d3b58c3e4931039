/// pgoutput's Relation message: a table as it was when the changes that follow were made.
package struct PgOutputRelation: Hashable, Sendable {
    package struct Column: Hashable, Sendable {
        /// Part of the replica identity.
        package var isKey: Bool
        package var name: String
        package var typeOID: UInt32
        package var typeModifier: Int32

        package init(isKey: Bool, name: String, typeOID: UInt32, typeModifier: Int32) {
            self.isKey = isKey
            self.name = name
            self.typeOID = typeOID
            self.typeModifier = typeModifier
        }
    }

    package var oid: UInt32
    package var namespace: String
    package var name: String
    /// `pg_class.relreplident`.
    package var replicaIdentity: UInt8
    package var columns: [Column]

    package init(oid: UInt32, namespace: String, name: String, replicaIdentity: UInt8, columns: [Column]) {
        self.oid = oid
        self.namespace = namespace
        self.name = name
        self.replicaIdentity = replicaIdentity
        self.columns = columns
    }
}
