import MillraceCore
import MillraceTesting
import Testing

/// Rows that the target refuses: their table stops, the others go on, and nothing is lost or repeated when it resumes.
@Suite struct SinkSuspensionTests {
    private static let good = Relation.table(30, "good", [.int4("id", key: true), .int4("v")])
    private static let bad = Relation.table(31, "bad", [.int4("id", key: true), .int4("v")])

    /// Batches 1 to 4; the row that is refused is in the second.
    private func batches(_ fixture: SinkFixture, rows: Int) -> [ChangeBatch] {
        let builder = fixture.builder()
        builder.relation(Self.good).relation(Self.bad)
        return (1...4).map { number in
            for part in 0..<2 {
                builder.transaction(lsn: UInt64(number * 1000 + part * 100)) { transaction in
                    for row in 0..<rows {
                        let id = number * 10_000 + part * 1000 + row
                        transaction.insert(Self.good, [text(id), "1"])
                        let isRefused = number == 2 && part == 1 && row == rows / 2
                        transaction.insert(Self.bad, [text(id), isRefused ? "-1" : "1"])
                    }
                    transaction.update(Self.good, new: [text(number * 10_000), "2"])
                }
            }
            return builder.build()
        }
    }

    private func replay(_ batches: [ChangeBatch], behind cursor: Cursor?, into sink: any Sink) throws -> Cursor? {
        for batch in batches where batch.end.offset > cursor?.offset ?? 0 { _ = try sink.write(batch) }
        return try sink.flush()
    }

    @Test(arguments: [3, 150]) func refusedRowSuspendsItsTableOnly(rows: Int) throws {
        let fixture = try SinkFixture()
        try fixture.execute("create table bad (id int primary key, v int check (v > 0))")
        let batches = batches(fixture, rows: rows)
        let sink = try fixture.start()
        _ = try sink.write(batches[0])
        for batch in batches[1...] {
            #expect(try sink.delivered(batch) == batches[0].end)
        }
        let suspended = try #require(sink.status().suspended.first)
        #expect(suspended.table == "public.bad")
        #expect(suspended.position == "0/834:\(rows / 2 * 2 + 1)")
        #expect(suspended.reason.contains("bad_v_check") && suspended.reason.contains("id=\(21_000 + rows / 2)"))
        #expect(try fixture.query("select count(*) from good") == "\(8 * rows)")
        #expect(try fixture.query("select count(*) from bad") == "\(2 * rows)")
        sink.stop()

        // Still refused: the same again.
        let stubborn = try fixture.makeSink()
        let cursor = try stubborn.start(after: nil, logID: fixture.logID)
        #expect(cursor == batches[0].end)
        #expect(try replay(batches, behind: cursor, into: stubborn) == batches[0].end)
        #expect(stubborn.status().suspended.count == 1)
        stubborn.stop()

        // Mended: the table catches up, the other one ignores what it has.
        try fixture.execute("alter table bad drop constraint bad_v_check; update good set v = 5 where id = 10001")
        let mended = try fixture.makeSink()
        let again = try mended.start(after: nil, logID: fixture.logID)
        #expect(again == batches[0].end)
        #expect(try replay(batches, behind: again, into: mended) == batches[3].end)
        #expect(mended.status().suspended.isEmpty)
        mended.stop()
        #expect(try fixture.query("select count(*), sum(v) from bad") == "\(8 * rows)|\(8 * rows - 2)")
        #expect(try fixture.query("select v from good where id = 10001") == "5")
        #expect(try fixture.query("select count(*) from millrace.suspended_table") == "0")
        let last = try fixture.makeSink()
        #expect(try last.start(after: nil, logID: fixture.logID) == batches[3].end)
        last.stop()
    }

    @Test func stopWhileCatchingUpLosesAndRepeatsNothing() throws {
        let fixture = try SinkFixture()
        try fixture.execute("create table bad (id int primary key, v int check (v > 0))")
        let batches = batches(fixture, rows: 3)
        let sink = try fixture.start()
        for batch in batches { _ = try sink.write(batch) }
        sink.stop()
        try fixture.execute("alter table bad drop constraint bad_v_check")
        // One batch at each start.
        for number in 1...3 {
            let sink = try fixture.makeSink()
            let cursor = try sink.start(after: nil, logID: fixture.logID)
            #expect(cursor == batches[number - 1].end)
            #expect(try sink.delivered(batches[number]) == batches[number].end)
            sink.stop()
        }
        #expect(try fixture.query("select count(*) from bad") == "24")
        #expect(try fixture.query("select count(*) from good") == "24")
    }

