import MillraceCore
import MillraceTesting
import Testing

/// Full loads, truncates, and tables without a key.
@Suite struct SinkLoadTests {
    private static let people = Relation.table(10, "people", [.int4("id", key: true), .text("name")])
    private static let log = Relation.table(
        11, "log", replicaIdentity: .full, [.int4("a"), .text("b"), Column(name: "c", typeOID: 114, typeName: "json")])

    private func load(_ builder: BatchBuilder, _ relation: Relation, lsn: UInt64, _ rows: [[TestValue]]) -> ChangeBatch
    {
        builder.relation(relation)
        builder.snapshot(lsn: lsn) {
            $0.load(relation, .begin)
            for row in rows { $0.insert(relation, row) }
            $0.load(relation, .end)
        }
        return builder.build()
    }

    @Test func loadFillsAnEmptyTableAndReplacesWhatItLoadedBefore() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        let builder = fixture.builder()
        _ = try sink.write(load(builder, Self.people, lsn: 100, [["1", "Ada"], ["2", "Bob"]]))
        _ = try sink.write(load(builder, Self.people, lsn: 200, [["2", "Bea"], ["3", "Cy"]]))
        #expect(try fixture.lines("select id, name from people order by id") == ["2|Bea", "3|Cy"])
        sink.stop()
        // A new log: the load begins again.
        let again = try fixture.makeSink()
        #expect(try again.start(after: nil, logID: 99) == nil)
        _ = try again.write(load(BatchBuilder(logID: 99), Self.people, lsn: 300, [["4", "Dee"]]))
        #expect(try fixture.lines("select id, name from people order by id") == ["4|Dee"])
        again.stop()
    }

    @Test func loadIntoRowsOfOthersKeepsThem() throws {
        let fixture = try SinkFixture()
        try fixture.execute(
            "create table people (id int primary key, name text); insert into people values (1, 'x'), (9, 'y')")
        let sink = try fixture.start()
        defer { sink.stop() }
        _ = try sink.write(load(fixture.builder(), Self.people, lsn: 100, [["1", "Ada"], ["2", "Bob"]]))
        #expect(try fixture.lines("select id, name from people order by id") == ["1|Ada", "2|Bob", "9|y"])
    }

    @Test func loadWithoutKeyIntoRowsOfOthersSuspends() throws {
        let fixture = try SinkFixture()
        try fixture.execute("create table log (a int, b text, c json); insert into log values (1, 'x', null)")
        let sink = try fixture.start()
        defer { sink.stop() }
        _ = try sink.write(load(fixture.builder(), Self.log, lsn: 100, [["1", "Ada", nil]]))
        #expect(sink.status().suspended.first?.reason.contains("TRUNCATE") == true)
        #expect(try fixture.query("select count(*) from log") == "1")
    }

    /// One transaction could not hold the locks that come with so many new tables.
    @Test func thousandTablesAreLoaded() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        defer { sink.stop() }
        let builder = fixture.builder()
        var ordinal: UInt64 = 0
        for number in 0..<1000 {
            let table = Relation.table(UInt32(5000 + number), "t\(number)", [.int4("id", key: true), .text("v")])
            builder.relation(table)
            builder.snapshot(lsn: 100, firstOrdinal: ordinal) {
                $0.load(table, .begin)
                $0.insert(table, ["1", "x"])
                $0.load(table, .end)
            }
            ordinal += 1
        }
        let batch = builder.build()
        #expect(try sink.delivered(batch) == batch.end)
        #expect(sink.status().suspended.isEmpty)
        #expect(try fixture.query("select count(*) from pg_tables where schemaname = 'public'") == "1000")
        #expect(sink.status().changes == 1000)
    }

    @Test func loadsOfSeveralTablesMayTakeTurns() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        defer { sink.stop() }
        let builder = fixture.builder()
        builder.relation(Self.people).relation(Self.log)
        builder.snapshot(lsn: 100) { part in
            part.load(Self.people, .begin)
            for id in 1...500 { part.insert(Self.people, [text(id), "a\\b"]) }
        }
        builder.snapshot(lsn: 100, firstOrdinal: 500) { part in
            part.load(Self.log, .begin)
            for id in 1...300 { part.insert(Self.log, [text(id), nil, "{\"a\":\"\\\\\"}"]) }
        }
        builder.snapshot(lsn: 100, firstOrdinal: 800) { part in
            for id in 501...600 { part.insert(Self.people, [text(id), nil]) }
            part.load(Self.people, .end)
            part.load(Self.log, .end)
        }
        builder.transaction(lsn: 200) {
            $0.update(Self.people, new: ["600", "late"])
            $0.delete(Self.log, old: ["300", nil, "{\"a\":\"\\\\\"}"])
        }
        _ = try sink.write(builder.build())
        #expect(try fixture.query("select count(*), count(name), min(name) from people") == "600|501|a\\b")
        #expect(try fixture.query("select name from people where id = 600") == "late")
        #expect(try fixture.query("select count(*), min(c ->> 'a') from log") == "299|\\")
    }

    @Test(arguments: [0, 300]) func rowsWithoutKeyAreFoundByAllTheirValues(padding: Int) throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        defer { sink.stop() }
        let builder = fixture.builder()
        builder.relation(Self.log)
        builder.transaction(lsn: 100) {
            for _ in 0..<3 { $0.insert(Self.log, ["1", "same", "{\"k\":1}"]) }
            $0.insert(Self.log, ["2", nil, nil])
            for id in 0..<padding { $0.insert(Self.log, [text(1000 + id), nil, nil]) }
        }
        _ = try sink.write(builder.build())
        builder.transaction(lsn: 200) {
            $0.delete(Self.log, old: ["1", "same", "{\"k\":1}"])
            $0.update(Self.log, old: ["1", "same", "{\"k\":1}"], new: ["1", "other", .unchanged])
            $0.update(Self.log, old: ["2", nil, nil], new: ["2", "set", nil])
            for id in 0..<padding { $0.insert(Self.log, [text(2000 + id), nil, nil]) }
        }
        _ = try sink.write(builder.build())
        #expect(
            try fixture.lines("select a, b, c from log where a < 1000 order by a, b")
                == ["1|other|{\"k\":1}", "1|same|{\"k\":1}", "2|set|"])
        #expect(try fixture.query("select count(*) from log where a >= 1000") == "\(2 * padding)")
        #expect(sink.status().suspended.isEmpty)
    }

    @Test func truncateOfSeveralTablesMindsForeignKeys() throws {
        let fixture = try SinkFixture()
        let parent = Relation.table(20, "parent", [.int4("id", key: true)])
        let child = Relation.table(21, "child", [.int4("id", key: true), .int4("parent")])
        try fixture.execute(
            """
            create table parent (id int primary key);
            create table child (id int primary key, parent int references parent);
            create table mine (id int primary key, child int references child);
            """)
        let sink = try fixture.start()
        defer { sink.stop() }
        let builder = fixture.builder()
        builder.relation(parent).relation(child)
        builder.transaction(lsn: 100) {
            $0.insert(child, ["1", "1"])
            $0.insert(parent, ["1"])
        }
        _ = try sink.write(builder.build())
        try fixture.execute("insert into mine values (7, 1)")
        builder.transaction(lsn: 200) {
            $0.truncate([parent, child], cascade: true)
            $0.insert(parent, ["2"])
        }
        _ = try sink.write(builder.build())
        #expect(
            try fixture.lines(
                "select id from parent union all select id + 100 from child union all select id from mine") == [
                    "2", "7",
                ])
        #expect(sink.status().suspended.isEmpty)
    }
}
