import MillraceCore
import MillraceLog
import MillraceTesting

typealias SimulatedLog = ChangeLog<SimulatedStorage>

/// A row's only column as text, or what else a record is: enough to compare logs.
func describe(_ record: Record) -> String {
    switch record {
    case .begin(let info):
        let flags =
            (info.flags.contains(.continued) ? " continued" : "") + (info.flags.contains(.snapshot) ? " snapshot" : "")
        return "B \(info.commitLSN) first \(info.firstOrdinal)\(flags)"
    case .commit(let count): return "C \(count)"
    case .relation(let body):
        var reader = ByteReader(body)
        guard let relation = try? Relation.decode(&reader) else { return "R malformed" }
        return "R \(relation.qualifiedName)"
    case .insert(let id, _, let new): return "I \(id.value) \(text(new))"
    case .update(let id, _, _, let new): return "U \(id.value) \(text(new))"
    case .delete(let id, _, let old): return "D \(id.value) \(text(old.tuple))"
    case .truncate(_, let view): return "T \(view.relations.map(\.value))"
    case .message(_, let message): return "M \(String(decoding: message.prefix, as: UTF8.self))"
    case .sourceState(let state): return "S \(String(decoding: state, as: UTF8.self))"
    case .load(let id, let phase): return "L \(id.value) \(phase == .begin ? "begin" : "end")"
    }
}

func text(_ tuple: TupleView) -> String {
    tuple.map { column in
        switch column {
        case .null: "null"
        case .unchanged: "unchanged"
        case .text(let value), .binary(let value):
            value.count > 200 ? "\(value.count) bytes" : String(decoding: value, as: UTF8.self)
        }
    }.joined(separator: ",")
}

func describe(_ batch: ChangeBatch) throws -> [String] {
    var lines: [String] = []
    var reader = batch.records()
    while let record = try reader.next() { lines.append(describe(record)) }
    return lines
}

extension ChangeLog {
    /// Everything that a new reader gets behind `cursor`, as lines.
    func lines(after cursor: Cursor? = nil, byteLimit: Int = 1 << 20) throws -> [String] {
        let reader = try makeReader(after: cursor)
        var lines: [String] = []
        while let batch = try reader.next(byteLimit: byteLimit, timeout: .zero) { lines += try describe(batch) }
        return lines
    }
}

/// A table whose one column is called after a version, so that definitions can be told apart.
func table(_ id: UInt32, version: Int = 1) -> Relation {
    .table(id, "t\(id)", [.text("v\(version)")])
}

func transactionInfo(
    _ lsn: UInt64, flags: TransactionInfo.Flags = [], firstOrdinal: UInt64 = 0, xid: UInt32 = 7
) -> TransactionInfo {
    TransactionInfo(
        flags: flags, xid: xid, commitLSN: LSN(lsn), endLSN: LSN(lsn + 8),
        commitTime: Timestamp(microsecondsSince2000: Int64(lsn) * 1000), firstOrdinal: firstOrdinal)
}

/// A buffer with one whole transaction that inserts `rows` into relation 1.
func transaction(_ lsn: UInt64, _ rows: [String], define: Bool = false, state: String? = nil) -> RecordBuffer {
    let buffer = RecordBuffer()
    let builder = TransactionBuilder(transactionInfo(lsn), into: buffer)
    if define { builder.relation(table(1)) }
    for row in rows { builder.insert(table(1), [.text(row)]) }
    builder.commit()
    if let state { builder.sourceState(state) }
    return buffer
}

/// Rows without begin and commit, for spools and parts of transactions.
func rows(_ rows: [String], relation: Relation = table(1), define: Bool = false) -> RecordBuffer {
    let buffer = RecordBuffer()
    if define { buffer.relation(relation) }
    for row in rows { insert(row, into: relation, buffer) }
    return buffer
}

func insert(_ row: String, into relation: Relation, _ buffer: RecordBuffer) {
    let start = buffer.beginRow(RecordKind.insert, relation: relation.id, lsn: LSN(1))
    buffer.beginTuple(0x4E, columnCount: 1)
    Array(row.utf8).withUnsafeBytes { buffer.appendColumn(TupleView.Kind.text, $0) }
    buffer.endRow(start)
}

/// Whether `body` was refused for want of space.
func isRefusedForSpace(_ body: () throws -> Void) throws -> Bool {
    do {
        try body()
        return false
    } catch let error as LogError {
        guard case .noSpace = error else { throw error }
        return true
    }
}

/// The error that `body` throws; nil for none.
func logError(_ body: () throws -> Void) -> LogError? {
    do {
        try body()
        return nil
    } catch {
        return error as? LogError
    }
}
