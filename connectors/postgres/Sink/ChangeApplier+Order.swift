internal import MillraceCore

/// Changes one by one, in the order of the source.
extension ChangeApplier {
    /// Applies the records of `table` between two byte indexes. A refused row is the table's refusal.
    func applyInOrder(_ table: SinkTable, _ range: Range<Int>) throws(SinkFailure) {
        guard let target = table.target else { return }
        try forEachChange(of: table, range) { (record, start) throws(SinkFailure) in
            try server { () throws(PostgresError) in try queue(record, table, target, start) }
            if pipeline.isFull { try finishInOrder(table, range) }
        }
        try finishInOrder(table, range)
    }

    /// Queues the statements of one change.
    func queue(_ record: Record, _ table: SinkTable, _ target: TargetTable, _ start: Int) throws(PostgresError) {
        switch record {
        case .insert(_, _, let new):
            guard let row = new.bytes.baseAddress else { return }
            try queueInsert(row, table, target, start)
        case .delete(_, _, let old):
            guard options.appliesDeletes, let row = old.tuple.bytes.baseAddress else { return }
            try pipeline.queue(.delete, table, target, old: row, new: nil, offset: start)
        case .update(_, _, let old, let new):
            guard let row = new.bytes.baseAddress else { return }
            try queueUpdate(row, old, table, target, start)
        default: break
        }
    }

    private func queueInsert(
        _ row: UnsafeRawPointer, _ table: SinkTable, _ target: TargetTable, _ start: Int
    ) throws(PostgresError) {
        let kind: StatementKind =
            switch options.insertMode {
            case .upsert: target.keyIsUnique ? .upsert : .insert
            case .insert: .insert
            case .update: target.key.isEmpty ? .insert : .update(unchanged: [])
            }
        try pipeline.queue(kind, table, target, old: row, new: row, offset: start)
    }

    private func queueUpdate(
        _ row: UnsafeRawPointer, _ old: OldTuple?, _ table: SinkTable, _ target: TargetTable, _ start: Int
    ) throws(PostgresError) {
        var unchanged: [Int] = []
        if RowBytes.hasUnchanged(row, count: target.columnCount) {
            unchanged = RowBytes.unchangedColumns(row, count: target.columnCount)
        }
        let oldRow = old?.tuple.bytes.baseAddress
        let lacksKey = oldRow == nil && unchanged.contains { target.key.contains($0) }
        if lacksKey || target.key.isEmpty && oldRow == nil {
            throw PostgresError(
                sqlState: "22004", message: "a change came without the values that identify its row",
                operation: "update a row of \(target.name.description)")
        }
        if target.key.isEmpty {
            return try pipeline.queue(
                .update(unchanged: unchanged), table, target, old: oldRow ?? row, new: row, offset: start)
        }
        let upserts = options.insertMode == .upsert && unchanged.isEmpty && target.keyIsUnique
        if let oldRow, keyChanges(from: oldRow, to: row, target) {
            guard upserts else {
                return try pipeline.queue(
                    .updateKey(unchanged: unchanged), table, target, old: oldRow, new: row, offset: start)
            }
            try pipeline.queue(.delete, table, target, old: oldRow, new: nil, offset: start)
            return try pipeline.queue(.upsert, table, target, old: nil, new: row, offset: start)
        }
        let kind: StatementKind = upserts ? .upsert : .update(unchanged: unchanged)
        try pipeline.queue(kind, table, target, old: oldRow ?? row, new: row, offset: start)
    }

    private func keyChanges(from old: UnsafeRawPointer, to new: UnsafeRawPointer, _ target: TargetTable) -> Bool {
        guard let layout = target.keyLayout else { return false }
        let arena = Arena()
        guard let oldKey = layout.span(of: old, arena), let newKey = layout.span(of: new, arena) else { return true }
        return !(oldKey == newKey)
    }

    private func finishInOrder(_ table: SinkTable, _ range: Range<Int>) throws(SinkFailure) {
        let refusal: RowPipeline.Refusal?
        do { refusal = try pipeline.finish() } catch { throw .server(error) }
        guard let refusal else { return }
        guard refusal.error.isRefusal else { throw .server(refusal.error) }
        throw .table(describe(refusal, table, range))
    }

    // MARK: Which change it was

    /// Calls `body` with each row change of `table` in a stretch of the batch.
    func forEachChange(
        of table: SinkTable, _ range: Range<Int>, _ body: (Record, Int) throws(SinkFailure) -> Void
    ) throws(SinkFailure) {
        guard let bytes = batch?.bytes else { return }
        var reader = RecordReader(
            UnsafeRawBufferPointer(rebasing: bytes[..<range.upperBound]), offset: range.lowerBound)
        while true {
            let start = reader.offset
            let record: Record?
            do { record = try reader.next() } catch { throw .malformed(error) }
            guard let record else { return }
            switch record {
            case .insert(table.id, _, _), .update(table.id, _, _, _), .delete(table.id, _, _): try body(record, start)
            default: break
            }
        }
    }

    /// Names the refused change: place and key.
    private func describe(_ refusal: RowPipeline.Refusal, _ table: SinkTable, _ range: Range<Int>) -> TableRefusal {
        var described = TableRefusal(table, refusal.error)
        guard let offset = refusal.record?.offset, let bytes = batch?.bytes, range.contains(offset) else {
            described.position = place.text
            return described
        }
        var place = table.pendingPlace
        var reader = RecordReader(
            UnsafeRawBufferPointer(rebasing: bytes[..<range.upperBound]), offset: range.lowerBound)
        while reader.offset < offset, let record = try? reader.next() {
            switch record {
            case .begin(let info): place = LogPlace(commitLSN: info.commitLSN, ordinal: info.firstOrdinal)
            case .insert, .update, .delete, .truncate, .message: place.ordinal &+= 1
            default: break
            }
        }
        described.position = place.text
        if let record = try? reader.next() { described.key = key(of: record, table) }
        return described
    }

    /// `id=7, region=eu`; nil for tables without a key.
    private func key(of record: Record, _ table: SinkTable) -> String? {
        guard let target = table.target, !target.key.isEmpty else { return nil }
        let tuple: TupleView
        switch record {
        case .insert(_, _, let new), .update(_, _, nil, let new): tuple = new
        case .update(_, _, let old?, _), .delete(_, _, let old): tuple = old.tuple
        default: return nil
        }
        var parts: [String] = []
        for (index, value) in tuple.enumerated() where target.key.contains(index) {
            if case .text(let text) = value {
                parts.append(
                    "\(target.columns[index]?.name ?? "?")=\(String(decoding: text.prefix(256), as: UTF8.self))")
            }
        }
        return parts.joined(separator: ", ")
    }
}
