import MillraceCore
import MillraceLog
import MillraceTesting
import Testing

@Suite struct SpoolTests {
    let storage = SimulatedStorage(seed: 4)

    func open(memory: Int, frame: Int = 200) throws -> SimulatedLog {
        try SimulatedLog.open(
            directory: "/log", options: LogOptions(frameByteLimit: frame, spoolMemoryByteLimit: memory),
            storage: storage)
    }

    var spoolFiles: [String] { (try? storage.list("/log").filter { $0.hasPrefix("spool-") }) ?? [] }

    @Test(arguments: [0, 300, 1 << 20]) func spooledTransactionIsOneOfMany(memory: Int) throws {
        let log = try open(memory: memory)
        try log.append(transaction(100, ["a"], define: true, state: "s"))
        let spool = try log.makeSpool(xid: 77)
        try spool.append(rows((0..<10).map { "x\($0)" }))
        try log.append(transaction(200, ["b"]))
        try spool.append(rows((10..<20).map { "x\($0)" }, relation: table(2), define: true))
        #expect(spool.changeCount == 20)
        #expect(spoolFiles.count == (memory > 1000 ? 0 : 1))
        try log.append(spool, transactionInfo(300, xid: 77))
        try log.append(transaction(400, ["c"]))
        let end = try log.flush()
        #expect(end.commitLSN == LSN(400))
        #expect(spoolFiles.isEmpty)
        let lines = try log.lines().filter { !$0.hasSuffix("continued") }
        var expected = ["B 0/64 first 0", "R public.t1", "I 1 a", "C 1", "S s", "B 0/C8 first 0", "I 1 b", "C 1"]
        expected += ["B 0/12C first 0"] + (0..<10).map { "I 1 x\($0)" } + ["R public.t2"]
        expected += (10..<20).map { "I 2 x\($0)" } + ["C 20", "B 0/190 first 0", "I 1 c", "C 1"]
        #expect(lines == expected)
        let again = try open(memory: memory)
        #expect(again.durable == end && again.recovered.sourceState == Array("s".utf8))
        #expect(try again.lines().filter { !$0.hasSuffix("continued") } == expected)
        let report = try LogVerify.run(directory: "/log", storage: storage) { Issue.record("\($0)") }
        #expect(report.findings == 0 && report.transactions == 4 && report.changes == 23)
    }

    @Test func adoptedFileIsTheSpoolItself() throws {
        let log = try open(memory: 0)
        try log.append(transaction(100, ["a"], define: true))
        let spool = try log.makeSpool(xid: 5)
        try spool.append(rows(["x"]))
        try spool.append(rows(["y"]))
        let spooled = spoolFiles.first.flatMap { storage.content(of: "/log/" + $0) } ?? []
        try log.append(spool, transactionInfo(200, xid: 5))
        try log.flush()
        let segment = log.segments[1]
        let content = storage.content(of: "/log/" + segment.name) ?? []
        #expect(content.count > spooled.count && spooled.count > 256)
        #expect(content[256..<spooled.count] == spooled[256...])
        #expect(segment.isSealed && segment.newestCommitTime == Timestamp(microsecondsSince2000: 200_000))
    }

    @Test func spoolMayBeTheFirstThingInALog() throws {
        let log = try open(memory: 0)
        let spool = try log.makeSpool(xid: 5)
        try spool.append(rows(["x"], define: true))
        try spool.append(rows(["y"]))
        try log.append(spool, transactionInfo(200, xid: 5))
        let end = try log.flush()
        #expect(log.segments.count == 1)
        let again = try open(memory: 0)
        #expect(again.id == log.id && again.durable == end)
        try again.append(transaction(300, ["z"]))
        try again.flush()
        #expect(try again.lines().filter { $0.hasPrefix("I") } == ["I 1 x", "I 1 y", "I 1 z"])
        let last = again.segments.last?.start ?? 0
        let reader = try again.makeReader(after: Cursor(logID: again.id, offset: last, commitLSN: .zero, ordinal: 0))
        #expect(try reader.next(byteLimit: 1, timeout: .zero)?.relations[RelationID(1)] != nil)
    }

