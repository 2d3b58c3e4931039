import MillraceCore
import MillraceLog
import MillraceTesting
import Testing

@Suite struct AppendTests {
    let storage = SimulatedStorage(seed: 1)

    func open(segment: Int = 1 << 20, frame: Int = 1 << 16) throws -> SimulatedLog {
        try SimulatedLog.open(
            directory: "/log", options: LogOptions(segmentByteLimit: segment, frameByteLimit: frame), storage: storage)
    }

    @Test func readersGetWhatIsFlushedAndNothingElse() throws {
        let log = try open()
        try log.append(transaction(100, ["a", "b"], define: true))
        #expect(try log.lines() == [])
        let cursor = try log.flush()
        #expect(cursor == log.durable)
        #expect(cursor.commitLSN == LSN(100) && cursor.ordinal == 2)
        #expect(try log.lines() == ["B 0/64 first 0", "R public.t1", "I 1 a", "I 1 b", "C 2"])
        #expect(try log.lines(after: cursor) == [])
    }

    @Test func reopenedLogKnowsWhereItStands() throws {
        let log = try open()
        try log.append(transaction(100, ["a"], define: true, state: "phase one"))
        try log.append(transaction(200, ["b", "c"], state: "phase two"))
        try log.flush()
        let lines = try log.lines()
        let again = try open()
        #expect(again.recovered.lastCommitLSN == LSN(200))
        #expect(again.recovered.lastEndLSN == LSN(208))
        #expect(again.recovered.lastOrdinal == 2)
        #expect(again.recovered.sourceState == Array("phase two".utf8))
        #expect(again.id == log.id && again.durable == log.durable)
        #expect(try again.lines() == lines)
    }

    @Test func newLogIsEmpty() throws {
        let log = try open()
        #expect(log.recovered.lastCommitLSN == nil && log.recovered.sourceState.isEmpty)
        #expect(log.id != 0 && log.durable.offset == log.start.offset)
        #expect(try log.lines() == [])
        #expect(try open().id == log.id)
    }

    @Test func transactionInPartsIsSeenOnceItIsWhole() throws {
        let log = try open(frame: 1)
        try log.append(transaction(100, ["a"], define: true))
        let first = RecordBuffer()
        first.begin(transactionInfo(200))
        insert("b", into: table(1), first)
        try log.append(first)
        #expect(try log.flush().commitLSN == LSN(100))
        let second = RecordBuffer()
        insert("c", into: table(1), second)
        second.commit(changeCount: 2)
        try log.append(second)
        #expect(try log.flush().commitLSN == LSN(200))
        let lines = try log.lines()
        #expect(lines.filter { $0.hasPrefix("I") } == ["I 1 a", "I 1 b", "I 1 c"])
        #expect(lines.contains("B 0/C8 first 2 continued"))
        #expect(lines.last == "C 2")
    }

    @Test func openTransactionCanBeTakenBack() throws {
        let log = try open(segment: 200, frame: 1)
        try log.append(transaction(100, ["a"], define: true, state: "one"))
        try log.flush()
        let before = (log.byteCount, log.segments.count)
        let part = RecordBuffer()
        part.begin(transactionInfo(200))
        Array("two".utf8).withUnsafeBytes { part.sourceState($0) }
        for row in 0..<20 { insert("row \(row)", into: table(1), part) }
        try log.append(part)
        try log.flush()
        #expect(log.segments.count > before.1 + 2)
        try log.rollBackOpenTransaction()
        #expect(log.byteCount == before.0 && log.segments.count == before.1)
        try log.append(transaction(300, ["c"]))
        try log.flush()
        #expect(try log.lines().filter { $0.hasPrefix("I") } == ["I 1 a", "I 1 c"])
        #expect(try open().recovered.sourceState == Array("one".utf8))
    }

    @Test func rollingBackNothingIsAllowed() throws {
        let log = try open()
        try log.append(transaction(100, ["a"], define: true))
        try log.rollBackOpenTransaction()
        try log.flush()
        #expect(try log.lines().count == 4)
    }

