internal import MillraceCore

/// Writing one table's pending changes.
extension ChangeApplier {
    func write(_ table: SinkTable) throws(SinkFailure) {
        guard let target = table.target else { return }
        if table.pendingIsLoad {
            try writeLoad(table, target)
        } else if target.key.isEmpty {
            try writeKeyless(table, target)
        } else if table.pendingCount < stagingThreshold {
            try applyInOrder(table, table.pendingStart..<table.pendingEnd)
        } else {
            try writeReduced(table, target)
        }
    }

    /// Sets of rows at once; where those fail, the changes one by one in the order of the source, which tells a row that
    /// the target refuses from an order of ours that a second unique index does not bear.
    private func writeReduced(_ table: SinkTable, _ target: TargetTable) throws(SinkFailure) {
        guard let changes = table.changes else { return }
        let plan = ReducedPlan(changes, target, options)
        // Before the savepoint, so that rolling back to it does not take the staging table away.
        if plan.needsStage(from: stagingThreshold) { try prepareStage(table, target) }
        try savepoint()
        do {
            return try writeSets(table, target, plan, insertsCollide: false)
        } catch {
            guard error.isRefusal else { throw .server(error) }
            try rollBackToSavepoint(target)
            if error.sqlState == "23505" && options.insertMode == .upsert && target.keyIsUnique {
                let hadStage = target.hasStage
                try prepareStage(table, target)
                do {
                    return try writeSets(table, target, plan, insertsCollide: true)
                } catch {
                    guard error.isRefusal else { throw .server(error) }
                    try rollBackToSavepoint(target)
                    target.hasStage = hadStage
                }
            }
        }
        try applyInOrder(table, table.pendingStart..<table.pendingEnd)
        try server { () throws(PostgresError) in try connection.execute("RELEASE SAVEPOINT millrace_table", "release") }
    }

    private func writeSets(
        _ table: SinkTable, _ target: TargetTable, _ plan: ReducedPlan, insertsCollide: Bool
    ) throws(PostgresError) {
        try writeDeletes(table, target, plan)
        for group in plan.groups { try writeUpdates(table, target, plan, group) }
        if plan.insertCount > 0 {
            if insertsCollide {
                try fillStage(target, target.written, plan.changes, columns: target.isWritten) { $0.isInsert }
                try connection.execute(target.upsertStaged, "insert rows into \(target.name.description)")
            } else {
                try copy(
                    target.copyToTarget, "copy rows into \(target.name.description)", plan.changes, target.isWritten
                ) {
                    $0.isInsert
                }
            }
        }
        try connection.execute("RELEASE SAVEPOINT millrace_table", "release")
    }

    private func writeDeletes(_ table: SinkTable, _ target: TargetTable, _ plan: ReducedPlan) throws(PostgresError) {
        guard plan.deleteCount > 0 else { return }
        if plan.deleteCount < stagingThreshold {
            for index in 0..<plan.changes.count where plan.changes.entries[index].isDelete {
                try pipeline.queueDelete(
                    plan.changes.entries[index].keySpan, table, target, offset: table.pendingStart)
                if pipeline.isFull { try finishPipeline() }
            }
            return try finishPipeline()
        }
        try emptyStage(target)
        let writer = try CopyWriter(connection, target.copyToStage(target.key), "stage keys")
        for index in plan.changes.ordered(where: { plan.changes.entries[$0].isDelete }) {
            try writer.allColumns(plan.changes.entries[Int(index)].key, columnCount: target.key.count)
        }
        try writer.finish()
        try joined(target, target.deleteStaged, "delete rows from \(target.name.description)")
    }

    private func writeUpdates(
        _ table: SinkTable, _ target: TargetTable, _ plan: ReducedPlan, _ group: ReducedPlan.Group
    ) throws(PostgresError) {
        let set = target.nonKey.filter { !group.unchanged.contains($0) }
        let mayInsert = options.insertMode == .upsert && group.unchanged.isEmpty
        if set.isEmpty && !mayInsert { return }
        if group.count < stagingThreshold {
            let upserts = mayInsert && target.keyIsUnique
            let kind: StatementKind = upserts ? .upsert : .update(unchanged: group.unchanged)
            for index in 0..<plan.changes.count where plan.isUpdate(index, group) {
                let row = plan.changes.entries[index].row
                try pipeline.queue(kind, table, target, old: row, new: row, offset: table.pendingStart)
                if pipeline.isFull { try finishPipeline() }
            }
            return try finishPipeline()
        }
        var columns = target.isWritten
        for index in group.unchanged { columns[index] = false }
        let listed = target.written.filter { columns[$0] }
        try emptyStage(target)
        let staged = try copyUpdates(target.copyToStage(listed), plan, group, columns)
        if !set.isEmpty {
            let updated = try joined(target, target.updateStaged(set), "update rows of \(target.name.description)")
            if updated.affectedRows >= staged { return }
        }
        if mayInsert {
            try joined(target, target.insertMissing, "insert missing rows of \(target.name.description)")
        }
    }

    /// A statement that joins the staging table with the target. Where no index of the target has the key, the planner may
    /// do what it likes.
    @discardableResult
    private func joined(
        _ target: TargetTable, _ sql: String, _ operation: String
    ) throws(PostgresError) -> QueryResult {
        guard !target.keyIsUnique else { return try connection.execute(sql, operation) }
        try connection.execute("SET LOCAL enable_hashjoin = on", "let the planner hash")
        let result = try connection.execute(sql, operation)
        try connection.execute("SET LOCAL enable_hashjoin = off", "keep the planner from hashing")
        return result
    }

