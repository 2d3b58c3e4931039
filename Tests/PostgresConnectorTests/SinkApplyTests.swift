import MillraceCore
import MillraceTesting
import Testing

/// What single changes and batches do to the target. Every case runs as a few statements and as sets.
@Suite struct SinkApplyTests {
    static let people = Relation.table(10, "people", [.int4("id", key: true), .text("name"), .text("note")])

    /// Rows far from those of the test, to make a batch large enough for sets.
    private func pad(_ transaction: TransactionBuilder, _ isLarge: Bool) {
        guard isLarge else { return }
        for id in 1000..<1200 { transaction.insert(Self.people, [text(id), "pad", nil]) }
    }

    private func apply(_ isLarge: Bool, _ first: (TransactionBuilder) -> Void, _ second: (TransactionBuilder) -> Void)
        throws
        -> [String]
    {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        let builder = fixture.builder()
        builder.relation(Self.people).transaction(lsn: 100) { first($0) }
        #expect(try sink.delivered(builder.build()) != nil)
        builder.transaction(lsn: 200) {
            pad($0, isLarge)
            second($0)
        }
        let batch = builder.build()
        #expect(try sink.delivered(batch) == batch.end)
        sink.stop()
        let again = try fixture.makeSink()
        #expect(try again.start(after: nil, logID: fixture.logID) == batch.end)
        again.stop()
        return try fixture.lines("select id, name, coalesce(note, '-') from people where id < 1000 order by id")
    }

    @Test(arguments: [false, true]) func insertsUpdatesAndDeletesArrive(isLarge: Bool) throws {
        let rows = try apply(isLarge) {
            $0.insert(Self.people, ["1", "Ada", "a\tb\\c\nd\re"])
            $0.insert(Self.people, ["2", "Bob", nil])
            $0.insert(Self.people, ["3", "Cy", "\\N"])
        } _: {
            $0.update(Self.people, new: ["2", "Bobby", "x"])
            $0.delete(Self.people, key: ["3", nil, nil])
            $0.insert(Self.people, ["4", "Dee", nil])
            $0.update(Self.people, new: ["4", "Di", nil])
            $0.insert(Self.people, ["5", "Eve", nil])
            $0.delete(Self.people, key: ["5", nil, nil])
        }
        #expect(rows.joined(separator: ";").contains("2|Bobby|x;4|Di|-"))
        #expect(rows.first?.hasPrefix("1|Ada|a\tb\\c") == true)
    }

    @Test(arguments: [false, true]) func unchangedValuesStay(isLarge: Bool) throws {
        let rows = try apply(isLarge) {
            $0.insert(Self.people, ["1", "Ada", "long"])
            $0.insert(Self.people, ["2", "Bob", "longer"])
        } _: {
            $0.update(Self.people, new: ["1", "Ada2", .unchanged])
            $0.update(Self.people, new: ["2", .unchanged, "changed"])
            $0.update(Self.people, new: ["2", "Bob2", .unchanged])
            $0.insert(Self.people, ["3", "Cy", "fresh"])
            $0.update(Self.people, new: ["3", "Cy2", .unchanged])
        }
        #expect(rows == ["1|Ada2|long", "2|Bob2|changed", "3|Cy2|fresh"])
    }

    @Test(arguments: [false, true]) func keysChangeAndAreExchanged(isLarge: Bool) throws {
        let rows = try apply(isLarge) {
            for id in 1...4 { $0.insert(Self.people, [text(id), .text("p\(id)"), "long"]) }
        } _: {
            $0.update(Self.people, key: ["1", nil, nil], new: ["9", "p1", "long"])
            $0.update(Self.people, key: ["2", nil, nil], new: ["1", "p2", "long"])
            $0.update(Self.people, key: ["9", nil, nil], new: ["2", "p1", "long"])
            // Only the target has the note of this one.
            $0.update(Self.people, key: ["3", nil, nil], new: ["30", "p3", .unchanged])
            $0.update(Self.people, new: ["30", "p3b", .unchanged])
        }
        #expect(rows == ["1|p2|long", "2|p1|long", "4|p4|long", "30|p3b|long"])
    }

