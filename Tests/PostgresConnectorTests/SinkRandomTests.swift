import MillraceCore
import MillraceTesting
import Testing

/// Thousands of random changes in random batches, with restarts and lost connections in between, compared with a model.
@Suite struct SinkRandomTests {
    private static let columns: [Column] = [
        .int4("id", key: true), .int4("part", key: true), .text("name"), .text("big"),
    ]
    private static let keyed = Relation.table(70, "keyed", columns)
    private static let bag = Relation.table(71, "bag", replicaIdentity: .full, [.int4("a"), .text("b")])

    private struct Row {
        var name: String
        var big: String?
    }

    private struct Key: Hashable {
        var id: Int
        var part: Int

        var values: [TestValue] { [text(id), text(part)] }
    }

    /// SplitMix64: the same changes for the same seed.
    private struct Random: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    private final class Model {
        var random: Random
        var rows: [Key: Row] = [:]
        var bag: [String] = []
        private var names = 0

        init(seed: UInt64) {
            random = Random(state: seed)
        }

        private func value(_ text: String?) -> TestValue { text.map { .text($0) } ?? .null }

        private func key() -> Key {
            Key(id: .random(in: 0..<60, using: &random), part: .random(in: 0..<3, using: &random))
        }

        private func name() -> String {
            // Names of rows that are gone come back, so that the unique index sees them change hands.
            let taken = Set(rows.values.map(\.name))
            for _ in 0..<3 {
                let name = "n\(Int.random(in: 0..<400, using: &random))"
                if !taken.contains(name) { return name }
            }
            names += 1
            return "fresh\(names)"
        }

        func change(_ transaction: TransactionBuilder) {
            if Int.random(in: 0..<400, using: &random) == 0 {
                transaction.truncate([keyed])
                rows.removeAll()
                return
            }
            if Int.random(in: 0..<12, using: &random) == 0 { return changeBag(transaction) }
            let key = key()
            guard var row = rows[key] else {
                let row = Row(name: name(), big: Bool.random(using: &random) ? "big\\\t\(names)" : nil)
                transaction.insert(keyed, key.values + [.text(row.name), value(row.big)])
                rows[key] = row
                return
            }
            switch Int.random(in: 0..<10, using: &random) {
            case 0, 1:
                transaction.delete(keyed, key: key.values + [nil, nil])
                rows[key] = nil
            case 2, 3:
                let other = self.key()
                guard rows[other] == nil else { return }
                let isKept = row.big != nil && Bool.random(using: &random)
                if !isKept { row.big = "moved" }
                transaction.update(
                    keyed, key: key.values + [nil, nil],
                    new: other.values + [.text(row.name), isKept ? .unchanged : value(row.big)])
                rows[key] = nil
                rows[other] = row
            default:
                if Bool.random(using: &random) { row.name = name() }
                let isKept = row.big != nil && Bool.random(using: &random)
                if !isKept { row.big = Bool.random(using: &random) ? "b\(names)" : nil }
                transaction.update(keyed, new: key.values + [.text(row.name), isKept ? .unchanged : value(row.big)])
                rows[key] = row
            }
        }

        private func changeBag(_ transaction: TransactionBuilder) {
            let number = Int.random(in: 0..<5, using: &random)
            let next = "\(Int.random(in: 0..<5, using: &random))"
            switch Int.random(in: 0..<4, using: &random) {
            case 0 where !bag.isEmpty:
                let old = bag.remove(at: number % bag.count)
                transaction.delete(SinkRandomTests.bag, old: [.text(old), nil])
            case 1 where !bag.isEmpty:
                let old = bag[number % bag.count]
                transaction.update(SinkRandomTests.bag, old: [.text(old), nil], new: [.text(next), nil])
                bag[number % bag.count] = next
            default:
                transaction.insert(SinkRandomTests.bag, [.text(next), nil])
                bag.append(next)
            }
        }
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>) func anySequenceOfChangesArrives(seed: UInt64) throws {
        let fixture = try SinkFixture()
        try fixture.execute(
            "create table keyed (id int, part int, name text unique, big text, primary key (id, part));")
        let model = Model(seed: seed)
        let builder = fixture.builder()
        builder.relation(Self.keyed).relation(Self.bag)
        var sink = try fixture.start()
        defer { sink.stop() }
        var lsn: UInt64 = 1000
        var last: Cursor?
        for step in 1...40 {
            let isLarge = Int.random(in: 0..<3, using: &model.random) == 0
            for _ in 0..<(isLarge ? Int.random(in: 20...60, using: &model.random) : 2) {
                lsn += 100
                builder.transaction(lsn: lsn) { transaction in
                    for _ in 0..<Int.random(in: 1...12, using: &model.random) { model.change(transaction) }
                }
            }
            let batch = builder.build()
            #expect(try sink.delivered(batch) == batch.end)
            last = batch.end
            try #require(sink.status().suspended.isEmpty, "\(sink.status().suspended), seed \(seed), step \(step)")
            if Int.random(in: 0..<5, using: &model.random) == 0 {
                sink.stop()
                sink = try fixture.makeSink()
                #expect(try sink.start(after: nil, logID: fixture.logID) == last)
            }
        }
        let expected = model.rows.map { "\($0.key.id)|\($0.key.part)|\($0.value.name)|\($0.value.big ?? "")" }.sorted()
        #expect(try fixture.lines("select * from keyed").sorted() == expected, "seed \(seed)")
        #expect(try fixture.lines("select a from bag").sorted() == model.bag.sorted(), "seed \(seed)")
    }
}
