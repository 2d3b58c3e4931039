import MillraceCore
import MillraceLog
import MillraceTesting
import Testing

@Suite struct ReaderTests {
    let storage = SimulatedStorage(seed: 3)

    func open(segment: Int = 1 << 20, frame: Int = 200) throws -> SimulatedLog {
        try SimulatedLog.open(
            directory: "/log",
            options: LogOptions(segmentByteLimit: segment, frameByteLimit: frame, spoolMemoryByteLimit: 0),
            storage: storage)
    }

    /// Small and large transactions, and a spooled one.
    func filled(segment: Int) throws -> SimulatedLog {
        let log = try open(segment: segment)
        try log.append(transaction(100, ["a", "b"], define: true, state: "s"))
        try log.append(transaction(200, (0..<12).map { "large \($0)" }))
        let spool = try log.makeSpool(xid: 9)
        for part in 0..<3 { try spool.append(rows((0..<5).map { "spooled \(part) \($0)" })) }
        try log.append(spool, transactionInfo(300, xid: 9))
        try log.append(transaction(400, ["y"]))
        try log.append(transaction(500, ["z"]))
        try log.flush()
        return log
    }

    @Test(arguments: [300, 1 << 20]) func readingCanGoOnBehindEveryRecord(segment: Int) throws {
        let log = try filled(segment: segment)
        let whole = try log.lines()
        let reader = try log.makeReader(after: nil)
        var passed = 0
        while let batch = try reader.next(byteLimit: 700, timeout: .zero) {
            var records = batch.records()
            var commitLSN = LSN.zero
            var ordinal: UInt64 = 0
            var isOpen = false
            while let record = try records.next() {
                passed += 1
                switch record {
                case .begin(let info): (commitLSN, ordinal, isOpen) = (info.commitLSN, info.firstOrdinal, true)
                case .commit: isOpen = false
                case .insert: ordinal += 1
                default: break
                }
                let cursor = batch.cursor(behind: records.offset, commitLSN: commitLSN, ordinal: ordinal)
                #expect(cursor.commitLSN == commitLSN || commitLSN == .zero)
                // Inside a transaction its begin is restated, in place of what lies before the cursor.
                let rest = try log.lines(after: cursor, byteLimit: 700)
                var expected = Array(whole[passed...])
                if isOpen, expected.first != "B \(commitLSN) first \(ordinal) continued" {
                    expected.insert("B \(commitLSN) first \(ordinal) continued", at: 0)
                }
                #expect(rest == expected, "behind record \(passed)")
            }
        }
        #expect(passed == whole.count)
    }

    @Test func relationsAreKnownBehindEveryCommit() throws {
        let log = try filled(segment: 300)
        let reader = try log.makeReader(after: nil)
        while let batch = try reader.next(byteLimit: 1, timeout: .zero) {
            if batch.end == log.durable { break }
            let next = try log.makeReader(after: batch.end).next(byteLimit: 1, timeout: .zero)
            #expect(next?.relations[RelationID(1)] != nil, "behind \(batch.end)")
        }
    }

    @Test func cursorBetweenRecordsOnly() throws {
        let log = try filled(segment: 1 << 20)
        let reader = try log.makeReader(after: nil)
        guard let batch = try reader.next(byteLimit: 1, timeout: .zero) else { return }
        var cursor = batch.cursor(behind: 50, commitLSN: LSN(100), ordinal: 0)
        #expect(logError { _ = try log.lines(after: cursor) } == nil)
        cursor.offset += 1
        guard case .cursor = logError({ _ = try log.lines(after: cursor) }) else {
            Issue.record("a cursor inside a record was taken")
            return
        }
    }

    @Test func cursorBehindTheEndOrOfAnotherLogIsRefused() throws {
        let log = try filled(segment: 1 << 20)
        var beyond = log.durable
        beyond.offset += 1
        var other = log.durable
        other.logID &+= 1
        for cursor in [beyond, other] {
            guard case .cursor = logError({ _ = try log.makeReader(after: cursor) }) else {
                Issue.record("\(cursor) was taken")
                return
            }
        }
    }