    private func finishPipeline() throws(PostgresError) {
        if let refusal = try pipeline.finish() { throw refusal.error }
    }

    // MARK: Copying

    private func copyUpdates(
        _ sql: String, _ plan: ReducedPlan, _ group: ReducedPlan.Group, _ columns: [Bool]
    ) throws(PostgresError) -> Int {
        let writer = try CopyWriter(connection, sql, "stage updates")
        let mask = UnsafeMutableBufferPointer<Bool>.allocate(capacity: columns.count)
        defer { mask.deallocate() }
        _ = mask.initialize(from: columns)
        for index in plan.changes.ordered(where: { plan.isUpdate($0, group) }) {
            try writer.row(plan.changes.entries[Int(index)].row, UnsafeBufferPointer(mask))
        }
        return try writer.finish()
    }

    private func copy(
        _ sql: String, _ operation: String, _ changes: ChangeSet, _ columns: [Bool],
        where isIncluded: (ChangeSet.Entry) -> Bool
    ) throws(PostgresError) {
        let writer = try CopyWriter(connection, sql, operation)
        let mask = UnsafeMutableBufferPointer<Bool>.allocate(capacity: columns.count)
        defer { mask.deallocate() }
        _ = mask.initialize(from: columns)
        for index in 0..<changes.count where isIncluded(changes.entries[index]) {
            try writer.row(changes.entries[index].row, UnsafeBufferPointer(mask))
        }
        try writer.finish()
    }

    private func fillStage(
        _ target: TargetTable, _ listed: [Int], _ changes: ChangeSet, columns: [Bool],
        where isIncluded: (ChangeSet.Entry) -> Bool
    ) throws(PostgresError) {
        try emptyStage(target)
        try copy(target.copyToStage(listed), "stage rows", changes, columns, where: isIncluded)
    }

    // MARK: Staging table and savepoint

    func prepareStage(_ table: SinkTable, _ target: TargetTable) throws(SinkFailure) {
        guard !target.hasStage else { return }
        try forTable(table) { () throws(PostgresError) in
            try connection.execute(target.createStage, "create a staging table")
        }
        target.hasStage = true
        target.stageIsEmpty = false
    }

    func emptyStage(_ target: TargetTable) throws(PostgresError) {
        if !target.stageIsEmpty { try connection.execute("TRUNCATE \(target.stage)", "empty the staging table") }
        target.stageIsEmpty = false
    }

    func savepoint() throws(SinkFailure) {
        try server { () throws(PostgresError) in try connection.execute("SAVEPOINT millrace_table", "set a savepoint") }
    }

    func rollBackToSavepoint(_ target: TargetTable) throws(SinkFailure) {
        target.stageIsEmpty = false
        try server { () throws(PostgresError) in
            try connection.execute("ROLLBACK TO SAVEPOINT millrace_table", "roll back to the savepoint")
        }
    }
}

extension ChangeSet.Entry {
    @inline(__always)
    var isInsert: Bool { outcome == .insert || outcome == .replace }
    @inline(__always)
    var isDelete: Bool { outcome == .delete || outcome == .replace }
}

/// Which sets the outcomes of a table fall into.
struct ReducedPlan {
    /// Updates that leave the same columns unchanged.
    struct Group {
        var number: UInt16
        var unchanged: [Int]
        var count: Int
    }

    let changes: ChangeSet
    private(set) var deleteCount = 0
    private(set) var insertCount = 0
    private(set) var groups: [Group] = []
    /// Group of each entry; empty while there is only one.
    private var groupOfEntry: [UInt16] = []

    init(_ changes: ChangeSet, _ target: TargetTable, _ options: SinkOptions) {
        self.changes = changes
        if options.insertMode == .update { changes.turnInsertsIntoUpdates() }
        var byUnchanged: [[Int]: Int] = [:]
        for index in 0..<changes.count {
            let entry = changes.entries[index]
            if entry.isInsert { insertCount += 1 }
            if entry.isDelete { deleteCount += 1 }
            guard entry.outcome == .update else { continue }
            var unchanged: [Int] = []
            if RowBytes.hasUnchanged(entry.row, count: target.columnCount) {
                unchanged = RowBytes.unchangedColumns(entry.row, count: target.columnCount)
            }
            if unchanged.isEmpty, let first = groups.first, first.unchanged.isEmpty {
                groups[0].count += 1
                continue
            }
            let group = byUnchanged[unchanged] ?? groups.count
            if group == groups.count {
                byUnchanged[unchanged] = group
                groups.append(Group(number: UInt16(truncatingIfNeeded: group), unchanged: unchanged, count: 0))
            }
            groups[group].count += 1
            if group > 0 {
                if groupOfEntry.isEmpty { groupOfEntry = [UInt16](repeating: 0, count: changes.count) }
                groupOfEntry[index] = UInt16(truncatingIfNeeded: group)
            }
        }
    }

    /// Whether some set is large enough for the staging table.
    func needsStage(from threshold: Int) -> Bool {
        deleteCount >= threshold || groups.contains { $0.count >= threshold }
    }

    @inline(__always)
    func isUpdate(_ index: Int, _ group: Group) -> Bool {
        changes.entries[index].outcome == .update && (groupOfEntry.isEmpty || groupOfEntry[index] == group.number)
    }
}
