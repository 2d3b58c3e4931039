import MillraceCore
import MillraceLog
import MillraceTesting
import Testing

@Suite struct RecoveryTests {
    let options = LogOptions(segmentByteLimit: 500, frameByteLimit: 120, spoolMemoryByteLimit: 0)

    func open(_ storage: SimulatedStorage) throws -> SimulatedLog {
        try SimulatedLog.open(directory: "/log", options: options, storage: storage)
    }

    /// A small log with everything in it: several segments, a spooled one, an open end.
    func filled() throws -> (SimulatedStorage, SimulatedLog) {
        let storage = SimulatedStorage(seed: 5)
        let log = try open(storage)
        try log.append(transaction(100, ["a"], define: true, state: "s1"))
        try log.flush()
        try log.append(transaction(200, ["b", "c", "d", "e", "f", "g", "h"]))
        try log.flush()
        let spool = try log.makeSpool(xid: 5)
        try spool.append(rows(["x"]))
        try spool.append(rows(["y"], relation: table(2), define: true))
        try log.append(spool, transactionInfo(300, xid: 5))
        try log.append(transaction(400, ["i"], state: "s2"))
        try log.flush()
        try log.append(transaction(500, ["j"]))
        try log.flush()
        try log.append(transaction(600, ["k"]))
        try log.flush()
        return (storage, log)
    }

    @Test func everyTruncationOfTheNewestSegmentIsCutOrRefused() throws {
        let (storage, log) = try filled()
        let lines = try log.lines()
        let path = "/log/" + (log.segments.last?.name ?? "")
        let size = storage.content(of: path)?.count ?? 0
        #expect(size > 400)
        var opened = 0
        for length in 0..<size {
            let copy = storage.copy()
            copy.damage(path) { $0.removeSubrange(length...) }
            do {
                let again = try open(copy)
                opened += 1
                let rest = try again.lines()
                #expect(rest == Array(lines.prefix(rest.count)), "cut to \(length)")
                #expect(rest.isEmpty || rest.last?.hasPrefix("C") == true || rest.last == "S s2" || rest.last == "S s1")
                // It must be possible to go on.
                try again.append(transaction(700, ["new"]))
                try again.flush()
                #expect(try open(copy).lines() == rest + ["B 0/2BC first 0", "I 1 new", "C 1"])
            } catch let error as LogError {
                guard case .corrupt(let name, _, _) = error else { throw error }
                #expect(name == path)
            }
        }
        #expect(opened > 100)
    }

    @Test func everyTruncationOfASealedSegmentIsRefused() throws {
        let (storage, log) = try filled()
        for segment in log.segments.dropLast() {
            let path = "/log/" + segment.name
            for length in 0..<Int(segment.byteCount) {
                let copy = storage.copy()
                copy.damage(path) { $0.removeSubrange(length...) }
                guard case .corrupt(let name, _, _) = logError({ _ = try open(copy) }) else {
                    Issue.record("\(path) cut to \(length) was opened")
                    return
                }
                #expect(name == path)
            }
        }
    }

    @Test func noFlippedBitGivesAWrongRecord() throws {
        let (storage, log) = try filled()
        let lines = try log.lines()
        var unnoticed = 0
        for segment in log.segments {
            let path = "/log/" + segment.name
            for index in 0..<Int(segment.byteCount) {
                let copy = storage.copy()
                copy.damage(path) { $0[index] ^= 1 << UInt8(index % 8) }
                var findings = 0
                _ = try LogVerify.run(directory: "/log", storage: copy) { _ in findings += 1 }
                if findings == 0 { unnoticed += 1 }
                do {
                    let again = try open(copy)
                    let reader = try again.makeReader(after: nil)
                    var seen: [String] = []
                    do {
                        while let batch = try reader.next(byteLimit: 200, timeout: .zero) {
                            seen += try describe(batch)
                        }
                    } catch let error as LogError {
                        guard case .corrupt(let name, _, _) = error else { throw error }
                        #expect(name == path)
                    }
                    #expect(seen == Array(lines.prefix(seen.count)), "bit of byte \(index) of \(segment.name)")
                } catch let error as LogError {
                    guard case .corrupt(let name, _, _) = error else { throw error }
                    #expect(name == path, "byte \(index)")
                }
            }
        }
        // Every byte is under a checksum.
        #expect(unnoticed == 0)
    }

    @Test func damageBeforeALaterFlushIsRefusedByNameAndOffset() throws {
        let (storage, log) = try filled()
        guard let newest = log.segments.last else { return }
        let path = "/log/" + newest.name
        // In the first frame behind the header; two flushes followed.
        storage.damage(path) { $0[256] ^= 1 }
        guard case .corrupt(let name, let offset, _) = logError({ _ = try open(storage) }) else {
            Issue.record("the log was opened")
            return
        }
        #expect(name == path && offset == 256)
    }

