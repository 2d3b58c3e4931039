import Foundation
import MillraceCore

/// Compares a table of the source with its copy: every column of every row, as text under the same session settings.
package struct TableComparison: Sendable {
    package var source: PostgresServer
    package var sourceDatabase: String
    package var target: PostgresServer
    package var targetDatabase: String

    package init(
        source: PostgresServer, sourceDatabase: String, target: PostgresServer, targetDatabase: String
    ) {
        self.source = source
        self.sourceDatabase = sourceDatabase
        self.target = target
        self.targetDatabase = targetDatabase
    }

    /// What differs, in words with the first differing rows; nil where the tables are equal. `table` and `copy` are written
    /// as in SQL (`public."Order"`). Columns are compared by name; their order does not count.
    package func difference(_ table: String, copy: String? = nil) throws -> String? {
        let copy = copy ?? table
        let columns = try self.columns(source, sourceDatabase, table)
        let copied = try self.columns(target, targetDatabase, copy)
        guard columns == copied else {
            return "\(table): columns \(columns.joined(separator: ", ")) became \(copied.joined(separator: ", "))"
        }
        let left = try digest(source, sourceDatabase, table, columns)
        let right = try digest(target, targetDatabase, copy, columns)
        guard left != right else { return nil }
        return "\(table): rows|digest \(left) became \(right)\n\(try firstDifferences(table, copy, columns))"
    }

    /// Throws what differs.
    package func requireEqual(_ table: String, copy: String? = nil) throws {
        if let difference = try difference(table, copy: copy) { throw TestFailure(difference) }
    }

    /// Rows and digest of a table: `count|md5`. Equal exactly when the rows are, whatever their order.
    package func sourceDigest(_ table: String) throws -> String {
        try digest(source, sourceDatabase, table, try columns(source, sourceDatabase, table))
    }

    package func targetDigest(_ table: String) throws -> String {
        try digest(target, targetDatabase, table, try columns(target, targetDatabase, table))
    }

    /// Quoted names, sorted; throws where there is no such table.
    private func columns(_ server: PostgresServer, _ database: String, _ table: String) throws -> [String] {
        try server.query(
            """
            select quote_ident(attname) from pg_attribute
            where attrelid = '\(table.replacing("'", with: "''"))'::regclass and attnum > 0 and not attisdropped
            order by attname collate "C"
            """, database: database
        ).split(separator: "\n").map(String.init)
    }

    private func digest(
        _ server: PostgresServer, _ database: String, _ table: String, _ columns: [String]
    ) throws -> String {
        try server.query(
            """
            select count(*), md5(coalesce(string_agg(d, '' order by d collate "C"), ''))
            from (select md5(\(rowText(columns))) as d from \(table)) as rows
            """, database: database, timeout: .seconds(300))
    }

    private func rowText(_ columns: [String]) -> String {
        "row(\(columns.joined(separator: ", ")))::text"
    }

    /// Lines of `diff`: `<` the source, `>` the copy; at most ten.
    private func firstDifferences(_ table: String, _ copy: String, _ columns: [String]) throws -> String {
        let folder = try TemporaryFolder("diff")
        defer { folder.remove() }
        for (name, server, database, relation) in [
            ("source", source, sourceDatabase, table), ("target", target, targetDatabase, copy),
        ] {
            let rows = try server.query(
                "select r from (select left(\(rowText(columns)), 2000) as r from \(relation)) as rows order by r collate \"C\"",
                database: database)
            try Data(rows.utf8).write(to: URL(fileURLWithPath: "\(folder.path)/\(name)"))
        }
        let lines = try Subprocess.run(["diff", folder.path + "/source", folder.path + "/target"], accepting: [0, 1])
        return lines.split(separator: "\n").filter { $0.hasPrefix("<") || $0.hasPrefix(">") }.prefix(10)
            .joined(separator: "\n")
    }
}
