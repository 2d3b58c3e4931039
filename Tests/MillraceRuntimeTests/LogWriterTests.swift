import Foundation
import MillraceCore
import MillraceLog
import MillraceTesting
import Testing

@testable import MillraceRuntime

@Suite(.timeLimit(.minutes(1))) struct LogWriterTests {
    private let customers = Relation.table(1, "customers", [.int4("id", key: true), .text("name")])

    private func makeWriter(
        _ log: MemoryLog, maxByteCount: UInt64? = nil, trouble: Monitor<[String]> = Monitor([])
    ) throws -> LogWriter {
        let writer = try LogWriter(
            log, recovered: log.recovered, maxByteCount: maxByteCount, retryPause: .milliseconds(1),
            onTrouble: { error in trouble.update { $0.append(error?.code ?? "over") } })
        writer.start(name: "test log")
        return writer
    }

    private func transaction(
        _ writer: LogWriter, lsn: UInt64, rows: Int = 1, begin: Bool = true, commit: Bool = true, state: String? = nil
    ) -> RecordBuffer {
        let buffer = writer.makeBuffer()
        let info = TransactionInfo(
            flags: [], xid: 1, commitLSN: LSN(lsn), endLSN: LSN(lsn + 8),
            commitTime: Timestamp(microsecondsSince2000: 0))
        let source = TransactionBuilder(info, into: buffer)
        for row in 0..<rows { source.insert(customers, [.text("\(row)"), "x"]) }
        if let state { source.sourceState(state) }
        if commit { source.commit() }
        return buffer
    }

    @Test func acknowledgesOnlyWhatIsSynced() throws {
        let log = MemoryLog()
        let writer = try makeWriter(log)
        for lsn in stride(from: UInt64(100), to: 2000, by: 10) {
            #expect(try writer.submit(transaction(writer, lsn: lsn), timeout: .seconds(5)))
            // Whatever may be acknowledged now must survive a crash now.
            #expect(writer.durableLSN <= lastEndLSN(log.durableBytes))
        }
        #expect(try writer.waitUntilDrained(timeout: .seconds(5)))
        #expect(writer.durableLSN == LSN(1998))
        #expect(writer.isDrained)
        let recovered = writer.finish()
        #expect(recovered.lastEndLSN == LSN(1998))
        #expect(recovered.lastCommitLSN == LSN(1990))
        #expect(recovered.lastOrdinal == 1)
    }

    private func lastEndLSN(_ bytes: [UInt8]) -> LSN {
        var last = LSN.zero
        var open = LSN.zero
        bytes.withUnsafeBytes { bytes in
            var reader = RecordReader(bytes)
            while let record = try? reader.next() {
                if case .begin(let info) = record { open = info.endLSN }
                if case .commit = record { last = open }
            }
        }
        return last
    }

    @Test func manyTransactionsShareAnFsync() throws {
        let log = MemoryLog()
        let writer = try makeWriter(log)
        log.hold(true)
        for lsn in stride(from: UInt64(100), to: 1100, by: 10) {
            #expect(try writer.submit(transaction(writer, lsn: lsn), timeout: .seconds(5)))
        }
        log.hold(false)
        #expect(try writer.waitUntilDrained(timeout: .seconds(5)))
        #expect(log.state.read { $0.flushes } < 50)
        writer.finish()
    }

    @Test func aBusyLogDoesNotHoldTheReceiverUp() throws {
        let log = MemoryLog()
        let writer = try makeWriter(log)
        log.hold(true)
        let large = RecordBuffer()
        let info = TransactionInfo(
            flags: [], xid: 1, commitLSN: LSN(1), endLSN: LSN(2), commitTime: Timestamp(microsecondsSince2000: 0))
        let builder = TransactionBuilder(info, into: large)
        builder.insert(customers, ["1", .text(String(repeating: "x", count: LogWriter.queueByteLimit))])
        builder.commit()
        // Larger than the queue: taken when there is nothing else.
        #expect(try writer.submit(large, timeout: .seconds(5)))
        let next = transaction(writer, lsn: 100)
        let start = ContinuousClock.now
        #expect(try !writer.submit(next, timeout: .milliseconds(20)))
        #expect(start.duration(to: .now) < .seconds(2))
        #expect(!writer.isDrained)
        #expect(try !writer.waitUntilDrained(timeout: .milliseconds(1)))
        log.hold(false)
        #expect(try writer.submit(next, timeout: .seconds(5)))
        #expect(try writer.waitUntilDrained(timeout: .seconds(5)))
        writer.finish()
    }

    @Test func anUnfinishedTransactionIsTakenBackInOrder() throws {
        let log = MemoryLog()
        let writer = try makeWriter(log)
        #expect(try writer.submit(transaction(writer, lsn: 100), timeout: .seconds(5)))
        #expect(try writer.submit(transaction(writer, lsn: 200, commit: false, state: "lost"), timeout: .seconds(5)))
        #expect(try writer.waitUntilDrained(timeout: .seconds(5)))
        // Half a transaction is no place to acknowledge the server's own position.
        #expect(!writer.isDrained)
        try writer.rollBackOpenTransaction()
        #expect(try writer.submit(transaction(writer, lsn: 300, state: "kept"), timeout: .seconds(5)))
        #expect(try writer.waitUntilDrained(timeout: .seconds(5)))
        #expect(writer.isDrained)
        #expect(lsns(log.durableBytes) == [100, 300])
        #expect(writer.finish().sourceState == Array("kept".utf8))
    }

    @Test func endingTakesBackAnUnfinishedTransaction() throws {
        let log = MemoryLog()
        let writer = try makeWriter(log)
        #expect(try writer.submit(transaction(writer, lsn: 100), timeout: .seconds(5)))
        #expect(try writer.submit(transaction(writer, lsn: 200, commit: false), timeout: .seconds(5)))
        let recovered = writer.finish()
        #expect(lsns(log.allBytes) == [100])
        #expect(recovered.lastCommitLSN == LSN(100))
        #expect(throws: ConnectorError.self) {
            _ = try writer.submit(transaction(writer, lsn: 300), timeout: .milliseconds(1))
        }
    }

    private func lsns(_ bytes: [UInt8]) -> [UInt64] {
        var lsns: [UInt64] = []
        bytes.withUnsafeBytes { bytes in
            var reader = RecordReader(bytes)
            while let record = try? reader.next() {
                if case .begin(let info) = record { lsns.append(info.commitLSN.value) }
            }
        }
        return lsns
    }

    @Test func aStateInsideATransactionCountsWhenItCommits() throws {
        let log = MemoryLog()
        let writer = try makeWriter(log)
        #expect(try writer.submit(transaction(writer, lsn: 100, commit: false, state: "first"), timeout: .seconds(5)))
        #expect(try writer.waitUntilDrained(timeout: .seconds(5)))
        #expect(writer.recovered.sourceState.isEmpty)
        let end = writer.makeBuffer()
        end.commit(changeCount: 1)
        #expect(try writer.submit(end, timeout: .seconds(5)))
        #expect(try writer.waitUntilDrained(timeout: .seconds(5)))
        #expect(writer.recovered.sourceState == Array("first".utf8))
        writer.finish()
    }

    @Test func aResetKeepsItsPlaceInTheQueue() throws {
        let log = MemoryLog()
        let writer = try makeWriter(log)
        #expect(try writer.submit(transaction(writer, lsn: 100, state: "old"), timeout: .seconds(5)))
        try writer.reset()
        #expect(writer.recovered.logID == 2)
        #expect(writer.recovered.lastEndLSN == nil)
        #expect(writer.durableLSN == .zero)
        #expect(try writer.submit(transaction(writer, lsn: 50), timeout: .seconds(5)))
        #expect(try writer.waitUntilDrained(timeout: .seconds(5)))
        #expect(lsns(log.durableBytes) == [50])
        #expect(writer.durableLSN == LSN(58))
        #expect(writer.finish().sourceState.isEmpty)
    }

    @Test func aSpooledTransactionIsAppendedWhole() throws {
        let log = MemoryLog()
        let writer = try makeWriter(log)
        let spool = try writer.makeSpool(xid: 9)
        let rows = RecordBuffer()
        Array("N\0\0".utf8).withUnsafeBytes {
            rows.row(RecordKind.insert, relation: RelationID(1), lsn: LSN(70), body: $0)
        }
        try spool.append(rows)
        let info = TransactionInfo(
            flags: [], xid: 9, commitLSN: LSN(70), endLSN: LSN(78), commitTime: Timestamp(microsecondsSince2000: 0))
        #expect(try writer.submit(spool, info, timeout: .seconds(5)))
        #expect(try writer.waitUntilDrained(timeout: .seconds(5)))
        #expect(writer.durableLSN == LSN(78))
        #expect(lsns(log.durableBytes) == [70])
        writer.finish()
    }

    @Test func aSpoolOnAFullDiskSaysWhyAndTheStallEndsWithTheNextWrite() throws {
        let log = MemoryLog()
        let trouble = Monitor<[String]>([])
        let writer = try makeWriter(log, trouble: trouble)
        let rows = transaction(writer, lsn: 500, begin: false, commit: false)
        let spool = try writer.makeSpool(xid: 7)
        log.fill(true)
        let error = #expect(throws: ConnectorError.self) { try spool.append(rows) }
        #expect(error?.code == "log_disk_full" && error?.kind == .transient)
        #expect(spool.byteCount == 0 && trouble.read { $0 } == ["log_disk_full"])
        log.fill(false)
        try spool.append(rows)
        let info = TransactionInfo(
            flags: [], xid: 7, commitLSN: LSN(500), endLSN: LSN(508), commitTime: Timestamp(microsecondsSince2000: 0))
        #expect(try writer.submit(spool, info, timeout: .seconds(5)))
        #expect(try writer.waitUntilDrained(timeout: .seconds(5)))
        #expect(trouble.read { $0 } == ["log_disk_full", "over"] && writer.durableLSN == LSN(508))
        writer.finish()
    }

    @Test func aFullDiskIsWaitedForAndAcknowledgesNothing() throws {
        let log = MemoryLog()
        let trouble = Monitor<[String]>([])
        let writer = try makeWriter(log, trouble: trouble)
        log.fill(true)
        #expect(try writer.submit(transaction(writer, lsn: 100), timeout: .seconds(5)))
        #expect(trouble.wait(for: .seconds(5)) { $0 == ["log_disk_full"] ? true : nil } == true)
        #expect(try !writer.waitUntilDrained(timeout: .milliseconds(5)))
        #expect(writer.durableLSN == .zero)
        log.fill(false)
        #expect(try writer.waitUntilDrained(timeout: .seconds(5)))
        #expect(writer.durableLSN == LSN(108))
        #expect(trouble.read { $0 } == ["log_disk_full", "over"])
        writer.finish()
    }

    @Test func aFullDiskAtTheFsyncIsWaitedForToo() throws {
        let log = MemoryLog()
        let writer = try makeWriter(log)
        log.failFlush(.noSpace(path: "/disk"))
        #expect(try writer.submit(transaction(writer, lsn: 100), timeout: .seconds(5)))
        #expect(try writer.waitUntilDrained(timeout: .seconds(5)))
        #expect(writer.durableLSN == LSN(108))
        writer.finish()
    }

    @Test func aTaskCanBeStoppedWhileTheDiskIsFull() throws {
        let log = MemoryLog()
        let writer = try makeWriter(log)
        #expect(try writer.submit(transaction(writer, lsn: 100), timeout: .seconds(5)))
        #expect(try writer.waitUntilDrained(timeout: .seconds(5)))
        log.fill(true)
        #expect(try writer.submit(transaction(writer, lsn: 200), timeout: .seconds(5)))
        #expect(writer.finish().lastEndLSN == LSN(108))
    }

    @Test func theSizeLimitStopsWritingUntilThereIsRoom() throws {
        let log = MemoryLog()
        let trouble = Monitor<[String]>([])
        let writer = try makeWriter(log, maxByteCount: 300, trouble: trouble)
        for lsn: UInt64 in [100, 200, 300, 400] {
            #expect(try writer.submit(transaction(writer, lsn: lsn), timeout: .seconds(5)))
        }
        #expect(trouble.wait(for: .seconds(5)) { $0.contains("log_limit_reached") ? true : nil } == true)
        let acknowledged = writer.durableLSN
        #expect(acknowledged < LSN(408))
        // What the slowest sink has read goes, and writing goes on by itself.
        _ = try log.trim(before: 1_000_000)
        #expect(try writer.waitUntilDrained(timeout: .seconds(5)))
        #expect(writer.durableLSN == LSN(408))
        #expect(trouble.read { $0.last } == "over")
        writer.finish()
    }

    @Test(arguments: [
        LogError.io(operation: "fdatasync", path: "/disk/log", errno: 5), .failed(reason: "an earlier error"),
    ])
    func anyOtherErrorIsTheEndOfThisLog(error: LogError) throws {
        let log = MemoryLog()
        let trouble = Monitor<[String]>([])
        let writer = try makeWriter(log, trouble: trouble)
        log.failFlush(error)
        #expect(try writer.submit(transaction(writer, lsn: 100), timeout: .seconds(5)))
        let failure = #expect(throws: ConnectorError.self) { _ = try writer.waitUntilDrained(timeout: .seconds(5)) }
        #expect(failure?.kind == .consistency)
        #expect(failure?.code == "log_failed")
        #expect(throws: ConnectorError.self) { _ = try writer.submit(transaction(writer, lsn: 200), timeout: .zero) }
        #expect(throws: ConnectorError.self) { try writer.rollBackOpenTransaction() }
        #expect(throws: ConnectorError.self) { try writer.reset() }
        #expect(writer.durableLSN == .zero)
        writer.finish()
        // One try: never again on the same descriptor.
        #expect(log.state.read { $0.flushes } == 0)
        #expect(trouble.read { $0 } == ["log_failed"])
    }

    @Test func theDescriptorBecomesReadableWhenSomethingIsDurable() throws {
        let log = MemoryLog()
        let writer = try makeWriter(log)
        #expect(!isReadable(writer.durableEvent, timeout: 0))
        #expect(try writer.submit(transaction(writer, lsn: 100), timeout: .seconds(5)))
        #expect(isReadable(writer.durableEvent, timeout: 5000))
        #expect(writer.durableLSN == LSN(108))
        var count: UInt64 = 0
        while read(writer.durableEvent, &count, 8) > 0 {}
        #expect(!isReadable(writer.durableEvent, timeout: 0))
        writer.finish()
    }

    private func isReadable(_ descriptor: Int32, timeout: Int32) -> Bool {
        var watched = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&watched, 1, timeout) == 1
    }
}
