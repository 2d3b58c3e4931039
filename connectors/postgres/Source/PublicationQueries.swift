internal import MillraceCore

/// What the server says of a publication.
struct PublicationRow {
    var oid: String
    var isForAllTables: Bool
    var viaPartitionRoot: Bool
    /// Operations that are not published, in Debezium's words: "inserts" ….
    var missingOperations: [String]
    /// `publish_generated_columns = stored` (18).
    var publishesGeneratedColumns: Bool

    /// Nil where there is no such publication.
    static func read(_ name: String, _ connection: PostgresConnection) throws(PostgresError) -> PublicationRow? {
        let generated = connection.serverVersion >= 180_000 ? "pubgencols = 's'" : "false"
        let result = try connection.execute(
            "SELECT oid, puballtables, pubviaroot, pubinsert, pubupdate, pubdelete, pubtruncate, \(generated)"
                + " FROM pg_publication WHERE pubname = $1", [name], "read the publication")
        guard let row = result.rows.first, row.count == 8 else { return nil }
        let operations = ["insert", "update", "delete", "truncate"]
        return PublicationRow(
            oid: row[0] ?? "0", isForAllTables: row[1] == "t", viaPartitionRoot: row[2] == "t",
            missingOperations: operations.indices.filter { row[3 + $0] != "t" }.map { operations[$0] },
            publishesGeneratedColumns: row[7] == "t")
    }

    /// The tables whose names appear in the stream: roots or leaf partitions, as the publication is set.
    func publishedTables(_ name: String, _ connection: PostgresConnection) throws(PostgresError) -> Set<TableName> {
        let result = try connection.execute(
            "SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = $1", [name],
            "read the publication's tables")
        return Set(result.rows.map { TableName(schema: $0[0] ?? "", table: $0[1] ?? "") })
    }

    /// The tables that were listed when it was made or altered (not those that come with a schema).
    func listedTables(_ connection: PostgresConnection) throws(PostgresError) -> Set<TableName> {
        let result = try connection.execute(
            "SELECT n.nspname, c.relname FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid"
                + " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.prpubid = $1", [oid],
            "read the publication's tables")
        return Set(result.rows.map { TableName(schema: $0[0] ?? "", table: $0[1] ?? "") })
    }

    /// A column list or row filter of one table in the publication (15 and later).
    struct Restriction {
        var columns: Set<Int16>?
        var rowFilter: String?
    }

    /// By the table's OID. A table that is published with its schema too has none.
    func restrictions(_ connection: PostgresConnection) throws(PostgresError) -> [UInt32: Restriction] {
        guard connection.serverVersion >= 150_000 else { return [:] }
        let result = try connection.execute(
            """
            SELECT r.prrelid, r.prattrs::text, pg_get_expr(r.prqual, r.prrelid)
            FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid
            WHERE r.prpubid = $1 AND (r.prattrs IS NOT NULL OR r.prqual IS NOT NULL)
            AND NOT EXISTS (SELECT FROM pg_publication_namespace s WHERE s.pnpubid = r.prpubid
                AND s.pnnspid = c.relnamespace)
            """, [oid], "read the publication's tables")
        var restrictions: [UInt32: Restriction] = [:]
        for row in result.rows {
            guard let oid = row[0].flatMap({ UInt32($0) }) else { continue }
            let columns = row[1].map { Set($0.split(separator: " ").compactMap { Int16($0) }) }
            restrictions[oid] = Restriction(columns: columns, rowFilter: row[2])
        }
        return restrictions
    }
}
