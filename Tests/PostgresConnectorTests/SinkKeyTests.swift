import MillraceCore
import MillraceTesting
import Testing

/// Keys that are made when a load has ended.
@Suite struct SinkKeyTests {
    private static let rows = 12_000
    private static let big = Relation.table(
        20, "big", [.int4("id", key: true), .text("name")])

    /// `count` rows from `first` on, as a part of the load that may begin and end here.
    private func part(
        _ builder: BatchBuilder, _ ids: Range<Int>, begins: Bool = false, ends: Bool = false, name: String = "x"
    ) -> ChangeBatch {
        builder.snapshot(lsn: 100, firstOrdinal: UInt64(ids.lowerBound)) { part in
            if begins { part.load(Self.big, .begin) }
            for id in ids { part.insert(Self.big, [text(id), .text(name)]) }
            if ends { part.load(Self.big, .end) }
        }
        return builder.build()
    }

    private func keys(_ fixture: SinkFixture) throws -> [String] {
        try fixture.lines(
            "select pg_get_constraintdef(oid) from pg_constraint where conrelid = 'big'::regclass and contype in ('p', 'u')"
        )
    }

    private func owed(_ fixture: SinkFixture) throws -> String {
        try fixture.query("select count(*) from millrace.sink_table where owed_keys is not null")
    }

