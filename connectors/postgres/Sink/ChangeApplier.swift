internal import Logging
internal import MillraceCore

/// Applies stretches of the log to the target, inside a target transaction that its owner opens and ends.
///
/// Walks the records once, collects each table's changes and writes them when the stretch is over, or earlier where the
/// order matters: before a table's definition changes, before it is truncated or loaded.
final class ChangeApplier {
    let connection: PostgresConnection
    let options: SinkOptions
    let ledger: SinkLedger
    let database: String
    /// The log that is being read.
    let ledgerLogID: UInt64
    let logger: Logger
    let pipeline: RowPipeline
    private let isWanted: (String) -> Bool

    private(set) var tables: [RelationID: SinkTable] = [:]
    var records: [RelationID: SinkLedger.TableRecord]
    /// Everything up to this place of the log is in the target, but for tables that are being tried again.
    var appliedThrough: UInt64?
    /// Tables whose suspension the last start ended on trial: where they stand.
    var retried: [RelationID: UInt64] = [:]
    /// Whether parts of the log are in the target already, for some tables.
    var isCatchingUp: Bool { appliedThrough != nil || !retried.isEmpty }
    /// Tables that stay suspended this time.
    var held: Set<RelationID> = []
    /// Statements that defined something in the open target transaction. Each holds several locks until its end, and a
    /// server has room for a few thousand.
    var definitions = 0
    private static let definitionLimit = 100
    /// A full load has ended since sequences were last set.
    var loadHasEnded = false
    /// Below this number of changes of one table, single statements are faster than staging.
    var stagingThreshold = 100
    /// From so many rows of a load in one batch on, the table's keys are made when it has ended.
    var keyDeferral = 10_000

    // What is being walked.
    var batch: ChangeBatch?
    private var batchNumber: UInt64 = 0
    private var batchRelations: [RelationID: Relation] = [:]
    private var lastID: RelationID?
    private var lastTable: SinkTable?
    private var pending: [SinkTable] = []
    private(set) var place = LogPlace()
    /// Whether the changes being walked are rows of a full load.
    private(set) var isSnapshot = false
    private var transactionOffset: UInt64 = 0
    private(set) var transactions: UInt64 = 0
    private var spareSets: [ChangeSet] = []
    var nextSerial = 0
    /// Statements prepared while attaching are in the server whatever becomes of the transaction; tables are not.
    private var touched: [SinkTable] = []
    /// Tables with changes in the open target transaction.
    private var counted: [SinkTable] = []

    init(
        _ connection: PostgresConnection, _ options: SinkOptions, _ ledger: SinkLedger, database: String, logID: UInt64,
        records: [RelationID: SinkLedger.TableRecord], isWanted: @escaping (String) -> Bool, logger: Logger
    ) {
        self.connection = connection
        self.options = options
        self.ledger = ledger
        self.database = database
        ledgerLogID = logID
        self.records = records
        self.isWanted = isWanted
        self.logger = logger
        pipeline = RowPipeline(connection)
    }

    // MARK: Walking

    /// To be called once per batch, before its stretches are applied.
    func begin(_ batch: ChangeBatch) {
        self.batch = batch
        batchNumber += 1
        batchRelations = batch.relations
        lastID = nil
    }

