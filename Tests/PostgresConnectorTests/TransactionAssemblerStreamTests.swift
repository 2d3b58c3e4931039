import MillraceCore
import MillraceTesting
import Testing

@testable import PostgresConnector

@Suite struct TransactionAssemblerStreamTests {
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

    @Test func cutsOffRolledBackSubtransactions() throws {
        let feed = FeedDouble()
        var assembler = assembler(feed)
        try take(
            [
                Message.streamStart(100), Message.relation(5, "t", columns: ["id"], xid: 100),
                Message.insert(5, ["top"], xid: 100), Message.insert(5, ["kept"], xid: 101),
                Message.insert(5, ["gone"], xid: 102), Message.insert(5, ["gone too"], xid: 103),
                Message.insert(5, ["gone three"], xid: 102), Message.streamStop, Message.streamAbort(100, 103),
                Message.streamAbort(100, 102), Message.streamStart(100, isFirst: false),
                Message.insert(5, ["after"], xid: 101), Message.streamStop,
            ], &assembler)
        let isBetweenBefore = assembler.isBetweenTransactions
        #expect(!isBetweenBefore)
        try take([Message.streamCommit(100, 50)], &assembler)
        let rows = try #require(try feed.log.contents().rows["public.t"])
        #expect(Set(rows.keys) == [["top"], ["kept"], ["after"]])
        #expect(feed.log.state.read { $0.lastOrdinal } == 3)
        let isBetweenAfter = assembler.isBetweenTransactions
        #expect(isBetweenAfter)
    }

    @Test func writesARelationAgainThatWasCutOff() throws {
        let feed = FeedDouble()
        var assembler = assembler(feed)
        try take(
            [
                Message.streamStart(100), Message.relation(6, "u", columns: ["id"], xid: 100),
                Message.insert(6, ["1"], xid: 100), Message.relation(5, "t", columns: ["id"], xid: 101),
                Message.insert(5, ["gone"], xid: 101), Message.streamStop, Message.streamAbort(100, 101),
                // The server sends the relation again; it need not, for us.
                Message.streamStart(100, isFirst: false), Message.insert(5, ["kept"], xid: 100), Message.streamStop,
                Message.streamCommit(100, 50),
            ], &assembler)
        #expect(try feed.log.contents().rows["public.t"].map { Set($0.keys) } == [["kept"]])
    }

    @Test func leavesNothingOfARolledBackTransaction() throws {
        let feed = FeedDouble()
        var assembler = assembler(feed)
        try take(
            [
                Message.streamStart(100), Message.relation(5, "t", columns: ["id"], xid: 100),
                Message.insert(5, ["1"], xid: 100), Message.streamStop, Message.streamAbort(100, 100),
            ], &assembler)
        let isBetween = assembler.isBetweenTransactions
        #expect(isBetween)
        try assembler.handOver()
        #expect(feed.log.state.read { $0.bytes.isEmpty })
    }

    @Test func keepsAnAlteredTableToTheTransactionUntilItCommits() throws {
        let feed = FeedDouble()
        var assembler = assembler(feed)
        try take(
            [
                Message.begin(10), Message.relation(5, "t", columns: ["id"]), Message.insert(5, ["1"]),
                Message.commit(10),
                Message.streamStart(100), Message.relation(5, "t", columns: ["id", "new"], xid: 100),
                Message.insert(5, ["2", "x"], xid: 100), Message.streamStop,
                Message.begin(20), Message.insert(5, ["3"]), Message.commit(20),
                Message.streamCommit(100, 30),
                Message.begin(40), Message.insert(5, ["4", "y"]), Message.commit(40),
            ], &assembler)
        try assembler.handOver()
        let rows = try #require(try feed.log.contents().rows["public.t"])
        #expect(rows == [["1"]: ["1"], ["2"]: ["2", "x"], ["3"]: ["3"], ["4"]: ["4", "y"]])
        #expect(feed.log.state.read { $0.commits.map(\.commitLSN.value) } == [10, 20, 30, 40])
    }

    @Test func dropsStreamedTransactionsThatTheLogHas() throws {
        let feed = FeedDouble()
        var assembler = assembler(feed, lastCommitLSN: 50)
        try take(
            [
                Message.streamStart(100), Message.relation(5, "t", columns: ["id"], xid: 100),
                Message.insert(5, ["1"], xid: 100), Message.streamStop, Message.streamCommit(100, 50),
                Message.begin(60), Message.insert(5, ["2"]), Message.commit(60),
            ], &assembler)
        try assembler.handOver()
        #expect(try feed.log.contents().rows["public.t"] == [["2"]: ["2"]])
    }

    @Test func refusesABlockWithoutItsBeginning() throws {
        var assembler = assembler(FeedDouble())
        let error = #expect(throws: ConnectorError.self) {
            try take([Message.streamStart(100, isFirst: false)], &assembler)
        }
        #expect(error?.kind == .protocolViolation)
    }

    @Test func survivesMutatedBytes() throws {
        var random = SplitMix(state: 20_260_101)
        let recording = (PgOutputRecordings.plain + PgOutputRecordings.streamed)
            .map(PgOutputRecordings.bytes).filter { $0.count < 1000 }
        var errors = 0
        for _ in 0..<100 {
            var assembler = assembler(FeedDouble())
            for _ in 0..<1000 {
                var message = recording[Int(random.next() % UInt64(recording.count))]
                if random.next() % 2 == 0 { mutate(&message, &random) }
                do {
                    try message.withUnsafeBytes { try assembler.take($0, lsn: LSN(random.next() >> 20)) }
                } catch let error as ConnectorError {
                    errors += 1
                    #expect(error.kind == .protocolViolation)
                    if random.next() % 4 == 0 { try assembler.rollBack() }
                }
            }
        }
        #expect(errors > 10_000)
    }

    private func mutate(_ message: inout [UInt8], _ random: inout SplitMix) {
        for _ in 0...(random.next() % 3) {
            guard !message.isEmpty else { return }
            let place = Int(random.next() % UInt64(message.count))
            switch random.next() % 5 {
            case 0: message.removeSubrange(place...)
            case 1: message.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
            case 2: message[place] = 0xFF
            case 3: message[place] ^= UInt8(1 << (random.next() % 8))
            default: message[place] = UInt8(truncatingIfNeeded: random.next())
            }
        }
    }
}
