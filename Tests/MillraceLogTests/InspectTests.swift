import MillraceCore
import MillraceTesting
import Testing

@testable import MillraceLog

@Suite struct InspectTests {
    let storage = SimulatedStorage(seed: 6)

    func verify() throws -> (LogVerify<SimulatedStorage>.Report, [String]) {
        var lines: [String] = []
        let report = try LogVerify.run(directory: "/log", storage: storage) { lines.append($0) }
        return (report, lines)
    }

    func log() throws -> SimulatedLog {
        try SimulatedLog.open(
            directory: "/log", options: LogOptions(segmentByteLimit: 500, frameByteLimit: 200), storage: storage)
    }

    @Test func verifyCountsWhatThereIs() throws {
        let log = try log()
        for number in 1...9 { try log.append(transaction(UInt64(number) * 100, ["a", "b"], define: number == 1)) }
        try log.flush()
        let (report, lines) = try verify()
        #expect(lines.isEmpty)
        #expect(report.transactions == 9 && report.changes == 18 && report.findings == 0)
        #expect(report.segments == log.segments.count && report.bytes == log.byteCount)
        #expect(report.lastCommitLSN == LSN(900))
    }

    @Test func verifyTellsOfOrderCountsAndUnknownRelations() throws {
        let log = try log()
        try log.append(transaction(300, ["a"], define: true))
        try log.append(transaction(200, ["b"]))
        let buffer = RecordBuffer()
        buffer.begin(transactionInfo(400))
        insert("x", into: table(9), buffer)
        buffer.commit(changeCount: 5)
        try log.append(buffer)
        try log.flush()
        let (report, lines) = try verify()
        #expect(report.findings == 3)
        #expect(lines.contains { $0.hasSuffix("commit LSN 0/C8 follows 0/12C") })
        #expect(lines.contains { $0.hasSuffix("relation 9 is not defined before its first use") })
        #expect(lines.contains { $0.hasSuffix("0/190 has 1 changes, its commit says 5") })
        #expect(lines.allSatisfy { $0.hasPrefix("/log/0000000000000000.seg at ") })
    }

    @Test func verifyTellsATornEndFromDamage() throws {
        let log = try log()
        try log.append(transaction(100, ["a"], define: true))
        try log.flush()
        try log.append(transaction(200, ["b"]))
        try log.flush()
        let path = "/log/" + log.segments[0].name
        let whole = storage.content(of: path) ?? []
        storage.damage(path) { $0.removeLast(5) }
        let (torn, note) = try verify()
        #expect(torn.findings == 0 && torn.transactions == 1)
        #expect(note.count == 1 && note[0].hasPrefix("note: "))
        storage.damage(path) { bytes in
            bytes = whole
            bytes[256 + 100] ^= 4
        }
        let (damaged, finding) = try verify()
        #expect(damaged.findings == 1)
        #expect(finding.first == path + " at 256: the checksum of the frame is wrong")
    }

    @Test func segmentsThatRetentionRemovesMeanwhileAreNoFindings() throws {
        let log = try log()
        for number in 1...30 { try log.append(transaction(UInt64(number) * 100, ["a", "b"], define: true)) }
        try log.flush()
        let names = log.segments.map(\.name)
        try #require(names.count > 6)
        try storage.remove("/log/" + names[0])
        try storage.remove("/log/" + names[1])
        var lines: [String] = []
        let report = try LogVerify.run(directory: "/log", names: names, storage: storage) { lines.append($0) }
        #expect(lines.isEmpty && report.findings == 0 && report.segments == names.count - 2)
        try LogDump.run(directory: "/log", names: names, storage: storage, options: .init()) { lines.append($0) }
        #expect(lines.filter { $0.hasPrefix("segment ") }.count == names.count - 2)
        // Some of them after it was read.
        var removed = 0
        try LogDump.run(directory: "/log", names: names, storage: storage, options: .init()) { line in
            guard line.hasPrefix("segment "), removed == 0 else { return }
            removed = 2
            try? storage.remove("/log/" + names[2])
            try? storage.remove("/log/" + names[3])
        }
        #expect(removed == 2)
        // One that is missing between others is.
        try storage.remove("/log/" + names[5])
        #expect(throws: LogError.self) {
            try LogVerify.run(directory: "/log", names: names, storage: storage) { _ in }
        }
    }

    @Test func verifyNotesAnOpenTransaction() throws {
        let log = try log()
        let part = RecordBuffer()
        part.begin(transactionInfo(100))
        try log.append(part)
        let (report, lines) = try verify()
        #expect(report.findings == 0)
        #expect(lines == ["note: the log ends inside a transaction; opening it takes that back"])
    }

    @Test func dumpShowsNoValuesUnlessAskedTo() throws {
        let log = try log()
        let buffer = RecordBuffer()
        let builder = TransactionBuilder(transactionInfo(100), into: buffer)
        builder.relation(table(1))
        builder.insert(table(1), ["secret"])
        builder.update(table(1), old: ["secret"], new: ["secret"])
        builder.delete(table(1), key: ["secret"])
        builder.message(prefix: "prefix", content: "secret")
        builder.truncate([table(1)])
        builder.load(table(1), .begin)
        builder.commit()
        builder.sourceState("secret")
        try log.append(buffer)
        try log.flush()
        var lines: [String] = []
        try LogDump.run(directory: "/log", storage: storage) { lines.append($0) }
        #expect(lines.contains { $0.contains("prefix prefix 6 bytes") })
        #expect(lines.contains { $0.contains("R 1 public.t1 (v1 text)") })
        #expect(!lines.joined().contains("secret"))
        var withValues: [String] = []
        try LogDump.run(directory: "/log", storage: storage, options: .init(values: true)) { withValues.append($0) }
        #expect(withValues.count == lines.count)
        #expect(withValues.filter { $0.contains("secret") }.count == 5)
    }

    @Test func dumpKeepsToItsRange() throws {
        let log = try log()
        for number in 1...9 { try log.append(transaction(UInt64(number) * 100, ["r\(number)"], define: number == 1)) }
        try log.flush()
        let second = log.segments[1]
        var lines: [String] = []
        try LogDump.run(
            directory: "/log", storage: storage,
            options: .init(range: LogRange(from: second.start, to: second.end), records: false)
        ) { lines.append($0) }
        #expect(lines.filter { $0.hasPrefix("segment") }.count == 1)
        #expect(lines.first?.contains(second.name) == true)
        #expect(lines.dropFirst().allSatisfy { $0.hasPrefix("  frame ") })
    }

    @Test func dumpSaysWhereASegmentIsDamagedAndGoesOn() throws {
        let log = try log()
        for number in 1...9 { try log.append(transaction(UInt64(number) * 100, ["r\(number)"], define: number == 1)) }
        try log.flush()
        storage.damage("/log/" + log.segments[0].name) { $0[20] ^= 1 }
        var lines: [String] = []
        try LogDump.run(directory: "/log", storage: storage) { lines.append($0) }
        #expect(lines.first?.contains("is damaged at byte 0") == true)
        #expect(lines.contains { $0.contains(log.segments[1].name) })
    }
}
