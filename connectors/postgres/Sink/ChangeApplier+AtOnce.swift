internal import MillraceCore

/// A few changes of tables that are all known: the usual case of a live stream.
extension ChangeApplier {
    /// Most changes, and bytes, that are sent in one round trip. Beyond that, reducing and copying is faster.
    static let atOnceLimit = 100
    static let atOnceByteLimit = 256 << 10

    /// Whether the records are few row changes of attached tables and nothing else that matters.
    func isPlain(_ range: Range<Int>) -> Bool {
        guard !isCatchingUp, range.count <= Self.atOnceByteLimit, let batch else {
            return false
        }
        var reader = RecordReader(
            UnsafeRawBufferPointer(rebasing: batch.bytes[..<range.upperBound]), offset: range.lowerBound)
        var changes = 0
        var lastID: RelationID?
        while let record = try? reader.next() {
            let id: RelationID
            switch record {
            case .begin(let info):
                if info.flags.contains(.snapshot) { return false }
                continue
            case .commit, .message, .sourceState: continue
            case .relation(let bytes):
                if !isKnown(bytes) { return false }
                continue
            case .truncate, .load: return false
            case .insert(let relation, _, _), .update(let relation, _, _, _), .delete(let relation, _, _): id = relation
            }
            changes += 1
            if changes > Self.atOnceLimit { return false }
            if id == lastID { continue }
            guard let table = knownTable(id), batch.relations[id].map({ $0.version == table.relation.version }) ?? true
            else { return false }
            if table.isSelected && !table.isSuspended && table.target == nil { return false }
            lastID = id
        }
        return reader.offset == range.upperBound
    }

    private func isKnown(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var reader = ByteReader(bytes)
        guard let relation = try? Relation.decode(&reader) else { return false }
        return knownTable(relation.id).map { $0.relation.version == relation.version } ?? true
    }

    /// Queues the statements of records that `isPlain` has accepted.
    func queueAll(_ range: Range<Int>) throws(PostgresError) {
        guard let batch else { return }
        var reader = RecordReader(
            UnsafeRawBufferPointer(rebasing: batch.bytes[..<range.upperBound]), offset: range.lowerBound)
        while true {
            let start = reader.offset
            guard let record = (try? reader.next()) ?? nil else { return }
            switch record {
            case .insert(let id, _, let tuple), .update(let id, _, _, let tuple):
                try queueRow(record, id, tuple.count, start)
            case .delete(let id, _, let old): try queueRow(record, id, old.tuple.count, start)
            case .commit: countTransaction()
            default: break
            }
        }
    }

    private func queueRow(_ record: Record, _ id: RelationID, _ columns: Int, _ start: Int) throws(PostgresError) {
        guard let table = knownTable(id), table.isSelected, !table.isSuspended, let target = table.target else {
            return
        }
        guard columns == target.columnCount else {
            throw PostgresError(
                sqlState: "08P01", message: "a row of \(table.name) has \(columns) columns", operation: "write a row")
        }
        count(table)
        if case .insert = record { table.sequencesAreOld = true }
        try queue(record, table, target, start)
    }
}