    @Test func missingSegmentIsRefused() throws {
        let (storage, log) = try filled()
        #expect(log.segments.count >= 4)
        try storage.remove("/log/" + log.segments[1].name)
        guard case .corrupt(let name, _, let reason) = logError({ _ = try open(storage) }) else {
            Issue.record("the log was opened")
            return
        }
        #expect(name == "/log/" + log.segments[2].name)
        #expect(reason.contains(log.segments[1].name))
    }

    @Test func missingNewestSegmentLeavesAPrefix() throws {
        let (storage, log) = try filled()
        let lines = try log.lines()
        try storage.remove("/log/" + (log.segments.last?.name ?? ""))
        let rest = try open(storage).lines()
        #expect(rest.count > 5 && rest == Array(lines.prefix(rest.count)))
    }

    @Test func segmentOfAnotherLogIsRefused() throws {
        let (storage, log) = try filled()
        let other = SimulatedStorage(seed: 99)
        let otherLog = try open(other)
        try otherLog.append(transaction(100, ["a"], define: true, state: "s1"))
        try otherLog.flush()
        try otherLog.append(transaction(200, ["b", "c", "d", "e", "f", "g", "h"]))
        try otherLog.flush()
        let name = log.segments[1].name
        #expect(otherLog.segments.count > 1 && otherLog.segments[1].name == name)
        let content = other.content(of: "/log/" + name) ?? []
        storage.damage("/log/" + name) { $0 = content }
        #expect(logError { _ = try open(storage) } != nil)
    }

    @Test func laterFormatVersionIsRefusedWithBothNumbers() throws {
        let (storage, log) = try filled()
        let path = "/log/" + log.segments[0].name
        storage.damage(path) { bytes in
            bytes[11] = 9
            let checksum = testChecksum(bytes[0..<12] + bytes[16..<256])
            for index in 0..<4 { bytes[12 + index] = UInt8(truncatingIfNeeded: checksum >> (24 - 8 * UInt32(index))) }
        }
        guard case .corrupt(_, _, let reason) = logError({ _ = try open(storage) }) else {
            Issue.record("the log was opened")
            return
        }
        #expect(reason == "format version 9; this program reads 1")
    }

    @Test func foreignFilesAreLeftAlone() throws {
        let (storage, log) = try filled()
        for name in ["notes.txt", "000.seg", "spool-1.bak"] { _ = try storage.create("/log/" + name) }
        let lines = try log.lines()
        #expect(try open(storage).lines() == lines)
        #expect(try storage.list("/log").contains("notes.txt"))
    }

    @Test func acknowledgedSpoolSurvivesWhateverTheCrashTakes() throws {
        for seed in 0..<60 {
            let storage = SimulatedStorage(seed: UInt64(seed))
            let log = try open(storage)
            let spool = try log.makeSpool(xid: 5)
            try spool.append(rows(["x"], define: true))
            try spool.append(rows(["y"]))
            if seed % 2 == 0 { try log.append(transaction(100, ["a"], define: true)) }
            try log.append(spool, transactionInfo(200, xid: 5))
            let end = try log.flush()
            let again = try open(storage.crash())
            #expect(again.durable == end, "seed \(seed)")
            #expect(try again.lines().contains("I 1 y"))
        }
    }

    @Test func crashAtEveryCallOfASpoolsAdoptionIsAllOrNothing() throws {
        var calls = 0
        repeat {
            let storage = SimulatedStorage(seed: UInt64(1000 + calls))
            let log = try open(storage)
            try log.append(transaction(100, ["a"], define: true, state: "s"))
            try log.flush()
            let spool = try log.makeSpool(xid: 5)
            try spool.append(rows(["x"]))
            try spool.append(rows(["y"]))
            calls += 1
            storage.faults.crashAtCall = storage.calls + calls
            let error = logError {
                try log.append(spool, transactionInfo(200, xid: 5))
                try log.flush()
            }
            let after = storage.crash()
            let rows = try open(after).lines().filter { $0.hasPrefix("I") }
            #expect(rows == ["I 1 a"] || rows == ["I 1 a", "I 1 x", "I 1 y"], "call \(calls)")
            if error == nil {
                #expect(rows.count == 3)
                break
            }
            #expect(try after.list("/log").allSatisfy { $0.hasSuffix(".seg") })
        } while calls < 200
        #expect(calls > 6 && calls < 200)
    }
}

/// CRC-32C bit by bit: slow, and written apart from the one under test.
func testChecksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var crc: UInt32 = ~0
    for byte in bytes {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? (crc >> 1) ^ 0x82F6_3B78 : crc >> 1 }
    }
    return ~crc
}
