import MillraceCore
import MillraceTesting
import Testing

@testable import PostgresConnector

/// What the server sends: pgoutput's messages through decoder and assembler, rows of COPY, the source's stored state.
@Suite struct PgOutputFuzzTests {
    /// A conversation with PostgreSQL 15, then a streamed transaction with rolled-back parts.
    private static let plain = [
        "42000000001abd0768000303bf90d68bf5000008ca",
        "52000040107075626c69630074006400030169640000000017ffffffff006e616d650000000413000000180062696700"
            + "00000019ffffffff",
        "49000040104e0003740000000131740000000373616d75", "49000040104e00037400000001316e6e",
        "55000040104b00037400000001326e6e4e00037400000001337400000004747769636e",
        "55000040104f00037400000001316e6e4e00037400000001316e75", "44000040104b00037400000001336e6e",
        "5400000001030000401000", "4d01000000001abd1fe87072650000000002696e",
        "590000401d7075626c6963006d6f6f6400", "4f000000000000abcd656c7365776865726500",
        "4300000000001abd0768000000001abd0798000303bf90d68bf5",
    ]
    private static let streamed = [
        "53000008d901",
        "52000008d9000040107075626c69630074006400020169640000000017ffffffff006e616d650000000019ffffffff",
        "49000008d9000040104e000274000000013174000000026f6b", "45", "41000008d9000008da", "53000008d900",
        "55000008dc000040104e00027400000001317400000001c3", "44000008dc000040104b000274000000013174000000016f",
        "4d000008d901000000001ac02410707265000000000873747265616d6564", "45",
        "63000008d900000000001ac02410000000001ac02450000303bf90de710c",
    ]

    private static func bytes(_ hex: String) -> [UInt8] {
        let digits = Array(hex.utf8).map { $0 < 0x3A ? $0 - 0x30 : $0 - 0x57 }
        return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    @Test func messagesOfAnyBytesAreTakenOrRefused() throws {
        let conversations = [Self.plain, Self.streamed].map { $0.map(Self.bytes) }
        let all = conversations.flatMap { $0 }
        var refused = 0
        Fuzz.cases(6000) { random in
            let feed = FuzzFeed()
            var assembler = TransactionAssembler(
                feed: feed, lastCommitLSN: .zero, messagePrefixes: NameFilter(included: nil, excluded: nil),
                describe: Self.describe)
            var messages = random.pick(conversations)
            for _ in 0..<random.number(1...4) {
                let place = random.number(0...messages.count - 1)
                switch random.number(0...5) {
                case 0: messages.swapAt(place, random.number(0...messages.count - 1))
                case 1: messages.insert(random.pick(all), at: place)
                case 2: messages[place] = []
                default: messages[place] = random.mutate(messages[place], other: random.pick(all))
                }
            }
            do {
                for message in messages {
                    try message.withUnsafeBytes { try assembler.take($0, lsn: LSN(1 << 20)) }
                    _ = try assembler.handOverIfReady()
                }
                try assembler.handOver()
            } catch {
                refused += 1
            }
            // Whatever was let through can be read again.
            for buffer in feed.buffers {
                var reader = RecordReader(buffer.bytes)
                while let record = try? reader.next() { FuzzRecords.walk(record) }
            }
        }
        #expect(refused > 0, "nothing was refused: does the fuzzer still change anything?")
    }

    private static func describe(
        _ message: PgOutputRelation, _ previous: CapturedRelation?
    ) throws(ConnectorError) -> CapturedRelation {
        let columns = message.columns.enumerated().map { index, column in
            Column(
                name: column.name, attributeNumber: Int16(truncatingIfNeeded: index + 1), typeOID: column.typeOID,
                typeName: "text", isReplicaIdentity: column.isKey)
        }
        return CapturedRelation(
            relation: Relation(
                id: RelationID(message.oid), namespace: message.namespace, name: message.name,
                topic: "t.\(message.namespace).\(message.name)", replicaIdentity: .primaryKey, columns: columns,
                primaryKey: columns.isEmpty ? [] : [0]), isCaptured: message.name != "hidden", projection: nil)
    }

    @Test func rowsOfCopyAreTakenOrRefused() {
        let rows = [
            "1\tone\t\\N\n", "\\N\t\\N\t\\N\n", "a\\tb\\nc\\\\d\t\\x41\\101\\0\t\n", "\\.\n", "\t\t\n",
            String(repeating: "x", count: 300) + "\t\\b\\f\\v\\r\t2",
        ].map { Array($0.utf8) }
        let alphabet = Array("\\\t\nNx017.bfrv\r\0".utf8)
        Fuzz.cases(30_000) { random in
            let line = random.mutate(random.pick(rows), other: random.pick(rows), alphabet: alphabet)
            // Exactly as large as it is: what reads behind its end is found by the address sanitizer.
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: line.count, alignment: 1)
            defer { memory.deallocate() }
            memory.copyBytes(from: line)
            let buffer = RecordBuffer()
            let columns = random.pick([0, 1, 2, 3, 3, 3, 3, 4, 1600, 65535])
            let isTaken = CopyTextReader.appendInsert(
                UnsafeRawBufferPointer(memory), columnCount: columns, relation: RelationID(1), lsn: LSN(1), to: buffer)
            guard isTaken else { return }
            var reader = RecordReader(buffer.bytes)
            guard case .insert(_, _, let tuple)? = try? reader.next() else {
                Issue.record("\(line) was taken and cannot be read")
                return
            }
            if tuple.map({ _ in 1 }).count != columns { Issue.record("\(line) has not \(columns) columns") }
        }
    }

    @Test func storedStatesOfAnyBytesAreTakenOrRefused() {
        let text = """
            {"version":1,"systemIdentifier":"7","timeline":1,"database":"app","slot":"s","publication":"p",\
            "phase":"streaming","consistentPoint":"0/16B3748","tables":["public.t"]}
            """
        let alphabet = Array("{}[]\",:0123456789eE-+.\\u".utf8)
        Fuzz.cases(3000) { random in
            _ = try? SourceState.decode(random.mutate(Array(text.utf8), alphabet: alphabet))
        }
    }
}

/// Keeps what an assembler hands over.
private final class FuzzFeed: LogFeeding {
    var buffers: [RecordBuffer] = []

    func makeBuffer() -> RecordBuffer { RecordBuffer() }
    func submit(_ buffer: RecordBuffer) { buffers.append(buffer) }

    func offer(_ buffer: RecordBuffer) -> Bool {
        buffers.append(buffer)
        return true
    }

    func makeSpool(xid: UInt32) -> any TransactionSpool { FuzzSpool() }
    func submit(_ spool: any TransactionSpool, _ info: TransactionInfo) {
        if let spool = spool as? FuzzSpool { buffers.append(spool.buffer) }
    }
    func rollBackOpenTransaction() {}
}

private final class FuzzSpool: TransactionSpool {
    let buffer = RecordBuffer()
    private(set) var changeCount: UInt64 = 0
    var byteCount: UInt64 { UInt64(buffer.count) }

    func append(_ records: RecordBuffer) {
        changeCount += UInt64(records.changeCount)
        buffer.append(contentsOf: records)
    }

    func mark() -> SpoolMark { SpoolMark(byteCount: byteCount, changeCount: changeCount) }
    func truncate(to mark: SpoolMark) {}
    func discard() {}
}
