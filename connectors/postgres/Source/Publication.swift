package import MillraceCore

/// The publication, as `ensure` left it.
package struct PublicationState: Hashable, Sendable {
    package enum Action: Hashable, Sendable {
        case none
        case created
        /// The list of tables was replaced.
        case altered
    }

    package var action: Action
    package var isForAllTables: Bool
    package var viaPartitionRoot: Bool
    /// The tables that are listed, for a publication that is not for all.
    package var tables: [TableName]
    /// Things to know that do not stop anything: operations that are not published, row filters, column lists.
    package var warnings: [String]

    package init(
        action: Action, isForAllTables: Bool, viaPartitionRoot: Bool, tables: [TableName], warnings: [String] = []
    ) {
        self.action = action
        self.isForAllTables = isForAllTables
        self.viaPartitionRoot = viaPartitionRoot
        self.tables = tables
        self.warnings = warnings
    }
}

/// `publication.name` and `publication.autocreate.mode`.
package enum Publication {
    /// Makes sure that the publication is there and publishes what is captured, as the mode allows.
    /// Throws `publication_missing` where it may not be made.
    package static func ensure(
        _ options: SourceOptions, _ connection: PostgresConnection
    ) throws(ConnectorError) -> PublicationState {
        throw ConnectorError(.bug, code: "not_implemented", "Publication.ensure")
    }
}
