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
    /// The tables under whose names changes are published now; captured or not.
    package var tables: Set<TableName>
    /// Things to know that do not stop anything: operations that are not published.
    package var warnings: [String]

    package init(
        action: Action, isForAllTables: Bool, viaPartitionRoot: Bool, tables: Set<TableName>, warnings: [String] = []
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
    /// Makes sure that the publication is there and publishes what is captured, as the mode allows. Must come before the
    /// slot is created: a slot cannot read a publication that is younger than itself.
    ///
    /// Throws `publication_missing` where it may not be made, `no_table` where the mode `filtered` finds nothing to
    /// publish, and what the server says.
    package static func ensure(
        _ options: SourceOptions, _ connection: PostgresConnection
    ) throws(ConnectorError) -> PublicationState {
        do {
            let name = options.publicationName
            var action = PublicationState.Action.none
            if let row = try PublicationRow.read(name, connection) {
                if options.publicationAutocreateMode == .filtered, try alter(row, options, connection) {
                    action = .altered
                }
            } else {
                try connection.execute(try createStatement(options, connection), "create the publication \(name)")
                action = .created
            }
            return try state(options, connection, action)
        } catch let error as PostgresError {
            throw error.connectorError
        } catch let error as ConnectorError {
            throw error
        } catch {
            throw ConnectorError(.bug, code: "unexpected_error", "\(error)")
        }
    }

    private static func state(
        _ options: SourceOptions, _ connection: PostgresConnection, _ action: PublicationState.Action
    ) throws -> PublicationState {
        guard let row = try PublicationRow.read(options.publicationName, connection) else { throw missing(options) }
        return PublicationState(
            action: action, isForAllTables: row.isForAllTables, viaPartitionRoot: row.viaPartitionRoot,
            tables: try row.publishedTables(options.publicationName, connection),
            warnings: warnings(row, options))
    }

    static func warnings(_ row: PublicationRow, _ options: SourceOptions) -> [String] {
        let skipped = options.skippedOperations
        let wanted = row.missingOperations.filter { operation in
            switch operation {
            case "insert": !skipped.contains(.insert)
            case "update": !skipped.contains(.update)
            case "delete": !skipped.contains(.delete)
            default: !skipped.contains(.truncate)
            }
        }
        guard !wanted.isEmpty else { return [] }
        let name = Quoting.identifier(options.publicationName)
        return [
            "the publication \(options.publicationName) does not publish \(wanted.joined(separator: ", ")); to change that: "
                + "ALTER PUBLICATION \(name) SET (publish = 'insert, update, delete, truncate');"
        ]
    }

    // MARK: Statements

    /// Throws `publication_missing` for the mode `disabled`.
    static func createStatement(
        _ options: SourceOptions, _ connection: PostgresConnection
    ) throws -> String {
        let create = "CREATE PUBLICATION \(Quoting.identifier(options.publicationName))"
        let settings = options.publishViaPartitionRoot ? " WITH (publish_via_partition_root = true)" : ""
        switch options.publicationAutocreateMode {
        case .disabled: throw missing(options)
        case .noTables: return create + settings
        case .allTables: return create + " FOR ALL TABLES" + settings
        case .filtered:
            return create + " FOR TABLE " + tableList(try wantedTables(options, connection)) + settings
        }
    }

    private static func alter(
        _ row: PublicationRow, _ options: SourceOptions, _ connection: PostgresConnection
    ) throws -> Bool {
        // What is for all tables already has ours; PostgreSQL cannot turn it into a list.
        if row.isForAllTables { return false }
        let wanted = try wantedTables(options, connection)
        if try row.listedTables(connection) == Set(wanted) { return false }
        try connection.execute(
            "ALTER PUBLICATION \(Quoting.identifier(options.publicationName)) SET TABLE \(tableList(wanted))",
            "alter the publication \(options.publicationName)")
        return true
    }

    /// `ONLY`, so that tables that inherit are published exactly if they are captured themselves; partitions always come
    /// with their root.
    private static func tableList(_ tables: [TableName]) -> String {
        tables.map { "ONLY \($0.quoted)" }.joined(separator: ", ")
    }

    /// The captured tables without the partitions of those that are in the list themselves.
    static func wantedTables(_ options: SourceOptions, _ connection: PostgresConnection) throws -> [TableName] {
        let list = try TableList.read(connection)
        let captured = list.captured(options.tables)
        let names = Set(captured.map(\.name))
        let wanted = captured.filter { entry in !list.ancestors(of: entry.oid).contains { names.contains($0) } }
        guard !wanted.isEmpty else { throw noTable(options) }
        return wanted.map(\.name)
    }

    // MARK: Errors

    static func missing(_ options: SourceOptions) -> ConnectorError {
        let name = options.publicationName
        return ConnectorError(
            .configuration, code: "publication_missing",
            "the publication \(name) does not exist and publication.autocreate.mode is disabled",
            hint:
                "CREATE PUBLICATION \(Quoting.identifier(name)) FOR ALL TABLES; or FOR TABLE with the captured tables; "
                + "or set publication.autocreate.mode to filtered or all_tables")
    }

    static func noTable(_ options: SourceOptions) -> ConnectorError {
        ConnectorError(
            .configuration, code: "no_table",
            "no table of the database \(options.databaseName) is captured",
            hint: "change table.include.list or table.exclude.list: regular expressions for whole names schema.table")
    }
}