    @Test func tableOfALoadGetsItsKeyAtTheEnd() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        defer { sink.stop() }
        let builder = fixture.builder()
        builder.relation(Self.big)
        _ = try sink.write(part(builder, 0..<Self.rows, begins: true))
        #expect(try keys(fixture) == [])
        #expect(try owed(fixture) == "1")
        _ = try sink.write(part(builder, Self.rows..<Self.rows + 10, ends: true))
        #expect(try keys(fixture) == ["PRIMARY KEY (id)"])
        #expect(try owed(fixture) == "0")
        builder.transaction(lsn: 200) {
            $0.update(Self.big, new: ["3", "changed"])
            $0.insert(Self.big, ["5", "came again"])
        }
        _ = try sink.write(builder.build())
        #expect(try fixture.query("select count(*), count(distinct id) from big") == "12010|12010")
        #expect(try fixture.lines("select name from big where id in (3, 5) order by id") == ["changed", "came again"])
    }

    @Test func smallLoadsAndTablesOfOthersKeepTheirKeys() throws {
        let fixture = try SinkFixture()
        try fixture.execute("create table big (id int primary key, name text)")
        let sink = try fixture.start()
        defer { sink.stop() }
        let builder = fixture.builder()
        builder.relation(Self.big)
        _ = try sink.write(part(builder, 0..<Self.rows, begins: true))
        #expect(try keys(fixture) == ["PRIMARY KEY (id)"])

        let other = try SinkFixture()
        let second = try other.start()
        defer { second.stop() }
        let small = other.builder()
        small.relation(Self.big)
        _ = try second.write(part(small, 0..<10, begins: true))
        #expect(try keys(other) == ["PRIMARY KEY (id)"])
    }

    @Test func loadGoesOnWithoutTheKeyAfterACrash() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        let builder = fixture.builder()
        builder.relation(Self.big)
        let first = part(builder, 0..<Self.rows, begins: true)
        _ = try sink.write(first)
        // As after kill -9: nothing is said to the server.
        sink.interrupt()
        let again = try fixture.makeSink()
        defer { again.stop() }
        #expect(try again.start(after: nil, logID: fixture.logID) == first.end)
        _ = try again.write(part(builder, Self.rows..<2 * Self.rows))
        #expect(try keys(fixture) == [])
        _ = try again.write(part(builder, 2 * Self.rows..<2 * Self.rows, ends: true))
        #expect(try keys(fixture) == ["PRIMARY KEY (id)"])
        #expect(try fixture.query("select count(*) from big") == "24000")
    }

    @Test func loadThatStartsOverOwesTheKeyStill() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        let builder = fixture.builder()
        builder.relation(Self.big)
        _ = try sink.write(part(builder, 0..<Self.rows, begins: true))
        sink.stop()
        let again = try fixture.makeSink()
        defer { again.stop() }
        #expect(try again.start(after: nil, logID: 99) == nil)
        let fresh = BatchBuilder(logID: 99)
        fresh.relation(Self.big)
        _ = try again.write(part(fresh, 0..<Self.rows, begins: true, name: "second"))
        #expect(try keys(fixture) == [])
        _ = try again.write(part(fresh, Self.rows..<Self.rows + 1, ends: true, name: "second"))
        #expect(try keys(fixture) == ["PRIMARY KEY (id)"])
        #expect(try fixture.query("select count(*), min(name) from big") == "12001|second")
    }

    @Test func changesWithoutAnotherLoadGetTheKeyFirst() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        let builder = fixture.builder()
        builder.relation(Self.big)
        _ = try sink.write(part(builder, 0..<Self.rows, begins: true))
        sink.stop()
        let again = try fixture.makeSink()
        defer { again.stop() }
        #expect(try again.start(after: nil, logID: 99) == nil)
        let fresh = BatchBuilder(logID: 99)
        fresh.relation(Self.big).transaction(lsn: 300) { $0.insert(Self.big, ["7", "streamed"]) }
        _ = try again.write(fresh.build())
        #expect(try keys(fixture) == ["PRIMARY KEY (id)"])
        #expect(try fixture.query("select name from big where id = 7") == "streamed")
        #expect(try fixture.query("select count(*) from big") == "12000")
    }

    @Test func definitionThatChangedBeforeTheNextLoadGetsTheKeyFirst() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        let builder = fixture.builder()
        builder.relation(Self.big)
        _ = try sink.write(part(builder, 0..<Self.rows, begins: true))
        sink.stop()
        let again = try fixture.makeSink()
        defer { again.stop() }
        #expect(try again.start(after: nil, logID: 99) == nil)
        let renamed = Relation.table(20, "big", [.int4("number", key: true), .text("name")])
        let fresh = BatchBuilder(logID: 99)
        fresh.relation(renamed).snapshot(lsn: 100) {
            $0.load(renamed, .begin)
            $0.insert(renamed, ["1", "x"])
            $0.load(renamed, .end)
        }
        _ = try again.write(fresh.build())
        #expect(again.status().suspended.isEmpty)
        #expect(try keys(fixture) == ["PRIMARY KEY (number)"])
        #expect(try fixture.query("select count(*) from big") == "1")
    }

    /// A statement of snapshot.select.statement.overrides may bring a key twice.
    @Test func laterRowWinsWhereAKeyComesTwice() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        defer { sink.stop() }
        let builder = fixture.builder()
        builder.relation(Self.big)
        _ = try sink.write(part(builder, 0..<Self.rows, begins: true))
        _ = try sink.write(part(builder, 0..<2, ends: true, name: "later"))
        #expect(sink.status().suspended.isEmpty)
        #expect(try keys(fixture) == ["PRIMARY KEY (id)"])
        #expect(try fixture.lines("select name from big order by id limit 3") == ["later", "later", "x"])
    }

    @Test func keyThatSomebodyNeedsStays() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        defer { sink.stop() }
        let builder = fixture.builder()
        builder.relation(Self.big)
        _ = try sink.write(part(builder, 0..<1, begins: true))
        try fixture.execute("create table hanger (id int references big)")
        _ = try sink.write(part(builder, 1..<Self.rows, ends: true))
        #expect(sink.status().suspended.isEmpty)
        #expect(try keys(fixture) == ["PRIMARY KEY (id)"])
        #expect(try fixture.query("select count(*) from big") == "12000")
    }

    @Test func secondSinkOfATableWaitsForItsKeys() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        defer { sink.stop() }
        let builder = fixture.builder()
        builder.relation(Self.big)
        _ = try sink.write(part(builder, 0..<Self.rows, begins: true))

        let second = try fixture.makeSink(name: "second")
        _ = try second.start(after: nil, logID: fixture.logID)
        let others = fixture.builder()
        others.relation(Self.big)
        let batch = part(others, Self.rows - 1..<Self.rows + 5, begins: true, ends: true, name: "second")
        #expect { _ = try second.write(batch) } throws: { ($0 as? ConnectorError)?.code == "table_being_loaded" }
        second.stop()

        _ = try sink.write(part(builder, 0..<0, ends: true))
        let third = try fixture.makeSink(name: "second")
        defer { third.stop() }
        _ = try third.start(after: nil, logID: fixture.logID)
        _ = try third.write(batch)
        #expect(third.status().suspended.isEmpty)
        #expect(try fixture.query("select count(*), count(distinct id) from big") == "12005|12005")
    }

    /// A ledger of the version before this one.
    @Test func olderLedgerGetsTheColumn() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        sink.stop()
        try fixture.execute("alter table millrace.sink_table drop column owed_keys")
        let again = try fixture.start()
        defer { again.stop() }
        let builder = fixture.builder()
        builder.relation(Self.big)
        _ = try again.write(part(builder, 0..<Self.rows, begins: true, ends: true))
        #expect(try keys(fixture) == ["PRIMARY KEY (id)"])
    }
}
