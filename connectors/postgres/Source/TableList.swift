internal import MillraceCore

/// All tables of the database that could be captured, with the partition tree that they form.
struct TableList {
    struct Entry {
        var oid: UInt32
        var name: TableName
        /// 'r', 'p'; 'f' for a foreign table that is a partition.
        var kind: UInt8
        /// 'p' permanent, 'u' unlogged.
        var persistence: UInt8
        var parent: UInt32?
        var replicaIdentity: UInt8
        /// Whether there is what the replica identity needs: a primary key that is not deferrable, an index.
        var hasIdentity: Bool
        /// Whether our role may read all of its columns, or at least some.
        var isReadable: Bool
        var isPartlyReadable: Bool
        /// Whether our role owns it, as one must who puts it into a publication.
        var isOwned: Bool
        var blocks: UInt64
        var isHeap: Bool
        var hasGeneratedColumns: Bool
    }

    private(set) var entries: [UInt32: Entry] = [:]
    private var children: [UInt32: [UInt32]] = [:]

    /// One query, by the snapshot of `connection`'s transaction. Sizes cost a system call per table, and wait for tables
    /// that are locked by an ALTER TABLE; without them all are 0.
    static func read(_ connection: PostgresConnection, withSizes: Bool = false) throws(PostgresError) -> TableList {
        let size =
            withSizes
            ? "CASE WHEN c.relkind = 'r' THEN pg_relation_size(c.oid) / current_setting('block_size')::int END" : "0"
        let result = try connection.execute(
            """
            SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, i.inhparent, c.relreplident,
                EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisvalid AND x.indimmediate
                    AND CASE c.relreplident WHEN 'd' THEN x.indisprimary WHEN 'i' THEN x.indisreplident END),
                has_schema_privilege(c.relnamespace, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'),
                has_schema_privilege(c.relnamespace, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT'),
                pg_has_role(c.relowner, 'USAGE'),
                \(size),
                coalesce(m.amname = 'heap', false),
                EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attgenerated <> ''
                    AND NOT a.attisdropped)
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_inherits i ON c.relispartition AND i.inhrelid = c.oid
            LEFT JOIN pg_am m ON m.oid = c.relam
            WHERE (c.relkind IN ('r', 'p') OR c.relkind = 'f' AND c.relispartition) AND c.relpersistence <> 't'
            AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
            """, "list the tables")
        var list = TableList()
        for row in result.rows where row.count == 14 { list.take(row) }
        return list
    }

    private mutating func take(_ row: [String?]) {
        func byte(_ index: Int) -> UInt8 { row[index]?.utf8.first ?? 0 }
        guard let oid = row[0].flatMap({ UInt32($0) }) else { return }
        let parent = row[5].flatMap { UInt32($0) }
        entries[oid] = Entry(
            oid: oid, name: TableName(schema: row[1] ?? "", table: row[2] ?? ""), kind: byte(3), persistence: byte(4),
            parent: parent, replicaIdentity: byte(6), hasIdentity: row[7] == "t", isReadable: row[8] == "t",
            isPartlyReadable: row[9] == "t", isOwned: row[10] == "t", blocks: row[11].flatMap { UInt64($0) } ?? 0,
            isHeap: row[12] == "t", hasGeneratedColumns: row[13] == "t")
        if let parent { children[parent, default: []].append(oid) }
    }

    /// The tables that a partition is part of, the nearest first.
    func ancestors(of oid: UInt32) -> [TableName] {
        var names: [TableName] = []
        var next = entries[oid]?.parent
        while let parent = next, let entry = entries[parent], names.count < entries.count {
            names.append(entry.name)
            next = entry.parent
        }
        return names
    }

    /// The table itself, or the partitions of it that hold rows, in order of their names. Foreign tables are left out:
    /// the stream has no changes of them either.
    func leaves(of oid: UInt32) -> [CapturedTable.Leaf] {
        guard let entry = entries[oid] else { return [] }
        if entry.kind == UInt8(ascii: "r") {
            return [
                CapturedTable.Leaf(oid: oid, name: entry.name, blocks: entry.blocks, hasTupleIDs: entry.isHeap)
            ]
        }
        return (children[oid] ?? []).flatMap { leaves(of: $0) }.sorted { $0.name.qualified < $1.name.qualified }
    }

    func isCaptured(_ entry: Entry, _ filter: TableFilter) -> Bool {
        filter.captures(entry.name, ancestors: ancestors(of: entry.oid))
    }

    /// The captured tables that changes can be published of, sorted by name.
    func captured(_ filter: TableFilter) -> [Entry] {
        entries.values.filter {
            $0.kind != UInt8(ascii: "f") && $0.persistence == UInt8(ascii: "p") && isCaptured($0, filter)
        }.sorted { $0.name < $1.name }
    }
}
