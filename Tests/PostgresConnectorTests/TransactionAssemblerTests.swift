import MillraceCore
import MillraceTesting
import Testing

@testable import PostgresConnector

@Suite struct TransactionAssemblerTests {
    private typealias Message = PgOutputWriter

    private func assembler(_ feed: FeedDouble, lastCommitLSN: UInt64 = 0) -> TransactionAssembler {
        TransactionAssembler(
            feed: feed, lastCommitLSN: LSN(lastCommitLSN),
            messagePrefixes: NameFilter(included: nil, excluded: nil),
            describe: { (message, previous) throws(ConnectorError) in describeForTests(message, previous) })
    }

    private func take(_ messages: [[UInt8]], _ assembler: inout TransactionAssembler) throws {
        for message in messages { try message.withUnsafeBytes { try assembler.take($0, lsn: LSN(1)) } }
    }

    @Test func handsOverWholeTransactionsTogether() throws {
        let feed = FeedDouble()
        var assembler = assembler(feed)
        try take(
            [
                Message.begin(10), Message.relation(5, "t", columns: ["id"]), Message.insert(5, ["a"]),
                Message.commit(10), Message.begin(20), Message.insert(5, ["b"]), Message.commit(20),
            ], &assembler)
        #expect(feed.log.state.read { $0.commits.isEmpty })
        let isHandedOver = try assembler.handOverIfReady()
        #expect(isHandedOver)
        #expect(feed.log.state.read { $0.commits.map(\.endLSN.value) } == [18, 28])
        #expect(try feed.log.contents().rows["public.t"]?.count == 2)
        let inserts = assembler.counts.changes[0].inserts
        #expect(inserts == 2)
    }

    @Test func waitsForTheEndOfATransactionButNotForABusyLog() throws {
        let feed = FeedDouble()
        var assembler = assembler(feed)
        try take(
            [Message.begin(10), Message.relation(5, "t", columns: ["id"]), Message.insert(5, ["a"])], &assembler)
        let isReady = try assembler.handOverIfReady()
        #expect(!isReady)
        #expect(feed.log.state.read { $0.bytes.isEmpty })
        // It was wanted in the middle, and so goes at the end.
        try take([Message.commit(10)], &assembler)
        #expect(feed.log.state.read { $0.commits.count } == 1)
        feed.isBusy = true
        try take([Message.begin(20), Message.insert(5, ["b"]), Message.commit(20)], &assembler)
        let isReadyWhileBusy = try assembler.handOverIfReady()
        #expect(!isReadyWhileBusy)
        #expect(feed.log.state.read { $0.commits.count } == 1)
    }

    @Test func dropsTransactionsThatTheLogHas() throws {
        let feed = FeedDouble()
        var assembler = assembler(feed, lastCommitLSN: 20)
        for lsn in [10, 20, 30] as [UInt64] {
            try take(
                [
                    Message.begin(lsn), Message.relation(5, "t", columns: ["id"]), Message.insert(5, ["\(lsn)"]),
                    Message.commit(lsn),
                ], &assembler)
        }
        try assembler.handOver()
        #expect(feed.log.state.read { $0.commits.map(\.commitLSN.value) } == [30])
    }

    @Test func leavesOutTablesAndColumnsThatAreNotWanted() throws {
        let feed = FeedDouble()
        var assembler = assembler(feed)
        try take(
            [
                Message.begin(10), Message.relation(5, "hidden", columns: ["id"]), Message.insert(5, ["a"]),
                Message.commit(10), Message.begin(20), Message.relation(6, "projected", columns: ["id", "no", "yes"]),
                Message.insert(6, ["1", "secret", nil]), Message.insert(6, ["2", nil, "v"]), Message.commit(20),
            ], &assembler)
        try assembler.handOver()
        // Nothing of ours in the first: it is only WAL that may be confirmed.
        #expect(feed.log.state.read { $0.commits.map(\.commitLSN.value) } == [20])
        let idleLSN = assembler.idleLSN
        #expect(idleLSN == LSN(18))
        let rows = try #require(try feed.log.contents().rows["public.projected"])
        #expect(rows[["1"]] == ["1", nil])
        #expect(rows[["2"]] == ["2", "v"])
    }

    @Test func handsOverLargeTransactionsInParts() throws {
        let feed = FeedDouble()
        var assembler = assembler(feed)
        let value = String(repeating: "x", count: 100_000)
        try take([Message.begin(10), Message.relation(5, "t", columns: ["id", "v"])], &assembler)
        for number in 0..<100 { try take([Message.insert(5, ["\(number)", value])], &assembler) }
        #expect(feed.log.state.read { $0.parts } == 2)
        #expect(try feed.log.contents().rows["public.t"] == nil)
        try take([Message.commit(10)], &assembler)
        #expect(try feed.log.contents().rows["public.t"]?.count == 100)
        // What the log was told at the begin is what may be acknowledged; the rest is idle WAL.
        #expect(feed.log.durableLSN == LSN(10))
        let idleLSN = assembler.idleLSN
        #expect(idleLSN == LSN(18))
        try take([Message.begin(20), Message.insert(5, ["a", nil]), Message.commit(20)], &assembler)
        try assembler.handOver()
        #expect(feed.log.durableLSN == LSN(28))
    }

