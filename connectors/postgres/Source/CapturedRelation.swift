package import MillraceCore

/// A relation as it stands in the log, and how it is got from what the server sends.
package struct CapturedRelation: Sendable {
    /// Only the columns that are kept.
    package var relation: Relation
    /// Whether the filters let its changes into the log.
    package var isCaptured: Bool
    /// Indexes into the columns of the server's message (or of the table's published columns) that are kept, in order; nil
    /// for all, so that rows can be copied as they are.
    package var projection: [Int]?

    package init(relation: Relation, isCaptured: Bool, projection: [Int]? = nil) {
        self.relation = relation
        self.isCaptured = isCaptured
        self.projection = projection
    }
}
