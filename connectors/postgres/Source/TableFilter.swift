/// `schema` and `table` of something in the source.
package struct TableName: Hashable, Comparable, Sendable {
    package var schema: String
    package var table: String

    package init(schema: String, table: String) {
        self.schema = schema
        self.table = table
    }

    /// `schema.table`: what the lists are matched against, and what people read.
    package var qualified: String { "\(schema).\(table)" }
    /// As SQL needs it.
    var quoted: String { Quoting.qualified(schema, table) }

    package static func < (left: TableName, right: TableName) -> Bool {
        (left.schema, left.table) < (right.schema, right.table)
    }
}

/// Which tables are captured: `schema.include.list` or `schema.exclude.list`, and `table.include.list` or
/// `table.exclude.list`. A table is captured if both its schema and its `schema.table` pass.
package struct TableFilter: Sendable {
    private let schemas: NameFilter
    private let tables: NameFilter

    package init(schemas: NameFilter, tables: NameFilter) {
        self.schemas = schemas
        self.tables = tables
    }

    /// Whether every table of every schema that is not the system's is captured.
    package var isUnrestricted: Bool { schemas.isUnrestricted && tables.isUnrestricted }

    package func captures(_ name: TableName) -> Bool {
        guard !Self.isSystemSchema(name.schema) else { return false }
        return schemas.passes(name.schema) && tables.passes(name.qualified)
    }

    /// The same for a partition whose changes appear under its own name: it goes with the tables that it is a part of, so
    /// that a partition that is added later is not lost. With a list of tables to include, one of them suffices; otherwise
    /// none of them may be excluded.
    package func captures(_ name: TableName, ancestors: [TableName]) -> Bool {
        guard !ancestors.isEmpty else { return captures(name) }
        if tables.hasIncludeList { return captures(name) || ancestors.contains { captures($0) } }
        return captures(name) && ancestors.allSatisfy { captures($0) }
    }

    /// Schemas of the server itself. Names that begin with `pg_` are reserved for it, temporary schemas included.
    package static func isSystemSchema(_ schema: String) -> Bool {
        schema.hasPrefix("pg_") || schema == "information_schema"
    }
}