    /// Applies the records between two byte indexes of the batch. Returns how far it came: to the end, or, where it
    /// `mayStop`, behind a transaction after which the target transaction had better be committed.
    @discardableResult
    func apply(_ range: Range<Int>, mayStop: Bool = false) throws(SinkFailure) -> Int {
        guard let batch else { return range.upperBound }
        var reached = range.upperBound
        var reader = RecordReader(
            UnsafeRawBufferPointer(rebasing: batch.bytes[..<range.upperBound]), offset: range.lowerBound)
        while true {
            let start = reader.offset
            let record: Record?
            do { record = try reader.next() } catch { throw .malformed(error) }
            guard let record else { break }
            switch record {
            case .insert(let id, _, let new):
                if let table = try table(id) { try insert(table, new, start, reader.offset) }
                place.ordinal &+= 1
            case .update(let id, _, let old, let new):
                if let table = try table(id) { try update(table, old, new, start, reader.offset) }
                place.ordinal &+= 1
            case .delete(let id, _, let old):
                if let table = try table(id), options.appliesDeletes { try delete(table, old, start, reader.offset) }
                place.ordinal &+= 1
            case .begin(let info):
                try begin(info, batch.cursor(behind: reader.offset, commitLSN: info.commitLSN, ordinal: 0).offset)
            case .commit:
                transactions += 1
                if mayStop && definitions >= ChangeApplier.definitionLimit { reached = reader.offset }
            case .relation(let bytes): try define(bytes)
            case .truncate(_, let truncate):
                try self.truncate(truncate)
                place.ordinal &+= 1
            case .message: place.ordinal &+= 1
            case .load(let id, let phase):
                if let table = try table(id) { try load(table, phase) }
            case .sourceState: break
            }
            if reader.offset >= reached { break }
        }
        try flushAll()
        return reached
    }

    private func begin(_ info: TransactionInfo, _ offset: UInt64) throws(SinkFailure) {
        // Rows of a load and changes are collected in different ways.
        if info.flags.contains(.snapshot) != isSnapshot { try flushAll() }
        place = LogPlace(commitLSN: info.commitLSN, ordinal: info.firstOrdinal)
        isSnapshot = info.flags.contains(.snapshot)
        transactionOffset = offset
        // Whether a table takes part can change from one transaction to the next while catching up.
        if isCatchingUp { lastID = nil }
    }

    /// The table of a change that is to be applied, ready for it; nil where the change is to be passed over.
    @inline(__always)
    private func table(_ id: RelationID) throws(SinkFailure) -> SinkTable? {
        if id == lastID { return lastTable }
        let table = try findTable(id)
        lastID = id
        lastTable = table
        return table
    }

    /// The same for changes that are not rows.
    func takingPart(_ id: RelationID) throws(SinkFailure) -> SinkTable? {
        try findTable(id)
    }

    func count(_ table: SinkTable) {
        if table.appliedNow == 0 { counted.append(table) }
        table.appliedNow &+= 1
    }

    private func findTable(_ id: RelationID) throws(SinkFailure) -> SinkTable? {
        guard let table = try tableOrNew(id), table.isSelected, !table.isSuspended else { return nil }
        if isCatchingUp, let through = retried[id] ?? appliedThrough, transactionOffset <= through { return nil }
        if table.comparedInBatch != batchNumber {
            table.comparedInBatch = batchNumber
            if let relation = batchRelations[id] { try redefine(table, relation) }
        }
        if table.target == nil {
            touched.append(table)
            do { table.target = try attach(table) } catch { throw withPlace(error) }
        }
        if !table.isPending {
            table.isPending = true
            pending.append(table)
        }
        if table.changes == nil, table.target?.key.isEmpty == false {
            table.changes = spareSets.popLast() ?? ChangeSet()
        }
        return table
    }

    /// The table's target as it is after a change of ours in the open transaction.
    func attachAgain(_ table: SinkTable) throws(SinkFailure) -> TargetTable {
        touched.append(table)
        let target = try attach(table)
        table.target = target
        return target
    }

    var allTables: some Collection<SinkTable> { tables.values }
    /// Definitions as they are known behind the records walked so far.
    var currentRelations: [RelationID: Relation] { batchRelations }

    /// Goes over the batch again, from where `relations` were known (nil: from its beginning).
    func resume(_ batch: ChangeBatch, with relations: [RelationID: Relation]?) {
        begin(batch)
        if let relations { batchRelations = relations }
    }

    func countTransaction() {
        transactions += 1
    }

    func knownTable(_ id: RelationID) -> SinkTable? { tables[id] }