    @Test func smallBatchesTakeWholeFrames() throws {
        let log = try open(frame: 60)
        for number in 1...20 { try log.append(transaction(UInt64(number) * 100, ["r\(number)"], define: number == 1)) }
        try log.flush()
        let whole = try log.lines()
        for limit in [0, 1, 200, 1000, 1 << 20] { #expect(try log.lines(byteLimit: limit) == whole) }
    }

    @Test func recordLargerThanAFrameGetsItsOwn() throws {
        let log = try open(frame: 1000)
        let large = String(repeating: "x", count: 50_000)
        try log.append(transaction(100, ["a", large, "b"], define: true))
        try log.flush()
        #expect(
            try log.lines(byteLimit: 10).filter { $0.hasPrefix("I") } == ["I 1 a", "I 1 50000 bytes", "I 1 b"])
    }

    @Test func snapshotOrdinalsRunOn() throws {
        let log = try open()
        for part in 0..<3 {
            let buffer = RecordBuffer()
            let builder = TransactionBuilder(
                transactionInfo(100, flags: .snapshot, firstOrdinal: UInt64(part) * 2), into: buffer)
            if part == 0 { builder.relation(table(1)) }
            builder.insert(table(1), ["x"])
            builder.insert(table(1), ["y"])
            builder.commit()
            try log.append(buffer)
        }
        #expect(try log.flush().ordinal == 6)
        #expect(try open().recovered.lastOrdinal == 6)
    }

    @Test func bufferWithARecordOutOfPlaceIsRefusedWhole() throws {
        let log = try open()
        let bad = transaction(100, ["a"], define: true)
        bad.commit(changeCount: 1)
        #expect(throws: LogError.self) { try log.append(bad) }
        try log.append(transaction(200, ["b"], define: true))
        try log.flush()
        #expect(try log.lines().contains("I 1 b"))
        #expect(try !log.lines().contains("I 1 a"))
    }

    @Test func fullDiskTakesNothingAndCanBeTriedAgain() throws {
        let log = try open(segment: 300, frame: 50)
        try log.append(transaction(100, ["a"], define: true))
        try log.flush()
        for space in stride(from: 0, to: 1200, by: 7) {
            var faults = SimulatedStorage.Faults()
            faults.spaceLeft = space
            storage.faults = faults
            let size = log.byteCount
            let buffer = transaction(UInt64(200 + space), ["row \(space)", "b", "c", "d"])
            if try isRefusedForSpace({ try log.append(buffer) }) {
                #expect(log.byteCount == size)
                storage.faults.spaceLeft = nil
                try log.append(buffer)
            }
            storage.faults.spaceLeft = nil
        }
        try log.flush()
        let rows = try log.lines().filter { $0.hasPrefix("I 1 row") }
        #expect(rows == stride(from: 0, to: 1200, by: 7).map { "I 1 row \($0)" })
        #expect(try open().lines().filter { $0.hasPrefix("I 1 row") } == rows)
    }

    @Test func failedSyncKillsTheLogAndOpeningItAnewLosesNothing() throws {
        let log = try open()
        try log.append(transaction(100, ["a"], define: true))
        try log.flush()
        try log.append(transaction(200, ["b"]))
        storage.faults.failNextSync = true
        #expect(throws: LogError.self) { try log.flush() }
        #expect(log.durable.commitLSN == LSN(100))
        guard case .failed = logError({ try log.append(transaction(300, ["c"])) }) else {
            Issue.record("a dead log took something")
            return
        }
        #expect(throws: LogError.self) { try log.flush() }

        // The bytes are still in the system's memory but will never reach the disk by themselves.
        let again = try open()
        #expect(again.durable.commitLSN == LSN(200))
        let crashed = storage.crash()
        let last = try SimulatedLog.open(directory: "/log", storage: crashed)
        #expect(last.durable.commitLSN == LSN(200))
        #expect(try last.lines().contains("I 1 b"))
    }
}
