import Envelope
import MillraceCore
import MillraceTesting
import Testing

/// Markers of a full load: a row is held back until what follows it is known.
@Suite struct SnapshotTests {
    private let a = Relation.table(1, "a", [.int4("id", key: true)])
    private let b = Relation.table(2, "b", [.int4("id", key: true)])

    private func markers(_ lines: [String]) throws -> [String] {
        try lines.map { try OrderedJSON($0)["value"]?["source"]?["snapshot"]?.text ?? "" }
    }

    private func table(_ part: TransactionBuilder, _ relation: Relation, _ ids: ClosedRange<Int>?) {
        part.relation(relation)
        part.load(relation, .begin)
        for id in ids ?? 1...1 where ids != nil { part.insert(relation, [.text(String(id))]) }
        part.load(relation, .end)
    }

    @Test func rowsAreMarkedByTheirPlace() throws {
        let builder = BatchBuilder()
        builder.snapshot(lsn: 100) {
            table($0, a, 1...3)
            table($0, b, 1...3)
        }
        builder.transaction(lsn: 200) { $0.insert(b, ["9"]) }
        let lines = try EventHarness(try .test()).lines(of: builder.build())
        #expect(
            try markers(lines) == [
                "\"first\"", "\"true\"", "\"last_in_data_collection\"", "\"first_in_data_collection\"", "\"true\"",
                "\"last\"", "\"false\"",
            ])
    }

    @Test func theLastRowIsKnownWhenTheLoadIsOverThoughEmptyTablesFollow() throws {
        let builder = BatchBuilder()
        builder.snapshot(lsn: 100) {
            table($0, a, 1...1)
            table($0, b, nil)
            $0.sourceState(#"{"phase":"streaming"}"#)
        }
        #expect(try markers(try EventHarness(try .test()).lines(of: builder.build())) == ["\"last\""])
    }

    @Test func aBoundaryWaitsForTheRowHeldBack() throws {
        let builder = BatchBuilder()
        builder.snapshot(lsn: 100) {
            $0.relation(a)
            $0.load(a, .begin)
            $0.insert(a, ["1"])
            $0.insert(a, ["2"])
        }
        let first = builder.build()
        builder.snapshot(lsn: 100, firstOrdinal: 2) {
            $0.insert(a, ["3"])
            $0.load(a, .end)
        }
        let second = builder.build()
        builder.transaction(lsn: 200) { $0.insert(a, ["4"]) }
        let third = builder.build()

        let harness = EventHarness(try .test())
        #expect(try markers(try harness.lines(of: first)) == ["\"first\""])
        #expect(harness.boundaries.isEmpty)
        #expect(try markers(try harness.lines(of: second)) == ["\"true\""])
        #expect(harness.boundaries.map(\.cursor) == [first.end])
        #expect(try markers(try harness.lines(of: third)) == ["\"last\"", "\"false\""])
        #expect(harness.boundaries.map(\.cursor).contains(second.end))
        #expect(harness.boundaries.last?.cursor == third.end)

        // A sink that begins again behind the first part goes on with the same markers.
        let resumed = EventHarness(try .test(), resumedAt: first.end)
        #expect(try markers(try resumed.lines(of: second) + resumed.lines(of: third)) == ["\"last\"", "\"false\""])
    }
}