    private func tableOrNew(_ id: RelationID) throws(SinkFailure) -> SinkTable? {
        if let table = tables[id] { return table }
        guard let relation = batchRelations[id] else {
            throw .malformed(MalformedRecord("relation \(id.value) was never described"))
        }
        let table = SinkTable(relation, isSelected: isWanted(relation.topic))
        table.isSuspended = held.contains(id)
        table.comparedInBatch = batchNumber
        tables[id] = table
        return table
    }

    /// A definition in the log: known from here on, applied with the next change of its table.
    private func define(_ bytes: UnsafeRawBufferPointer) throws(SinkFailure) {
        var reader = ByteReader(bytes)
        let relation: Relation
        do { relation = try Relation.decode(&reader) } catch { throw .malformed(error) }
        batchRelations[relation.id] = relation
        lastID = nil
        guard let table = tables[relation.id] else { return }
        // Tables that were not compared yet are when their first change comes.
        if table.comparedInBatch == batchNumber { try redefine(table, relation) }
    }

    private func redefine(_ table: SinkTable, _ relation: Relation) throws(SinkFailure) {
        guard relation.version != table.relation.version else { return }
        try flush(table)
        table.relation = relation
        table.target = nil
        if let set = table.changes {
            spareSets.append(set)
            table.changes = nil
        }
    }

    // MARK: Collecting

    @inline(__always)
    private func insert(_ table: SinkTable, _ new: TupleView, _ start: Int, _ end: Int) throws(SinkFailure) {
        let row = try image(table, new)
        note(table, start, end)
        table.sequencesAreOld = true
        guard let changes = table.changes, let layout = table.target?.keyLayout, !table.pendingIsLoad else { return }
        guard let key = layout.span(of: row, changes.arena) else { throw incompleteKey(table) }
        changes.insert(row, key: key)
    }

    @inline(__always)
    private func update(
        _ table: SinkTable, _ old: OldTuple?, _ new: TupleView, _ start: Int, _ end: Int
    ) throws(SinkFailure) {
        var row = try image(table, new)
        note(table, start, end)
        table.pendingInsertsOnly = false
        guard let changes = table.changes, let target = table.target, let layout = target.keyLayout else { return }
        guard let old else {
            guard let key = layout.span(of: row, changes.arena) else { throw incompleteKey(table) }
            return changes.update(row, key: key, columnCount: target.columnCount)
        }
        let oldRow = try image(table, old.tuple)
        guard let oldKey = layout.span(of: oldRow, changes.arena) else { throw incompleteKey(table) }
        if RowBytes.hasUnchanged(row, count: target.columnCount) {
            row = complete(row, old, oldRow, oldKey, changes, target)
        }
        guard let newKey = layout.span(of: row, changes.arena) else { throw incompleteKey(table) }
        if newKey == oldKey { return changes.update(row, key: newKey, columnCount: target.columnCount) }
        if RowBytes.hasUnchanged(row, count: target.columnCount) {
            // The values that were not sent are only in the target's old row, which must therefore be moved, not
            // replaced: this change by itself, behind those before it.
            table.pendingCount -= 1
            let resumed = table.pendingEnd
            table.pendingEnd = start
            try flush(table)
            note(table, start, resumed)
            table.appliedNow &-= 1
            try applyInOrder(table, start..<end)
            table.forgetPending()
            return
        }
        changes.delete(key: oldKey)
        changes.insert(row, key: newKey)
    }

    /// Fills in what an update did not send, as far as it is known here.
    private func complete(
        _ row: UnsafeRawPointer, _ old: OldTuple, _ oldRow: UnsafeRawPointer, _ oldKey: KeySpan, _ changes: ChangeSet,
        _ target: TargetTable
    ) -> UnsafeRawPointer {
        if case .full = old {
            return RowBytes.merge(row, over: oldRow, count: target.columnCount, in: changes.arena)
        }
        var row = row
        if let known = changes.image(key: oldKey) {
            row = RowBytes.merge(row, over: known, count: target.columnCount, in: changes.arena)
        }
        // A key column that was not sent is as in the old key.
        return RowBytes.mergeColumns(target.key, of: row, from: oldRow, count: target.columnCount, in: changes.arena)
    }

