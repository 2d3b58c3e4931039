import MillraceCore

/// Makes transactions out of batches, and checks that these are whole, in order and under the right definitions: what a
/// careful sink knows of a log.
struct LogFollower {
    struct Transaction {
        var commitLSN: UInt64
        var endLSN: UInt64
        var firstOrdinal: UInt64
        var isLoad: Bool
        var loads: [UInt32] = []
        var changes: [Change] = []
        /// Behind it.
        var cursor: Cursor?
    }

    private var open: Transaction?
    private var relations: [RelationID: Relation] = [:]

    /// Whole transactions that end in `batch`.
    mutating func take(_ batch: ChangeBatch) throws -> [Transaction] {
        relations.merge(batch.relations) { $1 }
        var finished: [Transaction] = []
        var records = batch.records()
        while let record = try records.next() {
            switch record {
            case .begin(let info): try begin(info)
            case .commit(let count):
                guard var transaction = open, count == transaction.firstOrdinal + UInt64(transaction.changes.count)
                else { throw Failure("a commit of \(count) changes behind \(describe(open))") }
                transaction.cursor = batch.cursor(
                    behind: records.offset, commitLSN: LSN(transaction.commitLSN), ordinal: count)
                finished.append(transaction)
                open = nil
            case .relation(let body):
                var reader = ByteReader(body)
                let relation = try Relation.decode(&reader)
                relations[relation.id] = relation
            case .load(let id, let phase):
                guard phase == .begin else { continue }
                open?.loads.append(id.value)
            case .sourceState, .message: break
            default: try add(record)
            }
        }
        guard (open != nil) == batch.endsInTransaction else { throw Failure("endsInTransaction of a batch is wrong") }
        return finished
    }

    private mutating func begin(_ info: TransactionInfo) throws {
        if let open {
            guard info.flags.contains(.continued), info.commitLSN.value == open.commitLSN,
                info.firstOrdinal == open.firstOrdinal + UInt64(open.changes.count)
            else { throw Failure("\(info) inside \(describe(open))") }
            return
        }
        guard !info.flags.contains(.continued) else { throw Failure("\(info) without its beginning") }
        open = Transaction(
            commitLSN: info.commitLSN.value, endLSN: info.endLSN.value, firstOrdinal: info.firstOrdinal,
            isLoad: info.flags.contains(.snapshot))
    }

    private mutating func add(_ record: Record) throws {
        guard open != nil else { throw Failure("a change outside a transaction") }
        switch record {
        case .insert(let id, _, let new):
            let (key, value) = try row(new)
            append(try change(id, .insert, key, value))
        case .update(let id, _, let old, let new):
            let (key, value) = try row(new)
            var change = try change(id, .update, key, value)
            change.oldKey = try old.map { try row($0.tuple).key }
            append(change)
        case .delete(let id, _, let old):
            append(try change(id, .delete, try row(old.tuple).key, nil))
        case .truncate(_, let view):
            for id in view.relations { append(try change(id, .truncate, 0, nil)) }
        default: throw Failure("an unexpected record")
        }
    }

    private mutating func append(_ change: Change) { open?.changes.append(change) }

    private func change(
        _ id: RelationID, _ operation: Change.Operation, _ key: Int, _ value: String?
    ) throws -> Change {
        guard let relation = relations[id], let version = Int(relation.columns[1].name.dropFirst()) else {
            throw Failure("relation \(id.value) is not known")
        }
        return Change(table: id.value, version: version, operation: operation, key: key, value: value)
    }

    private func row(_ tuple: TupleView) throws -> (key: Int, value: String?) {
        var columns = tuple.makeIterator()
        guard case .text(let text)? = columns.next(), let key = Int(String(decoding: text, as: UTF8.self)) else {
            throw Failure("a row without its key")
        }
        guard case .text(let value)? = columns.next() else { return (key, nil) }
        return (key, String(decoding: value, as: UTF8.self))
    }

    private func describe(_ transaction: Transaction?) -> String {
        transaction.map { "the transaction at \($0.commitLSN), \($0.changes.count) changes" } ?? "no transaction"
    }
}

extension Expected {
    /// Nil, or in what `found` differs.
    func difference(from found: LogFollower.Transaction) -> String? {
        guard found.commitLSN == commitLSN, found.firstOrdinal == firstOrdinal else {
            return
                "found the transaction at \(found.commitLSN):\(found.firstOrdinal), expected \(commitLSN):\(firstOrdinal)"
        }
        // One that went to the log in parts began before its end was known.
        guard found.endLSN == endLSN || found.endLSN == commitLSN else {
            return "the transaction at \(commitLSN) ends at \(found.endLSN), expected \(endLSN)"
        }
        guard found.loads == loads else { return "the part of the load at \(firstOrdinal) is of another table" }
        guard found.changes == changes else {
            return "the transaction at \(commitLSN) has \(found.changes), expected \(changes)"
        }
        return nil
    }
}
