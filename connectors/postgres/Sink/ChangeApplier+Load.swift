internal import MillraceCore

/// Full loads, truncates and tables without a key.
extension ChangeApplier {
    // MARK: Full load

    /// Begin: makes room for the rows that follow. End: nothing but the counters of sequences is left to do.
    func load(_ table: SinkTable, _ phase: LoadPhase) throws(SinkFailure) {
        try flush(table)
        if phase == .end {
            loadHasEnded = true
            table.isNew = false
            table.mayDeferKeys = false
            if let record = records[table.id], !record.owedKeys.isEmpty { try makeOwedKeys(table, record) }
        }
        guard phase == .begin, let target = table.target, var record = records[table.id] else { return }
        let isEmpty = try forTable(table) { () throws(PostgresError) in
            try connection.execute("SELECT NOT EXISTS (SELECT FROM \(target.quoted))", "look into the table").scalar
                == "t"
        }
        let isShared = try server { () throws(PostgresError) in try ledger.isShared(target.name, besides: table.id) }
        if isShared { try awaitKeys(table, target.name) }
        table.loadsByUpsert = false
        if isEmpty {
            record.isSole = !isShared
            table.mayDeferKeys = table.isNew && !isShared && options.insertMode != .update
        } else if record.isSole && !isShared {
            // Everything in there came from here, by an earlier load.
            try empty(table, [target.quoted], restartIdentity: false)
        } else if target.keyIsUnique && options.insertMode == .upsert {
            table.loadsByUpsert = true
            record.isSole = false
        } else {
            throw .table(
                TableRefusal(
                    table,
                    "\(target.name.description) already holds rows that this sink has not written, and they cannot be told"
                        + " from those of the full load without a key; empty it with TRUNCATE \(target.quoted); and"
                        + " restart the task", position: place.text))
        }
        try remember(table, record)
    }

    func remember(_ table: SinkTable, _ record: SinkLedger.TableRecord) throws(SinkFailure) {
        records[table.id] = record
        try server { () throws(PostgresError) in try ledger.write(record) }
    }

    func writeLoad(_ table: SinkTable, _ target: TargetTable) throws(SinkFailure) {
        if options.insertMode == .update && !target.key.isEmpty {
            return try applyInOrder(table, table.pendingStart..<table.pendingEnd)
        }
        if !table.loadsByUpsert {
            let target = try deferKeys(table, target)
            if try copyInserts(table, target) { return }
            table.loadsByUpsert = true
        }
        try prepareStage(table, target)
        try forTable(table) { () throws(PostgresError) in try emptyStage(target) }
        try savepoint()
        do {
            try copyRange(table, target, target.copyToStage(target.written))
            try execute(target.upsertStaged, "insert rows into \(target.name.description)")
        } catch {
            guard case .server(let reason) = error, reason.isRefusal else { throw error }
            try rollBackToSavepoint(target)
            try applyInOrder(table, table.pendingStart..<table.pendingEnd)
        }
        try execute("RELEASE SAVEPOINT millrace_table", "release")
    }

    /// Copies the pending rows, all of them inserts, straight into the table. False if some are there already and may be
    /// overwritten; any other refusal is retried row by row, to name the row.
    private func copyInserts(_ table: SinkTable, _ target: TargetTable) throws(SinkFailure) -> Bool {
        try savepoint()
        do {
            try copyRange(table, target, target.copyToTarget)
        } catch {
            guard case .server(let reason) = error, reason.isRefusal else { throw error }
            try rollBackToSavepoint(target)
            if reason.sqlState == "23505" && target.keyIsUnique && options.insertMode == .upsert {
                try execute("RELEASE SAVEPOINT millrace_table", "release")
                return false
            }
            try applyInOrder(table, table.pendingStart..<table.pendingEnd)
        }
        try execute("RELEASE SAVEPOINT millrace_table", "release")
        return true
    }

    /// Sends the inserts among the pending records as one COPY.
    private func copyRange(_ table: SinkTable, _ target: TargetTable, _ sql: String) throws(SinkFailure) {
        try copyInserts(of: table, target, sql, table.pendingStart..<table.pendingEnd)
    }

    private func copyInserts(
        of table: SinkTable, _ target: TargetTable, _ sql: String, _ range: Range<Int>
    ) throws(SinkFailure) {
        guard let bytes = batch?.bytes else { return }
        let mask = UnsafeMutableBufferPointer<Bool>.allocate(capacity: target.columnCount)
        defer { mask.deallocate() }
        _ = mask.initialize(from: target.isWritten)
        do {
            let writer = try CopyWriter(connection, sql, "copy rows into \(target.name.description)")
            var offset = range.lowerBound
            // The records were checked when they were collected, so that only the headers are read here.
            while offset < range.upperBound, let (kind, body) = RecordReader.peek(bytes, at: offset) {
                offset += RecordReader.headerSize + body.count
                guard kind == RecordKind.insert, let base = body.baseAddress, body.count >= 15 else { continue }
                if UInt32(bigEndian: base.loadUnaligned(as: UInt32.self)) != table.id.value { continue }
                try writer.row(base + 15, UnsafeBufferPointer(mask))
            }
            try writer.finish()
        } catch {
            throw .server(error)
        }
    }

    private func execute(_ sql: String, _ operation: String) throws(SinkFailure) {
        do { try connection.execute(sql, operation) } catch { throw .server(error) }
    }

    // MARK: Tables without a key

    /// Inserts as sets; updates and deletes one by one, by their whole old row.
    func writeKeyless(_ table: SinkTable, _ target: TargetTable) throws(SinkFailure) {
        if table.pendingInsertsOnly && table.pendingCount >= stagingThreshold {
            _ = try copyInserts(table, target)
            return
        }
        try applyInOrder(table, table.pendingStart..<table.pendingEnd)
    }

    // MARK: Truncate

    func truncate(_ truncate: TruncateView) throws(SinkFailure) {
        guard options.appliesTruncates else { return }
        var truncated: [(SinkTable, TargetTable)] = []
        for id in truncate.relations {
            guard let table = try takingPart(id), let target = table.target else { continue }
            try flush(table)
            truncated.append((table, target))
        }
        guard let first = truncated.first else { return }
        try empty(first.0, truncated.map { $0.1.quoted }, restartIdentity: truncate.restartIdentity)
        for (table, _) in truncated { count(table) }
    }

    /// Empties tables together. CASCADE on the source has named every table that it reached, so it is never repeated here.
    /// A foreign key of a table that only the target has forbids TRUNCATE; deleting leaves such a table as it is.
    private func empty(_ table: SinkTable, _ names: [String], restartIdentity: Bool) throws(SinkFailure) {
        let list = names.map { "\(Quoting.literal($0))::regclass" }.joined(separator: ", ")
        let isReferred = try forTable(table) { () throws(PostgresError) in
            try connection.execute(
                """
                SELECT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid IN (\(list))
                    AND conrelid NOT IN (\(list)))
                """, "look for foreign keys"
            ).scalar == "t"
        }
        let statements =
            isReferred
            ? names.map { "DELETE FROM \($0)" }
            : ["TRUNCATE \(names.joined(separator: ", "))" + (restartIdentity ? " RESTART IDENTITY" : "")]
        try forTable(table) { () throws(PostgresError) in
            try connection.execute(statements.joined(separator: "; "), "empty \(names.joined(separator: ", "))")
        }
    }
}