    @Test func catchingUpLeavesNewerDefinitionsAlone() throws {
        let fixture = try SinkFixture()
        try fixture.execute("create table bad (id int primary key, v int check (v > 0))")
        let wider = Relation.table(30, "good", [.int4("id", key: true), .int4("v"), .text("w")])
        let builder = fixture.builder()
        builder.relation(Self.good).relation(Self.bad)
        builder.transaction(lsn: 100) { $0.insert(Self.bad, ["1", "-1"]) }
        builder.transaction(lsn: 200) { $0.insert(Self.good, ["1", "1"]) }
        builder.relation(wider)
        builder.transaction(lsn: 300) { $0.insert(wider, ["2", "2", "w"]) }
        let first = builder.build()
        let sink = try fixture.start()
        _ = try sink.write(first)
        builder.transaction(lsn: 400) { $0.insert(wider, ["3", "3", "w"]) }
        let second = builder.build()
        sink.stop()
        try fixture.execute("alter table bad drop constraint bad_v_check")
        let again = try fixture.makeSink()
        #expect(try again.start(after: nil, logID: fixture.logID) == nil)
        _ = try again.write(first)
        #expect(try again.delivered(second) == second.end)
        again.stop()
        #expect(try fixture.lines("select id, v, w from good order by id") == ["1|1|", "2|2|w", "3|3|w"])
        #expect(try fixture.query("select count(*) from bad") == "1")
    }

    @Test func tableThatIsNoLongerSelectedHoldsNothingBack() throws {
        let fixture = try SinkFixture()
        try fixture.execute("create table bad (id int primary key, v int check (v > 0))")
        let batches = batches(fixture, rows: 3)
        let sink = try fixture.start()
        for batch in batches { _ = try sink.write(batch) }
        sink.stop()
        let narrower = try fixture.makeSink(topics: .names(["srv.public.good"]))
        #expect(try narrower.start(after: nil, logID: fixture.logID) == batches[3].end)
        #expect(narrower.status().suspended.isEmpty)
        narrower.stop()
    }

    @Test func missingTableIsSuspendedWithItsDefinition() throws {
        let fixture = try SinkFixture()
        try fixture.execute("create table good (id int primary key, v int)")
        let batches = batches(fixture, rows: 2)
        let sink = try fixture.start(["auto.create": "false"])
        defer { sink.stop() }
        for batch in batches { _ = try sink.write(batch) }
        #expect(sink.status().suspended.first?.reason.contains("CREATE TABLE \"public\".\"bad\"") == true)
        #expect(try fixture.query("select count(*) from good") == "16")
    }

    @Test func refusalWithinALargeTransactionReadsItAgain() throws {
        let fixture = try SinkFixture()
        try fixture.execute("create table bad (id int primary key, v int check (v > 0))")
        let builder = fixture.builder()
        builder.relation(Self.good).relation(Self.bad)
        builder.transaction(lsn: 100, commit: false) { $0.insert(Self.good, ["1", "1"]) }
        let first = builder.build()
        builder.transaction(lsn: 100, firstOrdinal: 1) {
            $0.insert(Self.bad, ["1", "-1"])
            $0.insert(Self.good, ["2", "1"])
        }
        let second = builder.build()
        let sink = try fixture.start()
        defer { sink.stop() }
        #expect(try sink.write(first) == .accepted)
        #expect(throws: ConnectorError.self) { try sink.write(second) }
        #expect(try sink.start(after: nil, logID: fixture.logID) == nil)
        // The start that came by itself leaves the table alone, or this would go on for ever.
        #expect(try sink.write(first) == .accepted)
        #expect(try sink.write(second) == .accepted)
        #expect(sink.status().suspended.first?.position == "0/64:1")
        #expect(try fixture.query("select count(*) from good") == "2")
        // The next one tries it again.
        try fixture.execute("alter table bad drop constraint bad_v_check")
        #expect(try sink.start(after: nil, logID: fixture.logID) == nil)
        _ = try sink.write(first)
        #expect(try sink.delivered(second) == second.end)
        #expect(try fixture.query("select count(*) from good, bad") == "2")
    }
}
