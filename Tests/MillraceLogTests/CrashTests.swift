import MillraceCore
import MillraceLog
import MillraceTesting
import Testing

/// One fixed run that does everything, with the machine going down in every one of its storage calls.
@Suite struct CrashTests {
    let options = LogOptions(segmentByteLimit: 400, frameByteLimit: 100, spoolMemoryByteLimit: 0)

    /// What a run has reached: rows that were acknowledged, and those that may be there too.
    final class Progress {
        var acknowledged: [String] = []
        var appended: [String] = []
        var isResetting = false
    }

    func run(_ storage: SimulatedStorage, _ progress: Progress) throws {
        let log = try SimulatedLog.open(directory: "/log", options: options, storage: storage)
        func append(_ lsn: UInt64, _ rows: [String], define: Bool = false) throws {
            progress.appended += rows
            try log.append(transaction(lsn, rows, define: define, state: "s\(lsn)"))
        }
        func flush() throws {
            try log.flush()
            progress.acknowledged = progress.appended
        }
        try append(100, ["a", "b"], define: true)
        try flush()
        try append(200, (0..<8).map { "c\($0)" })
        try append(300, ["d"])
        try flush()
        let part = RecordBuffer()
        part.begin(transactionInfo(400))
        for row in 0..<12 { insert("taken back \(row)", into: table(1), part) }
        try log.append(part)
        try log.flush()
        try log.rollBackOpenTransaction()
        let spool = try log.makeSpool(xid: 5)
        try spool.append(rows(["e0", "e1"]))
        let mark = try spool.mark()
        try spool.append(rows(["gone"]))
        try spool.append(rows(["gone"]))
        try spool.truncate(to: mark)
        try spool.append(rows(["e2"]))
        progress.appended += ["e0", "e1", "e2"]
        try log.append(spool, transactionInfo(500, xid: 5))
        try append(600, ["f"])
        try flush()
        try append(700, ["g", "h", "i", "j", "k", "l"])
        try flush()
        progress.isResetting = true
        try log.reset()
        progress.isResetting = false
        progress.appended = []
        progress.acknowledged = []
        try append(100, ["new"], define: true)
        try flush()
    }

    @Test func nothingAcknowledgedIsLostWhereverTheMachineGoesDown() throws {
        var call = 0
        var isDone = false
        while !isDone {
            call += 1
            let storage = SimulatedStorage(seed: UInt64(call))
            storage.faults.crashAtCall = call
            let progress = Progress()
            isDone = logError { try run(storage, progress) } == nil && !storage.isDown
            let after = storage.crash()
            let log = try SimulatedLog.open(directory: "/log", options: options, storage: after)
            let rows = try log.lines().filter { $0.hasPrefix("I") }.map { String($0.dropFirst(4)) }
            if progress.isResetting && rows.isEmpty { continue }
            #expect(rows == Array(progress.appended.prefix(rows.count)), "call \(call)")
            #expect(rows.count >= progress.acknowledged.count, "call \(call)")
            let report = try LogVerify.run(directory: "/log", storage: after) { Issue.record("call \(call): \($0)") }
            #expect(report.findings == 0)
            if call > 1000 { break }
        }
        #expect(call > 80 && call < 1000)
    }

    @Test func trimmedLogStaysWholeWhereverTheMachineGoesDown() throws {
        for call in 1...12 {
            let storage = SimulatedStorage(seed: UInt64(call))
            let log = try SimulatedLog.open(directory: "/log", options: options, storage: storage)
            for number in 1...12 {
                try log.append(
                    transaction(UInt64(number) * 100, ["row", "row"], define: number == 1, state: "s\(number)"))
                try log.flush()
            }
            #expect(log.segments.count > 4)
            let end = log.durable
            storage.faults.crashAtCall = storage.calls + call
            _ = logError { try log.trim(before: end.offset) }
            let again = try SimulatedLog.open(directory: "/log", options: options, storage: storage.crash())
            #expect(again.durable == end)
            #expect(again.recovered.sourceState == Array("s12".utf8))
        }
    }

    /// Writer and readers at work together on a real disk, with segments coming and going.
    @Test func readersOnOtherThreadsSeeEveryRowOnce() throws {
        try FileStorageTests().withDirectory { directory in
            let log = try FileChangeLog.open(
                directory: directory, options: LogOptions(segmentByteLimit: 4000, frameByteLimit: 500),
                storage: FileStorage())
            let count = 300
            let results = Monitor<[[String]]>([])
            let readers = try (0..<2).map { number in
                let reader = try log.makeReader(after: nil)
                return WorkerThread("reader \(number)") {
                    var rows: [String] = []
                    do {
                        while rows.count < count, let batch = try reader.next(byteLimit: 900, timeout: .seconds(20)) {
                            rows += try describe(batch).filter { $0.hasPrefix("I") }
                        }
                    } catch {
                        rows.append("\(error)")
                    }
                    results.update { $0.append(rows) }
                }
            }
            for number in 1...count {
                try log.append(transaction(UInt64(number) * 100, ["\(number)"], define: number == 1))
                if number % 3 == 0 { try log.flush() }
            }
            try log.flush()
            for reader in readers { #expect(reader.join(for: .seconds(30))) }
            let expected = (1...count).map { "I 1 \($0)" }
            #expect(results.read { $0 } == [expected, expected])
            #expect(try log.trim(before: log.durable.offset) > 0)
        }
    }
}