    @Test(arguments: [false, true]) func rowsThatComeBackAreReplaced(isLarge: Bool) throws {
        let rows = try apply(isLarge) {
            $0.insert(Self.people, ["1", "Ada", "old"])
            $0.insert(Self.people, ["2", "Bob", "old"])
        } _: {
            $0.delete(Self.people, key: ["1", nil, nil])
            $0.insert(Self.people, ["1", "Ada", nil])
            $0.delete(Self.people, key: ["2", nil, nil])
            $0.insert(Self.people, ["2", "Bob", nil])
            $0.delete(Self.people, key: ["2", nil, nil])
        }
        #expect(rows == ["1|Ada|-"])
    }

    @Test(arguments: [false, true]) func truncateStandsBetweenChanges(isLarge: Bool) throws {
        let rows = try apply(isLarge) {
            $0.insert(Self.people, ["1", "Ada", "old"])
        } _: {
            $0.insert(Self.people, ["2", "Bob", nil])
            $0.truncate([Self.people], restartIdentity: true)
            $0.insert(Self.people, ["3", "Cy", nil])
        }
        #expect(rows == ["3|Cy|-"])
    }

    @Test(arguments: [false, true]) func upsertOverwritesAndCompletes(isLarge: Bool) throws {
        let fixture = try SinkFixture()
        try fixture.execute(
            "create table people (id int primary key, name text, note text); insert into people values (1, 'there', 'x')"
        )
        let sink = try fixture.start()
        defer { sink.stop() }
        let builder = fixture.builder()
        builder.relation(Self.people).transaction(lsn: 100) {
            pad($0, isLarge)
            $0.insert(Self.people, ["1", "Ada", nil])
            $0.update(Self.people, new: ["2", "missing", nil])
            if isLarge { for id in 2000..<2200 { $0.update(Self.people, new: [text(id), "missing", nil]) } }
        }
        _ = try sink.write(builder.build())
        #expect(
            try fixture.lines("select id, name, coalesce(note, '-') from people where id < 1000 order by id")
                == ["1|Ada|-", "2|missing|-"])
        if isLarge { #expect(try fixture.query("select count(*) from people where id >= 2000") == "200") }
    }

    @Test func secondUniqueIndexIsNotViolatedInPassing() throws {
        let fixture = try SinkFixture()
        try fixture.execute("create table people (id int primary key, name text unique, note text)")
        let sink = try fixture.start()
        defer { sink.stop() }
        let builder = fixture.builder()
        builder.relation(Self.people).transaction(lsn: 100) {
            for id in 1...300 { $0.insert(Self.people, [text(id), .text("n\(id)"), nil]) }
        }
        builder.transaction(lsn: 200) {
            // Every name moves on by one, by way of a name that nobody has.
            $0.update(Self.people, new: ["300", "spare", nil])
            for id in (1..<300).reversed() { $0.update(Self.people, new: [text(id), .text("n\(id + 1)"), nil]) }
            $0.update(Self.people, new: ["300", "n1", nil])
        }
        _ = try sink.write(builder.build())
        #expect(try fixture.query("select count(*) from people where name = 'n' || (id % 300 + 1)") == "300")
        #expect(sink.status().suspended.isEmpty)
    }