    @Test func readerWaitsForTheNextFlush() throws {
        let log = try open()
        let reader = try log.makeReader(after: nil)
        #expect(try reader.next(byteLimit: 1, timeout: .milliseconds(1)) == nil)
        let result = Monitor<[String]?>(nil)
        let thread = WorkerThread("reader") {
            let batch = try? reader.next(byteLimit: 1 << 20, timeout: .seconds(20))
            result.update { $0 = batch.flatMap { try? describe($0) } ?? [] }
        }
        try log.append(transaction(100, ["a"], define: true))
        try log.flush()
        #expect(thread.join(for: .seconds(20)))
        #expect(result.read { $0 } == ["B 0/64 first 0", "R public.t1", "I 1 a", "C 1"])
    }

    @Test func interruptedReaderReturnsAtOnceAndCanGoOn() throws {
        let log = try open()
        let reader = try log.makeReader(after: nil)
        let other = try log.makeReader(after: nil)
        let thread = WorkerThread("reader") { _ = try? reader.next(byteLimit: 1, timeout: .seconds(1000)) }
        reader.interrupt()
        #expect(thread.join(for: .seconds(20)))
        try log.append(transaction(100, ["a"], define: true))
        try log.flush()
        #expect(try other.next(byteLimit: 1, timeout: .seconds(20)) != nil)
        #expect(try reader.next(byteLimit: 1, timeout: .seconds(20)) != nil)
        reader.interrupt()
        #expect(try reader.next(byteLimit: 1, timeout: .seconds(1000)) == nil)
    }

    @Test func readerFollowsOverSegmentsWhileTheyAreWritten() throws {
        let log = try open(segment: 300, frame: 100)
        let reader = try log.makeReader(after: nil)
        var seen: [String] = []
        for number in 1...30 {
            try log.append(transaction(UInt64(number) * 100, ["r\(number)"], define: number == 1))
            try log.flush()
            while let batch = try reader.next(byteLimit: 150, timeout: .zero) { seen += try describe(batch) }
            #expect(reader.position == log.durable)
        }
        #expect(seen.filter { $0.hasPrefix("I") } == (1...30).map { "I 1 r\($0)" })
        #expect(try seen == log.lines())
    }

    @Test func damageIsReportedBehindWhatWasGood() throws {
        let log = try open(frame: 60)
        for number in 1...5 {
            try log.append(transaction(UInt64(number) * 100, ["row \(number)"], define: number == 1))
        }
        try log.flush()
        let path = "/log/" + log.segments[0].name
        storage.damage(path) { bytes in bytes[bytes.count - 20] ^= 1 }
        let reader = try log.makeReader(after: nil)
        let good = try reader.next(byteLimit: 1 << 20, timeout: .zero)
        #expect(try good.map { try describe($0) }?.filter { $0.hasPrefix("I") }.count == 4)
        for _ in 0..<2 {
            guard
                case .corrupt(let name, let offset, _) = logError({ _ = try reader.next(byteLimit: 1, timeout: .zero) })
            else {
                Issue.record("damage was not seen")
                return
            }
            #expect(name == path && offset > 256)
        }
    }

    @Test func malformedRelationIsReportedNotTrapped() throws {
        let log = try open()
        let buffer = transaction(100, ["a"])
        // A relation record of an id and nothing else.
        let bytes: [UInt8] = [RecordKind.relation, 0, 0, 0, 4, 0, 0, 0, 1]
        buffer.reserve(bytes.count).copyMemory(from: bytes, byteCount: bytes.count)
        buffer.advance(by: bytes.count)
        try log.append(buffer)
        try log.flush()
        guard case .corrupt(_, 256, _) = logError({ _ = try log.lines() }) else {
            Issue.record("a malformed relation was read")
            return
        }
    }

    @Test func segmentThatSomebodyRemovedIsAnError() throws {
        let log = try filled(segment: 300)
        let reader = try log.makeReader(after: nil)
        try storage.remove("/log/" + log.segments[0].name)
        guard case .io("open", _, _) = logError({ _ = try reader.next(byteLimit: 1, timeout: .zero) }) else {
            Issue.record("a missing segment was not noticed")
            return
        }
    }
}
