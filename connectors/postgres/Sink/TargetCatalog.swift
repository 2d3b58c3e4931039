internal import MillraceCore

/// What the target's catalog says of a table.
struct TargetCatalog {
    struct TableColumn {
        var name: String
        var typeName: String
        var castType: String
        var isGenerated: Bool
        var isNotNull: Bool
        var ownsSequence: Bool
        /// First column of an index: its largest value is found at once.
        var leadsIndex: Bool
        var hasExactEquality: Bool
    }

    var columns: [String: TableColumn]
    /// Sets of columns that a usable unique index covers.
    var uniqueKeys: Set<Set<String>>
    /// Name and columns of the primary key.
    var primaryKey: (name: String, columns: [String])?

    /// Nil where there is no such table.
    static func read(
        _ name: TargetNameFormat.Name, _ connection: PostgresConnection
    ) throws(PostgresError) -> TargetCatalog? {
        let oid = try connection.execute(
            """
            SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'f', 'v')
            """, [name.namespace, name.table], "look for \(name.description)"
        ).scalar
        guard let oid else { return nil }
        let rows = try connection.execute(
            """
            SELECT a.attname, format_type(a.atttypid, a.atttypmod), format_type(a.atttypid, -1), a.attgenerated <> '',
                a.attnotnull,
                a.attidentity <> '' OR EXISTS (SELECT FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
                    WHERE d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i')
                        AND d.classid = 'pg_class'::regclass),
                a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'oid'::regtype, 'bool'::regtype,
                    'uuid'::regtype, 'date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype, 'time'::regtype,
                    'bytea'::regtype, 'bpchar'::regtype)
                    OR a.atttypid IN ('text'::regtype, 'varchar'::regtype)
                        AND COALESCE((SELECT collisdeterministic FROM pg_collation l WHERE l.oid = a.attcollation), true),
                EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indkey[0] = a.attnum)
            FROM pg_attribute a WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
            """, [oid], "read the columns of \(name.description)"
        ).rows
        var columns: [String: TableColumn] = [:]
        for row in rows where row.count == 8 {
            guard let column = row[0] else { continue }
            columns[column] = TableColumn(
                name: column, typeName: row[1] ?? "", castType: row[2] ?? "text", isGenerated: row[3] == "t",
                isNotNull: row[4] == "t", ownsSequence: row[5] == "t",
                leadsIndex: row[7] == "t", hasExactEquality: row[6] == "t")
        }
        var catalog = TargetCatalog(columns: columns, uniqueKeys: [], primaryKey: nil)
        try catalog.readKeys(oid, name, connection)
        return catalog
    }

    private mutating func readKeys(
        _ oid: String, _ name: TargetNameFormat.Name, _ connection: PostgresConnection
    ) throws(PostgresError) {
        let keys = try connection.execute(
            """
            SELECT i.indisprimary, i.indexrelid, ic.relname, a.attname
            FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid
                CROSS JOIN LATERAL unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k(attnum, place)
                JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
            WHERE i.indrelid = $1::oid AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL
                AND i.indexprs IS NULL ORDER BY i.indexrelid, k.place
            """, [oid], "read the keys of \(name.description)"
        ).rows
        var byIndex: [String: [String]] = [:]
        for row in keys where row.count == 4 {
            guard let index = row[1], let column = row[3] else { continue }
            byIndex[index, default: []].append(column)
            if row[0] == "t" { primaryKey = (row[2] ?? "", byIndex[index] ?? []) }
        }
        uniqueKeys = Set(byIndex.values.map { Set($0) })
    }
}