    @inline(__always)
    private func delete(_ table: SinkTable, _ old: OldTuple, _ start: Int, _ end: Int) throws(SinkFailure) {
        let row = try image(table, old.tuple)
        note(table, start, end)
        table.pendingInsertsOnly = false
        guard let changes = table.changes, let layout = table.target?.keyLayout else { return }
        guard let key = layout.span(of: row, changes.arena) else { throw incompleteKey(table) }
        changes.delete(key: key)
    }

    @inline(__always)
    private func note(_ table: SinkTable, _ start: Int, _ end: Int) {
        if table.pendingCount == 0 {
            table.pendingStart = start
            table.pendingPlace = place
            table.pendingIsLoad = isSnapshot
        }
        if table.pendingCount < stagingThreshold { table.pendingOffsets.append(start) }
        table.pendingCount += 1
        table.pendingEnd = end
        count(table)
    }

    @inline(__always)
    private func image(_ table: SinkTable, _ tuple: TupleView) throws(SinkFailure) -> UnsafeRawPointer {
        guard tuple.count == table.target?.columnCount, let row = tuple.bytes.baseAddress else {
            throw .malformed(
                MalformedRecord(
                    "a row of \(table.name) has \(tuple.count) columns, its definition \(table.target?.columnCount ?? 0)"
                ))
        }
        return row
    }

    private func incompleteKey(_ table: SinkTable) -> SinkFailure {
        .table(TableRefusal(table, "a change came without the value of a key column", position: place.text))
    }

    /// The failure with the place of the log, where it is a table's and has none.
    func withPlace(_ failure: SinkFailure) -> SinkFailure {
        guard case .table(var refusal) = failure, refusal.position == nil else { return failure }
        refusal.position = place.text
        return .table(refusal)
    }

    // MARK: Writing

    /// Writes what is pending of every table.
    func flushAll() throws(SinkFailure) {
        for table in pending { try flush(table) }
        releaseSets()
    }

    func flush(_ table: SinkTable) throws(SinkFailure) {
        defer { lastID = nil }
        guard table.pendingCount > 0 else { return }
        try write(table)
        table.changes?.removeAll()
        table.forgetPending()
    }

    /// Tables that got nothing more give their memory to those that do.
    private func releaseSets() {
        for table in pending {
            table.isPending = false
            guard let set = table.changes else { continue }
            table.changes = nil
            if spareSets.count < 8 { spareSets.append(set) }
        }
        pending.removeAll(keepingCapacity: true)
        lastID = nil
    }

    /// Forgets what was collected, and what is known of tables that the rolled-back transaction attached.
    func rollBack(_ records: [RelationID: SinkLedger.TableRecord]) {
        for table in pending {
            table.changes?.removeAll()
            table.forgetPending()
        }
        for table in counted { table.appliedNow = 0 }
        counted.removeAll(keepingCapacity: true)
        for table in touched {
            table.target = nil
            table.isNew = false
            table.mayDeferKeys = false
        }
        touched.removeAll()
        for table in tables.values {
            table.comparedInBatch = 0
            table.target?.hasStage = false
        }
        self.records = records
        releaseSets()
        transactions = 0
        definitions = 0
    }

    /// What was applied is committed: returns and forgets what was counted.
    func committed() -> (transactions: UInt64, changes: [(table: SinkTable, count: UInt64)]) {
        let counts = counted.map { (table: $0, count: $0.appliedNow) }
        for table in counted { table.appliedNow = 0 }
        counted.removeAll(keepingCapacity: true)
        touched.removeAll()
        definitions = 0
        defer { transactions = 0 }
        return (transactions, counts)
    }
}
