import MillraceCore
import MillraceLog
import MillraceTesting
import Testing

@Suite struct SegmentTests {
    let storage = SimulatedStorage(seed: 2)

    func open(segment: Int = 300, frame: Int = 1 << 16) throws -> SimulatedLog {
        try SimulatedLog.open(
            directory: "/log", options: LogOptions(segmentByteLimit: segment, frameByteLimit: frame), storage: storage)
    }

    /// Ten transactions of one row, a segment for every few.
    func filled() throws -> SimulatedLog {
        let log = try open()
        for number in 1...10 {
            try log.append(transaction(UInt64(number) * 100, ["r\(number)"], define: number == 1, state: "s\(number)"))
            try log.flush()
        }
        return log
    }

    @Test func segmentsFollowEachOtherWithoutGap() throws {
        let log = try filled()
        let segments = log.segments
        #expect(segments.count > 2)
        for (older, newer) in zip(segments, segments.dropFirst()) {
            #expect(older.end == newer.start && older.isSealed)
        }
        #expect(segments.last?.isSealed == false)
        #expect(log.byteCount == segments.reduce(0) { $0 + $1.byteCount })
        for segment in segments {
            #expect(storage.content(of: "/log/" + segment.name)?.count == Int(segment.byteCount))
        }
        #expect(segments.last?.newestCommitTime == Timestamp(microsecondsSince2000: 1_000_000))
        let again = try open()
        #expect(again.segments == segments)
    }

