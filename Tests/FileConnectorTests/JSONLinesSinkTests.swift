import MillraceCore
import MillraceTesting
import Testing

@testable import FileConnector

@Suite struct JSONLinesSinkTests {
    private let table = Relation.table(1, "t", [.int4("id", key: true), .text("v")])

    /// A small log, each transaction in a batch of its own: a full load, changes, and a transaction in two batches.
    private func batches() -> [ChangeBatch] {
        let builder = BatchBuilder()
        var batches: [ChangeBatch] = []
        builder.snapshot(lsn: 100) {
            $0.relation(table)
            $0.load(table, .begin)
            $0.insert(table, ["1", "a"])
            $0.insert(table, ["2", "b"])
            $0.load(table, .end)
        }
        batches.append(builder.build())
        for step in 1...4 {
            builder.transaction(lsn: UInt64(100 + step * 100), xid: UInt32(step)) {
                $0.update(table, new: ["1", .text(String(repeating: "x", count: step * 40))])
                $0.delete(table, key: [.text(String(step)), nil])
            }
            batches.append(builder.build())
        }
        return batches
    }

    private func undisturbed(_ properties: [String: String]) throws -> [String] {
        let run = SinkRun(properties)
        let sink = try run.makeSink()
        try run.deliver(batches(), to: sink)
        sink.stop()
        return run.events
    }

    @Test func everyFileIsCompleteAndNothingIsMissing() throws {
        let run = SinkRun(["rotate.bytes": "1"])
        let sink = try run.makeSink()
        try run.deliver(batches(), to: sink)
        sink.stop()
        #expect(run.storage.finished("jsonl").count == 5)
        #expect(run.storage.finished("tmp").isEmpty)
        #expect(run.events.count == 2 + 4 * 3)
        #expect(run.stored == batches().last?.end)
    }

    /// Whatever step the disk fails at, and whatever it forgets, another start makes up for it.
    @Test(arguments: [true, false], [1, 100_000])
    func afterACrashAtAnyStepTheFilesAreThoseOfAnUndisturbedRun(_ losesNames: Bool, _ rotateBytes: Int) throws {
        let properties = ["rotate.bytes": String(rotateBytes)]
        let expected = try undisturbed(properties)
        #expect(expected.count == 14)
        var failures = 0
        for step in 0..<200 {
            let run = SinkRun(properties)
            run.storage.stepsLeft = step
            let first = try run.makeSink()
            do {
                try run.deliver(batches(), to: first)
                first.stop()
            } catch {
                failures += 1
                first.stop()
            }
            let isOver = run.storage.stepsLeft ?? 0 > 0
            run.storage.crash(losesNames: losesNames)
            let second = try run.makeSink()
            try run.deliver(batches(), to: second)
            second.stop()
            #expect(run.events == expected, "stopped at step \(step)")
            if isOver { break }
        }
        #expect(failures > 3)
    }

    @Test func aTransactionLargerThanAFileStaysWhole() throws {
        let builder = BatchBuilder()
        builder.relation(table)
        builder.transaction(lsn: 500, commit: false) {
            for id in 1...50 { $0.insert(table, [.text(String(id)), "v"]) }
        }
        let first = builder.build()
        builder.transaction(lsn: 500, firstOrdinal: 50) { $0.insert(table, ["51", "v"]) }
        let second = builder.build()
        let run = SinkRun(["rotate.bytes": "100"])
        let sink = try run.makeSink()
        try run.deliver([first], to: sink)
        #expect(run.storage.finished("jsonl").isEmpty)
        #expect(run.stored == nil)
        _ = try sink.write(second)
        sink.stop()
        #expect(run.storage.finished("jsonl").count == 1)
        #expect(run.events.count == 51)
    }

    @Test func filesAreFinishedByTimeWhenNothingComes() throws {
        let run = SinkRun(["rotate.interval.ms": "1000"])
        let sink = try run.makeSink()
        try run.deliver(batches(), to: sink)
        #expect(run.stored == nil)
        run.clock += .milliseconds(999)
        #expect(try sink.tick() == nil)
        run.clock += .milliseconds(1)
        #expect(try sink.tick() == batches().last?.end)
        #expect(run.events.count == 14)
        sink.stop()
    }

    @Test func anotherLogGoesOnBehindTheOldFiles() throws {
        let run = SinkRun()
        let first = try run.makeSink()
        try run.deliver(batches(), to: first)
        first.stop()
        let builder = BatchBuilder(logID: 9)
        builder.relation(table)
        builder.transaction(lsn: 50) { $0.insert(table, ["7", "z"]) }
        let second = try run.makeSink()
        #expect(try second.start(after: batches().last?.end, logID: 9) == nil)
        _ = try second.write(builder.build())
        second.stop()
        #expect(run.events.count == 15)
        #expect(run.events.last?.contains(#""id":7"#) == true)
    }

    @Test func filesThatWereTakenAwayAreNotWrittenAgain() throws {
        let run = SinkRun(["rotate.bytes": "1"])
        let first = try run.makeSink()
        try run.deliver(batches(), to: first)
        first.stop()
        for path in run.storage.finished("jsonl") { try run.storage.remove(path) }
        let second = try run.makeSink()
        try run.deliver(batches(), to: second)
        second.stop()
        #expect(run.events.isEmpty)
    }

    @Test func twoSinksDoNotShareADirectory() throws {
        let run = SinkRun()
        let first = try run.makeSink()
        _ = try first.start(after: nil, logID: 1)
        let second = try run.makeSink()
        let error = #expect(throws: ConnectorError.self) { try second.start(after: nil, logID: 1) }
        #expect(error?.code == "path_in_use")
        _ = try first.write(batches()[1])
        second.stop()
        first.stop()
        #expect(run.events.count == 3)
        let third = try run.makeSink()
        _ = try third.start(after: nil, logID: 1)
    }

    @Test func anInterruptedSinkStopsWriting() throws {
        let run = SinkRun()
        let sink = try run.makeSink()
        _ = try sink.start(after: nil, logID: 1)
        sink.interrupt()
        #expect(throws: ConnectorError.stopped) { try sink.write(batches()[0]) }
    }
}
