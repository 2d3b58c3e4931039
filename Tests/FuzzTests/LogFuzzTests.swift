import MillraceCore
import MillraceTesting
import Testing

@testable import MillraceLog

/// Segment files of any bytes: opening, reading, verifying and dumping give what is whole, or an error.
@Suite struct LogFuzzTests {
    @Test func damagedFilesAreReadOrRefused() throws {
        var opened = 0
        var findings = 0
        try Fuzz.cases(400) { random in
            let storage = SimulatedStorage(seed: random.next())
            try fill(storage, &random)
            let names = try storage.list("/log")
            for _ in 0..<random.number(1...2) {
                let path = "/log/" + random.pick(names)
                let other = storage.content(of: "/log/" + random.pick(names)) ?? []
                storage.damage(path) { $0 = random.mutate($0, other: other) }
                if random.chance(20) { try? storage.remove(path) }
            }
            if let report = try? LogVerify.run(directory: "/log", storage: storage, line: { _ in }) {
                findings += report.findings
            }
            try? LogDump.run(
                directory: "/log", storage: storage, options: .init(records: true, values: true), line: { _ in })
            do {
                let log = try ChangeLog.open(directory: "/log", options: LogOptions(), storage: storage)
                opened += 1
                let reader = try log.makeReader(after: nil)
                while let batch = try reader.next(byteLimit: 4096, timeout: .zero) {
                    var records = batch.records()
                    while let record = try records.next() { FuzzRecords.walk(record) }
                }
            } catch {}
        }
        #expect(opened > 0 && findings > 0, "\(opened) opened, \(findings) findings")
    }

    private func fill(_ storage: SimulatedStorage, _ random: inout FuzzRandom) throws {
        let log = try ChangeLog.open(
            directory: "/log",
            options: LogOptions(segmentByteLimit: 700, frameByteLimit: 200, spoolMemoryByteLimit: 50),
            storage: storage)
        let table = Relation.table(1, "t", [.text("v", key: true), .text("w")])
        for number in 1...UInt64(random.number(3...9)) {
            let info = TransactionInfo(
                flags: [], xid: 1, commitLSN: LSN(number * 100), endLSN: LSN(number * 100 + 8),
                commitTime: Timestamp(microsecondsSince2000: 1))
            let buffer = RecordBuffer()
            if random.chance(4) {
                let spool = try log.makeSpool(xid: 9)
                try spool.append(rowsOnly(table, random.number(1...9)))
                try log.append(spool, info)
                continue
            }
            let builder = TransactionBuilder(info, into: buffer)
            if number == 1 || random.chance(3) { builder.relation(table) }
            for _ in 0..<random.number(1...5) {
                builder.insert(table, [.text(String(repeating: "x", count: random.number(0...90))), .null])
            }
            builder.commit()
            if random.chance(3) { builder.sourceState("{\"phase\":\"streaming\"}") }
            try log.append(buffer)
            try log.flush()
        }
        try log.flush()
    }

    private func rowsOnly(_ table: Relation, _ count: Int) -> RecordBuffer {
        let buffer = RecordBuffer()
        buffer.relation(table)
        for _ in 0..<count {
            let start = buffer.beginRow(RecordKind.insert, relation: table.id, lsn: LSN(1))
            buffer.beginTuple(0x4E, columnCount: 2)
            Array("spooled".utf8).withUnsafeBytes { buffer.appendColumn(TupleView.Kind.text, $0) }
            buffer.appendColumn(TupleView.Kind.null)
            buffer.endRow(start)
        }
        return buffer
    }

    /// Records as they stand behind a frame's checksum: another process may have written them, with a right checksum.
    @Test func recordsOfAnyBytesAreTakenOrRefused() throws {
        let table = Relation.table(1, "t", [.text("v", key: true), .text("w")])
        let builder = BatchBuilder()
        builder.transaction(lsn: 100) {
            $0.relation(table)
            $0.insert(table, [.text("a"), .null])
            $0.update(table, key: [.text("a"), .null], new: [.text("b"), .unchanged])
            $0.delete(table, key: [.text("b"), .null])
            $0.truncate([table])
        }
        let batch = builder.build()
        let bytes = Array(batch.bytes)
        Fuzz.cases(20_000) { random in
            random.mutate(bytes, other: bytes).withUnsafeBytes { bytes in
                var reader = RecordReader(bytes)
                while let record = try? reader.next() { FuzzRecords.walk(record) }
            }
        }
    }
}

enum FuzzRecords {
    /// Looks at everything in a record.
    static func walk(_ record: Record) {
        switch record {
        case .relation(let body):
            var reader = ByteReader(body)
            _ = try? Relation.decode(&reader)
        case .insert(_, _, let new): touch(new)
        case .update(_, _, let old, let new):
            if let old { touch(old.tuple) }
            touch(new)
        case .delete(_, _, let old): touch(old.tuple)
        case .truncate(_, let view): _ = view.relations.count
        case .message(_, let message): _ = message.prefix.count &+ message.content.count
        case .begin, .commit, .sourceState, .load: break
        }
    }

    private static func touch(_ tuple: TupleView) {
        for column in tuple {
            switch column {
            case .text(let value), .binary(let value): _ = value.reduce(0) { $0 &+ Int($1) }
            case .null, .unchanged: break
            }
        }
    }
}