    @Test(arguments: [0, 300, 1 << 20]) func subtransactionsAreRolledBack(memory: Int) throws {
        let log = try open(memory: memory)
        let spool = try log.makeSpool(xid: 5)
        var expected: [String] = []
        var marks: [(SpoolMark, Int)] = []
        var random = SeededGenerator(seed: 11)
        try spool.append(rows(["first"], define: true))
        expected.append("first")
        for number in 0..<300 {
            if random.percent(30) { marks.append((try spool.mark(), expected.count)) }
            if random.percent(20), let mark = marks.popLast() {
                try spool.truncate(to: mark.0)
                expected.removeLast(expected.count - mark.1)
                #expect(spool.byteCount == mark.0.byteCount && spool.changeCount == mark.0.changeCount)
            }
            try spool.append(rows(["row \(number)", "and \(number)"]))
            expected += ["row \(number)", "and \(number)"]
        }
        try log.append(spool, transactionInfo(100, xid: 5))
        try log.flush()
        let lines = try log.lines()
        #expect(lines.filter { $0.hasPrefix("I") } == expected.map { "I 1 \($0)" })
        #expect(lines.last == "C \(expected.count)")
    }

    @Test func manyMarksAreCheap() throws {
        let log = try open(memory: 4096)
        let spool = try log.makeSpool(xid: 5)
        try spool.append(rows(["first"], define: true))
        let clock = ContinuousClock.now
        for number in 0..<10_000 {
            let mark = try spool.mark()
            try spool.append(rows(["row"]))
            if number % 2 == 0 { try spool.truncate(to: mark) }
        }
        #expect(ContinuousClock.now - clock < .seconds(10))
        #expect(spool.changeCount == 5001)
        spool.discard()
        #expect(spoolFiles.isEmpty)
    }

    @Test(arguments: [0, 1 << 20]) func definitionThatWasRolledBackIsRestatedWhenItIsUsed(memory: Int) throws {
        let log = try open(memory: memory)
        let spool = try log.makeSpool(xid: 5)
        let mark = try spool.mark()
        try spool.append(rows(["gone"], define: true))
        try spool.append(rows(["gone"]))
        try spool.truncate(to: mark)
        try spool.append(rows(["kept"]))
        try log.append(spool, transactionInfo(100, xid: 5))
        try log.flush()
        #expect(try log.lines().filter { $0.hasPrefix("I") || $0.hasPrefix("R") } == ["R public.t1", "I 1 kept"])
    }

    @Test(arguments: [0, 1 << 20]) func definitionThatWasRolledBackServesLaterTransactions(memory: Int) throws {
        let log = try open(memory: memory)
        let spool = try log.makeSpool(xid: 5)
        try spool.append(rows(["kept"], relation: table(2), define: true))
        let mark = try spool.mark()
        try spool.append(rows(["gone"], define: true))
        try spool.append(rows(["gone"]))
        try spool.truncate(to: mark)
        try log.append(spool, transactionInfo(100, xid: 5))
        // The source has sent the definition of relation 1 and does not send it again.
        try log.append(transaction(200, ["later"]))
        try log.flush()
        let reader = try log.makeReader(after: nil)
        var last: ChangeBatch?
        while let batch = try reader.next(byteLimit: 1 << 20, timeout: .zero) { last = batch }
        #expect(last?.relations[RelationID(1)]?.name == "t1")
        #expect(try log.lines().contains("I 1 later"))
    }

