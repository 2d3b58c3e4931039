/// A table that is captured, as the catalog has it: what the full load reads.
package struct CapturedTable: Sendable {
    /// A part of the table that holds rows itself: the table, or a leaf partition of it.
    package struct Leaf: Sendable {
        package var oid: UInt32
        package var name: TableName
        /// Size in blocks of 8 KiB (`BLCKSZ`); more may have been added since.
        package var blocks: UInt64
        /// Whether rows can be found by `ctid`: not in a foreign table, nor by another access method than heap.
        package var hasTupleIDs: Bool

        package init(oid: UInt32, name: TableName, blocks: UInt64, hasTupleIDs: Bool) {
            self.oid = oid
            self.name = name
            self.blocks = blocks
            self.hasTupleIDs = hasTupleIDs
        }
    }

    package var oid: UInt32
    package var name: TableName
    /// `pg_class.relkind`: 'r' or 'p'.
    package var kind: UInt8
    package var relation: CapturedRelation
    package var leaves: [Leaf]
    /// Condition of the publication that rows must meet to be published; nil for none.
    package var rowFilter: String?
    /// `reltuples`; nil where the table was never analysed.
    package var estimatedRows: UInt64?

    package init(
        oid: UInt32, name: TableName, kind: UInt8, relation: CapturedRelation, leaves: [Leaf],
        rowFilter: String? = nil, estimatedRows: UInt64? = nil
    ) {
        self.oid = oid
        self.name = name
        self.kind = kind
        self.relation = relation
        self.leaves = leaves
        self.rowFilter = rowFilter
        self.estimatedRows = estimatedRows
    }

    package var blocks: UInt64 { leaves.reduce(0) { $0 + $1.blocks } }
}
