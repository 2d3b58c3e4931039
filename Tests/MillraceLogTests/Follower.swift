import MillraceCore
import MillraceLog
import MillraceTesting

/// Reads a simulated log and checks that transactions come whole, in order, once, under the right definitions.
struct Follower {
    var reader: LogReader<SimulatedStorage>?
    /// First and last whole transaction seen.
    var first: Int?
    var last: Int?
    /// Behind the last whole transaction.
    var cursor: Cursor?
    var isInside = false
    private var number = 0
    private var nextRow = 0
    private var relations: [RelationID: Relation] = [:]

    init() {}

    mutating func take(_ batch: ChangeBatch) throws {
        for (id, relation) in batch.relations { relations[id] = relation }
        var records = batch.records()
        while let record = try records.next() {
            switch record {
            case .begin(let info): try begin(info)
            case .commit(let count):
                guard isInside, count == UInt64(nextRow) else {
                    throw Failure("commit of \(number): \(count), \(nextRow)")
                }
                isInside = false
                first = first ?? number
                last = number
                cursor = batch.cursor(
                    behind: records.offset, commitLSN: LSN(UInt64(number) * 100), ordinal: UInt64(nextRow))
            case .relation(let body):
                var reader = ByteReader(body)
                let relation = try Relation.decode(&reader)
                relations[relation.id] = relation
            case .insert(let id, _, let new): try row(id, text(new))
            case .sourceState: break
            default: throw Failure("unexpected \(describe(record))")
            }
        }
        guard isInside == batch.endsInTransaction else { throw Failure("batch says endsInTransaction wrongly") }
        if !isInside, let cursor, batch.end.offset > cursor.offset { self.cursor = batch.end }
        if isInside && (batch.end.ordinal != UInt64(nextRow) || batch.end.commitLSN != LSN(UInt64(number) * 100)) {
            throw Failure("batch ends at \(batch.end), not in \(number) behind row \(nextRow)")
        }
    }

    private mutating func begin(_ info: TransactionInfo) throws {
        let number = Int(info.commitLSN.value / 100)
        if info.flags.contains(.continued) {
            guard isInside, number == self.number, info.firstOrdinal == UInt64(nextRow) else {
                throw Failure("continued \(info) in \(self.number) behind row \(nextRow)")
            }
            return
        }
        guard !isInside else { throw Failure("\(number) begins inside \(self.number)") }
        if let last, number != last + 1 { throw Failure("\(number) follows \(last)") }
        isInside = true
        self.number = number
        nextRow = 0
    }

    private mutating func row(_ id: RelationID, _ text: String) throws {
        let parts = text.split(separator: ".")
        guard isInside, parts.count >= 3, Int(parts[0]) == number, Int(parts[1]) == nextRow else {
            throw Failure("row \(text) in \(number), expected row \(nextRow)")
        }
        nextRow += 1
        guard let relation = relations[id] else { throw Failure("row \(text): relation \(id.value) is not known") }
        guard relation.columns.first?.name == "v\(parts[2])" else {
            throw Failure("row \(text) under definition \(relation.columns.first?.name ?? "none") of \(id.value)")
        }
    }
}
