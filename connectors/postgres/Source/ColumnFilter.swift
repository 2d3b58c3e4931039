package import MillraceCore

/// Which columns are kept: `column.include.list` or `column.exclude.list`, matched against `schema.table.column`.
///
/// Columns of the primary key and of the replica identity (unless that is FULL) are always kept: without them no sink
/// could find the row that a change is about.
package struct ColumnFilter: Sendable {
    private let names: NameFilter

    package init(_ names: NameFilter) {
        self.names = names
    }

    package var isUnrestricted: Bool { names.isUnrestricted }

    /// Whether the lists keep `schema.table.column`.
    func passes(_ name: String) -> Bool {
        isUnrestricted || names.passes(name)
    }

    /// Indexes of the columns of `relation` that are kept, in order; nil for all of them.
    package func projection(of relation: Relation) -> [Int]? {
        if isUnrestricted { return nil }
        let key = Set(relation.primaryKey)
        let kept = relation.columns.indices.filter { index in
            let column = relation.columns[index]
            let identifies = column.isReplicaIdentity && relation.replicaIdentity != .full
            return identifies || key.contains(index) || names.passes("\(relation.qualifiedName).\(column.name)")
        }
        return kept.count == relation.columns.count ? nil : kept
    }

    /// `relation` with only the columns at `kept`, and the types that these use.
    package static func project(_ relation: Relation, to kept: [Int]) -> Relation {
        var newIndex: [Int: Int] = [:]
        for (new, old) in kept.enumerated() { newIndex[old] = new }
        let columns = kept.map { relation.columns[$0] }
        // A key of which a column is not there is none. The filter keeps them, so this is for other callers.
        let key = relation.primaryKey.compactMap { newIndex[$0] }
        return Relation(
            id: relation.id, namespace: relation.namespace, name: relation.name, topic: relation.topic,
            replicaIdentity: relation.replicaIdentity, columns: columns,
            primaryKey: key.count == relation.primaryKey.count ? key : [],
            types: relation.types, computedColumns: relation.computedColumns)
    }
}
