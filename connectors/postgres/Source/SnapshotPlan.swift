internal import MillraceCore

/// The pieces in which the full load reads the tables, in the order in which they are begun.
struct SnapshotPlan {
    /// What one COPY reads.
    struct Piece {
        /// Index into the tables.
        var table: Int
        var leaf: CapturedTable.Leaf
        /// Whether the leaf is read in several pieces, so that its rows must stay where they are.
        var isPartOfLeaf: Bool
        var sql: String
    }

    private(set) var pieces: [Piece] = []
    /// By table; 0 for a partitioned table without partitions.
    private(set) var pieceCounts: [Int]

    /// Leaves above this size are split: 64 MiB of pages.
    static let splitBlocks: UInt64 = 8192

    /// `serverVersion`: scans of ctid ranges exist since 14; before, each piece would read the whole table.
    init(_ tables: [CapturedTable], options: SourceOptions, serverVersion: Int, splitBlocks: UInt64 = Self.splitBlocks)
    {
        pieceCounts = Array(repeating: 0, count: tables.count)
        let mayHaveRanges = options.snapshotThreads > 1 && options.snapshotSplitsTables && serverVersion >= 140_000
        for (index, table) in tables.enumerated() {
            if let override = options.snapshotOverrides[table.name] {
                if let leaf = table.leaves.first {
                    let sql = Self.copyOverride(override, table)
                    pieces.append(Piece(table: index, leaf: leaf, isPartOfLeaf: false, sql: sql))
                    pieceCounts[index] = 1
                }
                continue
            }
            for leaf in table.leaves {
                let ranges =
                    mayHaveRanges && leaf.hasTupleIDs
                    ? Self.ranges(leaf.blocks, threads: options.snapshotThreads, splitBlocks) : [nil]
                for range in ranges {
                    let sql = Self.copy(table, leaf, range)
                    pieces.append(Piece(table: index, leaf: leaf, isPartOfLeaf: ranges.count > 1, sql: sql))
                }
                pieceCounts[index] += ranges.count
            }
        }
    }

    /// Conditions on `ctid`. The last range is open: blocks may have been added since they were counted.
    private static func ranges(_ blocks: UInt64, threads: Int, _ splitBlocks: UInt64) -> [String?] {
        guard blocks > splitBlocks else { return [nil] }
        // Some pieces per thread, so that all end at about the same time; a piece of a gigabyte is long enough for progress.
        let size = min(max(blocks / UInt64(threads * 4), splitBlocks), 131_072)
        var ranges: [String?] = []
        var start: UInt64 = 0
        while start < blocks {
            let isLast = start + size >= blocks
            let upper = isLast ? "" : " AND ctid < '(\(start + size),0)'::pg_catalog.tid"
            ranges.append("ctid >= '(\(start),0)'::pg_catalog.tid" + upper)
            start += size
        }
        return ranges
    }

    private static func copy(_ table: CapturedTable, _ leaf: CapturedTable.Leaf, _ range: String?) -> String {
        let columns = table.relation.relation.columns
        let conditions = [range, table.rowFilter.map { "(\($0))" }].compactMap { $0 }
        let list = columns.map { Quoting.identifier($0.name) }.joined(separator: ", ")
        // COPY of a table reads it without the executor, but not its generated columns.
        if conditions.isEmpty, !columns.isEmpty, !columns.contains(where: \.isGenerated), leaf.hasTupleIDs {
            return "COPY \(leaf.name.quoted) (\(list)) TO STDOUT"
        }
        let filter = conditions.isEmpty ? "" : " WHERE " + conditions.joined(separator: " AND ")
        return "COPY (SELECT \(list) FROM ONLY \(leaf.name.quoted)\(filter)) TO STDOUT"
    }

    private static func copyOverride(_ statement: String, _ table: CapturedTable) -> String {
        var statement = statement.trimmed
        while statement.hasSuffix(";") { statement = String(statement.dropLast()).trimmed }
        let list = table.relation.relation.columns.map { Quoting.identifier($0.name) }.joined(separator: ", ")
        return "COPY (SELECT \(list) FROM (\(statement)) AS millrace_load) TO STDOUT"
    }
}