    @Test func takesBackAPartWhenTheConnectionIsLost() throws {
        let feed = FeedDouble()
        var assembler = assembler(feed)
        let value = String(repeating: "x", count: 5 << 20)
        let start = [
            Message.begin(10), Message.relation(5, "t", columns: ["id", "v"]), Message.insert(5, ["1", value]),
        ]
        try take(start, &assembler)
        #expect(feed.log.state.read { $0.open != nil })
        try assembler.rollBack()
        #expect(feed.log.state.read { $0.open == nil && $0.bytes.isEmpty })
        // Everything comes again.
        try take(start + [Message.commit(10)], &assembler)
        try assembler.handOver()
        #expect(try feed.log.contents().rows["public.t"]?.count == 1)
    }

    @Test func forgetsWhatWasNotHandedOver() throws {
        let feed = FeedDouble()
        var assembler = assembler(feed)
        let transaction = [
            Message.begin(10), Message.relation(5, "t", columns: ["id"]), Message.insert(5, ["1"]), Message.commit(10),
        ]
        try take(transaction, &assembler)
        let before = assembler.lastCommitLSN
        #expect(before == LSN(10))
        try assembler.rollBack()
        let after = assembler.lastCommitLSN
        #expect(after == .zero)
        try take(transaction, &assembler)
        try assembler.handOver()
        #expect(feed.log.state.read { $0.commits.count } == 1)
    }

    @Test func tellsTheLogOfAnAlteredTable() throws {
        let feed = FeedDouble()
        var assembler = assembler(feed)
        try take(
            [
                Message.begin(10), Message.relation(5, "t", columns: ["id"]), Message.insert(5, ["1"]),
                Message.relation(5, "t", columns: ["id", "new"]), Message.insert(5, ["2", "x"]), Message.commit(10),
            ], &assembler)
        try assembler.handOver()
        let contents = try feed.log.contents()
        #expect(contents.relations[RelationID(5)]?.columns.map(\.name) == ["id", "new"])
        #expect(contents.rows["public.t"]?[["2"]] == ["2", "x"])
    }

    @Test func refusesRowsThatDoNotFitTheirRelation() throws {
        let feed = FeedDouble()
        for wrong in [Message.insert(5, ["1", "2"]), Message.insert(6, ["1"]), Message.begin(11), [0x7A]] {
            var assembler = assembler(feed)
            try take([Message.begin(10), Message.relation(5, "t", columns: ["id"])], &assembler)
            let error = #expect(throws: ConnectorError.self) { try take([wrong], &assembler) }
            #expect(error?.kind == .protocolViolation)
        }
    }

    @Test func marksTablesWhoseRowsWereRewritten() throws {
        func relation(_ columns: [Column]) -> Relation {
            Relation(
                id: RelationID(1), namespace: "s", name: "t", topic: "t", replicaIdentity: .primaryKey,
                columns: columns,
                primaryKey: [])
        }
        let id = Column(name: "id", attributeNumber: 1, typeOID: 23, typeName: "integer")
        func added(_ expression: String?) -> Relation {
            relation([
                id, Column(name: "x", attributeNumber: 2, typeOID: 25, typeName: "text", defaultExpression: expression),
            ])
        }
        let before = relation([id])
        for harmless in [nil, "'a(b)'::text", "0", "'1.5'::numeric(10,2)", "NULL::character varying(10)", "true"] {
            #expect(staleness(from: before, to: added(harmless)) == nil)
        }
        for rewriting in ["nextval('s'::regclass)", "now()", "gen_random_uuid()", "CURRENT_USER"] {
            #expect(staleness(from: before, to: added(rewriting)) != nil)
        }
        func typed(_ oid: UInt32, _ modifier: Int32) -> Relation {
            relation([Column(name: "id", attributeNumber: 1, typeOID: oid, typeModifier: modifier, typeName: "x")])
        }
        #expect(staleness(from: typed(1043, 14), to: typed(1043, 24)) == nil)
        #expect(staleness(from: typed(1043, 24), to: typed(1043, 14)) != nil)
        #expect(staleness(from: typed(1043, 24), to: typed(25, -1)) == nil)
        #expect(staleness(from: typed(23, -1), to: typed(20, -1)) == nil)
        #expect(staleness(from: typed(23, -1), to: typed(25, -1)) != nil)
        #expect(staleness(from: typed(1700, 10 << 16 + 6), to: typed(1700, 12 << 16 + 6)) == nil)
        #expect(staleness(from: typed(1700, 10 << 16 + 6), to: typed(1700, 12 << 16 + 5)) != nil)
    }
}
