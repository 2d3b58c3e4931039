internal import Logging
internal import MillraceCore

/// Changes of one table. Plain numbers: kept by the thread that receives, copied to the status now and then.
struct TableCounts: Hashable, Sendable {
    var inserts: UInt64 = 0
    var updates: UInt64 = 0
    var deletes: UInt64 = 0
    var truncates: UInt64 = 0
    var bytes: UInt64 = 0

    @inline(__always)
    mutating func count(_ kind: UInt8, _ byteCount: Int) {
        switch kind {
        case PgOutputKind.insert: inserts &+= 1
        case PgOutputKind.update: updates &+= 1
        case PgOutputKind.delete: deletes &+= 1
        default: truncates &+= 1
        }
        bytes &+= UInt64(byteCount)
    }

    mutating func add(_ other: TableCounts) {
        inserts &+= other.inserts
        updates &+= other.updates
        deletes &+= other.deletes
        truncates &+= other.truncates
        bytes &+= other.bytes
    }
}

/// What the assembler counts. Survives reconnects.
struct SourceCounts: Sendable {
    struct Table: Sendable {
        var id: UInt32
        var name: String
        var topic: String
        var isCaptured: Bool
    }

    var transactions: UInt64 = 0
    var lastCommitTime: Timestamp?
    var lastXID: UInt32 = 0
    /// By the relation's index in `RelationTable`, both.
    private(set) var tables: [Table] = []
    private(set) var changes: [TableCounts] = []
    /// Why a table's copy is no longer its equal, by relation id.
    var stale: [UInt32: String] = [:]

    mutating func name(_ index: Int, _ captured: CapturedRelation) {
        let relation = captured.relation
        let table = Table(
            id: relation.id.value, name: relation.qualifiedName, topic: relation.topic, isCaptured: captured.isCaptured)
        if index < tables.count {
            tables[index] = table
        } else {
            tables.append(table)
            changes.append(TableCounts())
        }
    }

    @inline(__always)
    mutating func count(_ kind: UInt8, _ index: Int, _ byteCount: Int) {
        changes[index].count(kind, byteCount)
    }

    mutating func add(_ counts: TableCounts, _ index: Int) {
        changes[index].add(counts)
    }
}

/// What is shown of the source: written by its thread, read by any.
final class SourceStatusBoard: Sendable {
    private struct Board {
        var status = SourceStatus(phase: .starting)
        var counts = SourceCounts()
        /// Tables that the full load was begun with, by OID.
        var loadTables: [UInt32: (name: String, topic: String)] = [:]
    }

    private let board = Monitor(Board())
    private let logger: Logger?
    let progress = SnapshotProgress()

    init(_ logger: Logger? = nil) {
        self.logger = logger
    }

    func update(_ change: (inout SourceStatus) -> Void) {
        board.update { change(&$0.status) }
    }

    func set(_ counts: SourceCounts) {
        let known = board.update { board in
            defer { board.counts = counts }
            return board.counts.stale
        }
        guard counts.stale != known else { return }
        for table in counts.tables {
            guard let reason = counts.stale[table.id], known[table.id] == nil else { continue }
            logger?.error(
                "a table is stale: it needs a new full load",
                metadata: ["table": "\(table.name)", "reason": "\(reason)"])
        }
    }

    func setLoadTables(_ tables: [CapturedTable]) {
        board.update { board in
            for table in tables {
                board.loadTables[table.oid] = (table.name.qualified, table.relation.relation.topic)
            }
        }
    }

    /// Everything together, tables by name.
    func read() -> SourceStatus {
        var (status, counts, loadTables) = board.read { ($0.status, $0.counts, $0.loadTables) }
        status.transactions = counts.transactions
        status.lastCommitTime = counts.lastCommitTime
        status.lastXID = counts.lastXID
        var tables: [UInt32: SourceStatus.Table] = [:]
        for (oid, loaded) in progress.read() {
            let topic = loadTables[oid]?.topic ?? ""
            tables[oid] = SourceStatus.Table(
                name: loaded.name.qualified, topic: topic, state: loaded.state, rowsLoaded: loaded.rowsLoaded,
                rowsEstimated: loaded.rowsEstimated, bytes: loaded.bytes)
        }
        for (index, table) in counts.tables.enumerated() where table.isCaptured {
            Self.merge(table, counts.changes[index], stale: counts.stale[table.id], into: &tables[table.id])
        }
        status.tables = tables.values.sorted { $0.name < $1.name }
        return status
    }

    private static func merge(
        _ table: SourceCounts.Table, _ changes: TableCounts, stale: String?, into merged: inout SourceStatus.Table?
    ) {
        var result = merged ?? SourceStatus.Table(name: table.name, topic: table.topic, state: .streaming)
        result.name = table.name
        result.topic = table.topic
        result.inserts = changes.inserts
        result.updates = changes.updates
        result.deletes = changes.deletes
        result.truncates = changes.truncates
        result.bytes &+= changes.bytes
        if let stale {
            result.state = .stale
            result.remark = stale
        }
        merged = result
    }
}