    @Test func manyTablesInterleavedArrive() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        defer { sink.stop() }
        let tables = (0..<60).map { Relation.table(UInt32(200 + $0), "t\($0)", [.int4("id", key: true), .text("v")]) }
        let builder = fixture.builder()
        for table in tables { builder.relation(table) }
        builder.transaction(lsn: 100) {
            for id in 0..<30 { for table in tables { $0.insert(table, [text(id), "a"]) } }
            // One that is large, among small ones.
            for id in 100..<400 { $0.insert(tables[7], [text(id), "a"]) }
        }
        builder.transaction(lsn: 200) {
            for id in 0..<10 {
                for table in tables { $0.delete(table, key: [text(id), nil]) }
                for table in tables { $0.update(table, new: [text(id + 10), "b"]) }
            }
        }
        _ = try sink.write(builder.build())
        for (number, table) in tables.enumerated() {
            #expect(
                try fixture.query("select count(*), count(*) filter (where v = 'b') from \(table.name)")
                    == "\(number == 7 ? 320 : 20)|10")
        }
        #expect(sink.status().changesByTable["public.t3"] == 50)
    }

    /// REPLICA IDENTITY FULL with a primary key: rows are found by the key, whatever the rest.
    @Test(arguments: [3, 300]) func wholeOldRowsAreReadForTheirKey(rows: Int) throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        defer { sink.stop() }
        let columns = Self.people.columns
        let full = Relation(
            id: RelationID(12), namespace: "public", name: "people", topic: "srv.public.people", replicaIdentity: .full,
            columns: columns, primaryKey: [0])
        let builder = fixture.builder()
        builder.relation(full).transaction(lsn: 100) {
            for id in 0..<rows { $0.insert(full, [text(id), "a", "long"]) }
        }
        _ = try sink.write(builder.build())
        builder.transaction(lsn: 200) {
            for id in 0..<rows {
                let old: [TestValue] = [text(id), "a", "long"]
                switch id % 3 {
                case 0: $0.update(full, old: old, new: [text(id), "b", .unchanged])
                case 1: $0.update(full, old: old, new: [text(id + 1000), "c", .unchanged])
                default: $0.delete(full, old: old)
                }
            }
        }
        _ = try sink.write(builder.build())
        #expect(
            try fixture.lines(
                "select name, count(*), bool_and(note = 'long'), bool_and(id >= 1000) from people group by 1 order by 1"
            )
                == ["b|\(rows / 3)|t|f", "c|\(rows / 3)|t|t"])
    }

    @Test func largeTransactionIsInvisibleUntilItsEnd() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        defer { sink.stop() }
        let builder = fixture.builder()
        builder.relation(Self.people)
        builder.transaction(lsn: 100) { $0.insert(Self.people, ["1", "before", nil]) }
        builder.transaction(lsn: 200, commit: false) {
            for id in 2...500 { $0.insert(Self.people, [text(id), "big", nil]) }
        }
        let first = builder.build()
        guard case .durable(let cursor) = try sink.write(first) else {
            Issue.record("nothing durable")
            return
        }
        #expect(cursor.commitLSN == LSN(100) && cursor < first.end)
        #expect(try fixture.query("select count(*) from people") == "1")
        builder.transaction(lsn: 200, firstOrdinal: 499, commit: false) {
            for id in 501...1000 { $0.insert(Self.people, [text(id), "big", nil]) }
        }
        #expect(try sink.write(builder.build()) == .durable(through: cursor))
        #expect(try sink.flush() == cursor)
        #expect(try fixture.query("select count(*) from people") == "1")
        builder.transaction(lsn: 200, firstOrdinal: 999) { $0.delete(Self.people, key: ["1000", nil, nil]) }
        let last = builder.build()
        #expect(try sink.delivered(last) == last.end)
        #expect(try fixture.query("select count(*) from people") == "999")
    }

    @Test func tablesOfOtherTopicsAreLeftOut() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.makeSink(topics: .names(["srv.public.other"]))
        _ = try sink.start(after: nil, logID: fixture.logID)
        defer { sink.stop() }
        let builder = fixture.builder()
        builder.relation(Self.people).transaction(lsn: 100) { $0.insert(Self.people, ["1", "Ada", nil]) }
        let batch = builder.build()
        #expect(try sink.delivered(batch) == batch.end)
        #expect(try fixture.query("select to_regclass('people') is null") == "t")
    }
}