    @Test func everySegmentCanBeReadByItself() throws {
        let log = try filled()
        for segment in log.segments {
            let cursor = Cursor(logID: log.id, offset: segment.start, commitLSN: .zero, ordinal: 0)
            let reader = try log.makeReader(after: cursor)
            guard let batch = try reader.next(byteLimit: 1 << 20, timeout: .zero) else {
                Issue.record("nothing in \(segment.name)")
                return
            }
            if segment.start > 0 { #expect(batch.relations[RelationID(1)]?.name == "t1") }
            var follower = batch.records()
            #expect(try follower.next() != nil)
        }
    }

    @Test func definitionsAreRestatedAfterReopening() throws {
        _ = try filled()
        let log = try open()
        for number in 11...14 {
            try log.append(transaction(UInt64(number) * 100, ["r\(number)"]))
            try log.flush()
        }
        guard let last = log.segments.last else { return }
        let reader = try log.makeReader(
            after: Cursor(logID: log.id, offset: last.start, commitLSN: .zero, ordinal: 0))
        let batch = try reader.next(byteLimit: 1 << 20, timeout: .zero)
        #expect(batch?.relations[RelationID(1)]?.name == "t1")
    }

    @Test func definitionOfAnotherVersionIsUsedFromItsPlaceOn() throws {
        let log = try open(segment: 1 << 20)
        try log.append(transaction(100, ["a"], define: true))
        let buffer = RecordBuffer()
        let builder = TransactionBuilder(transactionInfo(200), into: buffer)
        builder.relation(table(1, version: 2))
        builder.insert(table(1, version: 2), ["b"])
        builder.commit()
        try log.append(buffer)
        try log.append(transaction(300, ["c"]))
        let end = try log.flush()
        let reader = try log.makeReader(after: nil)
        let first = try reader.next(byteLimit: 1, timeout: .zero)
        #expect(first?.relations.isEmpty == true)
        let second = try reader.next(byteLimit: 1, timeout: .zero)
        #expect(second?.relations[RelationID(1)]?.columns.first?.name == "v1")
        let third = try reader.next(byteLimit: 1, timeout: .zero)
        #expect(third?.relations[RelationID(1)]?.columns.first?.name == "v2")
        #expect(third?.end == end)
    }

    @Test func trimRemovesWholeSealedSegmentsOnly() throws {
        let log = try filled()
        let segments = log.segments
        #expect(try log.trim(before: segments[1].end - 1) == segments[0].byteCount)
        #expect(log.start.offset == segments[1].start)
        #expect(log.start.commitLSN > .zero)
        #expect(try log.trim(before: .max) > 0)
        #expect(log.segments.count == 1 && log.segments.first == segments.last)
        #expect(try log.trim(before: .max) == 0)
        #expect(try open().recovered.sourceState == Array("s10".utf8))
    }

    @Test func readerOfWhatIsTrimmedIsTold() throws {
        let log = try filled()
        let reader = try log.makeReader(after: nil)
        _ = try reader.next(byteLimit: 1, timeout: .zero)
        let old = reader.position
        try log.trim(before: .max)
        guard case .cursor = logError({ _ = try log.makeReader(after: old) }) else {
            Issue.record("a trimmed cursor was taken")
            return
        }
        var error: LogError?
        for _ in 0..<20 where error == nil {
            error = logError { _ = try reader.next(byteLimit: 1, timeout: .zero) }
        }
        guard case .cursor = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func newReaderSkipsATransactionWhoseBeginningIsTrimmed() throws {
        let log = try open(segment: 200, frame: 1)
        try log.append(transaction(100, ["a"], define: true))
        try log.append(transaction(200, (0..<10).map { "long \($0)" }))
        try log.append(transaction(300, ["z"]))
        try log.flush()
        #expect(log.segments.count >= 5)
        try log.trim(before: log.segments[log.segments.count / 2].start)
        let lines = try log.lines()
        #expect(lines.first == "B 0/12C first 0")
        #expect(lines.last == "C 1")
        let verified = try LogVerify.run(directory: "/log", storage: storage) { Issue.record("\($0)") }
        #expect(verified.findings == 0)
    }

    @Test func resetBeginsAnotherLog() throws {
        let log = try filled()
        let reader = try log.makeReader(after: nil)
        let (id, cursor) = (log.id, log.durable)
        try log.reset()
        #expect(log.id != id && log.segments.count == 1 && log.recovered.lastCommitLSN == nil)
        #expect(log.recovered.sourceState.isEmpty && log.recovered.logID == log.id)
        #expect(logError { _ = try reader.next(byteLimit: 1, timeout: .zero) } == .discarded)
        guard case .cursor = logError({ _ = try log.makeReader(after: cursor) }) else {
            Issue.record("a cursor of the discarded log was taken")
            return
        }
        try log.append(transaction(50, ["new"], define: true))
        try log.flush()
        #expect(try log.lines() == ["B 0/32 first 0", "R public.t1", "I 1 new", "C 1"])
        let again = try open()
        #expect(again.id == log.id)
        #expect(try again.lines() == log.lines())
    }

    /// A sink that starts compares its cursor with the beginning of the log: that of another log would be taken for
    /// history that was removed.
    @Test func beginningAndIdentityBelongTogetherWhileTheLogIsDiscarded() throws {
        let log = try filled()
        let last = Monitor(false)
        let seen = Monitor<Set<Cursor>>([])
        let looker = WorkerThread("looker") {
            while !last.read({ $0 }) {
                let start = log.start
                seen.update { _ = $0.insert(start) }
            }
        }
        var starts: Set = [log.start]
        for number in 0..<300 {
            try log.append(transaction(UInt64(5000 + number), ["x"], define: true))
            try log.flush()
            try log.reset()
            starts.insert(log.start)
        }
        last.update { $0 = true }
        looker.join()
        #expect(seen.read { $0 }.subtracting(starts).isEmpty)
    }

    @Test func resetOfAFullDiskChangesNothing() throws {
        let log = try filled()
        let lines = try log.lines()
        storage.faults.spaceLeft = 10
        #expect(try isRefusedForSpace { try log.reset() })
        storage.faults.spaceLeft = nil
        #expect(try log.lines() == lines)
        try log.append(transaction(2000, ["on"]))
        try log.flush()
        #expect(try open().lines() == lines + ["B 0/7D0 first 0", "I 1 on", "C 1"])
    }
}