    /// A subtransaction that changed the table and was rolled back: the source sends the old definition again, and no
    /// reader may ever see the other one.
    @Test(arguments: [0, 1 << 20]) func definitionThatWasRolledBackIsNotShownWhenAnotherFollows(memory: Int) throws {
        let log = try open(memory: memory)
        try log.append(transaction(50, ["before"], define: true))
        let spool = try log.makeSpool(xid: 5)
        try spool.append(rows(["kept"], relation: table(2), define: true))
        let mark = try spool.mark()
        try spool.append(rows(["gone"], relation: table(1, version: 2), define: true))
        try spool.truncate(to: mark)
        try spool.append(rows(["kept"], define: true))
        try log.append(spool, transactionInfo(100, xid: 5))
        let second = try log.makeSpool(xid: 6)
        let start = try second.mark()
        try second.append(rows(["gone"], relation: table(1, version: 3), define: true))
        try second.truncate(to: start)
        try log.append(second, transactionInfo(150, xid: 6))
        try log.append(transaction(200, ["later"], define: true))
        try log.flush()
        let reader = try log.makeReader(after: nil)
        while let batch = try reader.next(byteLimit: 1, timeout: .zero) {
            if let known = batch.relations[RelationID(1)] { #expect(known.columns.first?.name == "v1") }
        }
        #expect(try log.lines().filter { $0.hasPrefix("I 1") } == ["I 1 before", "I 1 kept", "I 1 later"])
    }

    @Test func discardedSpoolLeavesNothing() throws {
        let log = try open(memory: 0)
        let before = log.byteCount
        var spool: LogSpool<SimulatedStorage>? = try log.makeSpool(xid: 5)
        try spool?.append(rows(["x"], define: true))
        try spool?.append(rows(["y"]))
        #expect(log.byteCount > before && spoolFiles.count == 1)
        spool?.discard()
        #expect(log.byteCount == before && spoolFiles.isEmpty)
        #expect(throws: ConnectorError.self) { try spool?.append(rows(["z"])) }
        spool = try log.makeSpool(xid: 5)
        try spool?.append(rows(["x"], define: true))
        try spool?.append(rows(["y"]))
        spool = nil
        #expect(log.byteCount == before && spoolFiles.isEmpty)
    }

    @Test func leftoverSpoolsAreRemovedWhenTheLogIsOpened() throws {
        let log = try open(memory: 0)
        let spool = try log.makeSpool(xid: 5)
        try spool.append(rows(["x"], define: true))
        try spool.append(rows(["y"]))
        #expect(spoolFiles.count == 1)
        _ = try open(memory: 0)
        #expect(spoolFiles.isEmpty)
    }

    @Test func spoolIsRefusedInsideATransaction() throws {
        let log = try open(memory: 0)
        let part = RecordBuffer()
        part.begin(transactionInfo(100))
        try log.append(part)
        let spool = try log.makeSpool(xid: 5)
        try spool.append(rows(["x"], define: true))
        guard case .misuse = logError({ try log.append(spool, transactionInfo(200)) }) else {
            Issue.record("a spool was taken inside a transaction")
            return
        }
        try log.rollBackOpenTransaction()
        try log.append(spool, transactionInfo(200))
        try log.flush()
        #expect(try log.lines().contains("I 1 x"))
    }

    @Test func fullDiskLeavesTheSpoolAsItWas() throws {
        for space in stride(from: 0, to: 1500, by: 13) {
            let storage = SimulatedStorage(seed: UInt64(space))
            let log = try SimulatedLog.open(
                directory: "/log", options: LogOptions(frameByteLimit: 200, spoolMemoryByteLimit: 0), storage: storage)
            try log.append(transaction(100, ["a"], define: true, state: "s"))
            try log.flush()
            let spool = try log.makeSpool(xid: 5)
            for part in 0..<4 { try spool.append(rows(["x\(part)", "y\(part)"])) }
            storage.faults.spaceLeft = space
            if try isRefusedForSpace({ try log.append(spool, transactionInfo(200, xid: 5)) }) {
                storage.faults.spaceLeft = nil
                try log.append(spool, transactionInfo(200, xid: 5))
            }
            storage.faults.spaceLeft = nil
            try log.append(transaction(300, ["b"]))
            try log.flush()
            let rows = (0..<4).flatMap { ["I 1 x\($0)", "I 1 y\($0)"] }
            #expect(try log.lines().filter { $0.hasPrefix("I") } == ["I 1 a"] + rows + ["I 1 b"], "space \(space)")
        }
    }

    @Test func spoolThatFindsTheDiskFullTakesNothing() throws {
        let log = try open(memory: 0, frame: 100)
        let spool = try log.makeSpool(xid: 5)
        var expected: [String] = []
        try spool.append(rows(["first"], define: true))
        expected.append("first")
        for space in stride(from: 0, to: 400, by: 3) {
            storage.faults.spaceLeft = space
            let more = rows(["row \(space)"])
            let before = spool.byteCount
            do {
                try spool.append(more)
            } catch {
                #expect(error.code == "log_disk_full")
                #expect(spool.byteCount == before)
                storage.faults.spaceLeft = nil
                try spool.append(more)
            }
            storage.faults.spaceLeft = nil
            expected.append("row \(space)")
        }
        #expect(spool.changeCount == UInt64(expected.count))
        try log.append(spool, transactionInfo(100, xid: 5))
        try log.flush()
        #expect(try log.lines().filter { $0.hasPrefix("I") } == expected.map { "I 1 \($0)" })
    }
}
