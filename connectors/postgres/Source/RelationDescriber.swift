package import MillraceCore

/// Adds to pgoutput's Relation messages what only the catalog knows. Used by one thread.
package final class RelationDescriber {
    private let options: SourceOptions

    package init(_ options: SourceOptions) {
        self.options = options
    }

    /// The relation that `message` is about. `previous`: what was known of it before.
    package func describe(
        _ message: PgOutputRelation, previous: CapturedRelation?
    ) throws(ConnectorError) -> CapturedRelation {
        throw ConnectorError(.bug, code: "not_implemented", "RelationDescriber.describe")
    }
}
