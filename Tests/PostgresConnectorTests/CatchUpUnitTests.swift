import MillraceCore
import MillraceTesting
import Testing

@testable import PostgresConnector

@Suite struct CatchUpUnitTests {
    private static let header: [UInt8] = Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0] + [0, 0, 0, 0, 0, 0, 0, 0]

    private func row(_ lsn: UInt64, _ data: String) -> [UInt8] {
        var writer = ByteWriter()
        writer.append(UInt16(2))
        writer.append(UInt32(8))
        writer.append(lsn)
        writer.append(UInt32(data.utf8.count))
        return writer.bytes + Array(data.utf8)
    }

    private func read(_ messages: [[UInt8]]) throws -> [String] {
        var copy = CatchUpCopy()
        var rows: [String] = []
        for message in messages {
            try message.withUnsafeBytes { bytes in
                try copy.read(bytes) { (lsn, data) throws(ConnectorError) in
                    rows.append("\(lsn) \(String(decoding: data, as: UTF8.self))")
                }
            }
        }
        return rows
    }

    @Test func readsRowsHoweverTheyAreSpreadOverMessages() throws {
        let expected = ["0/1 a", "1/0 ", "0/FFFF bcd"]
        let rows = [row(1, "a"), row(1 << 32, ""), row(0xFFFF, "bcd")]
        #expect(try read([Self.header + rows[0], rows[1], rows[2], [0xFF, 0xFF]]) == expected)
        #expect(try read([Self.header, rows[0] + rows[1], rows[2] + [0xFF, 0xFF]]) == expected)
        let extended = Array(Self.header.dropLast()) + [3, 9, 9, 9]
        #expect(try read([extended + rows[0], rows[1], rows[2]]) == expected)
    }

    @Test func refusesEverythingElse() throws {
        let whole = Self.header + row(1, "abc")
        for length in 1..<whole.count where length != Self.header.count {
            #expect(throws: ConnectorError.self) { try read([Array(whole.prefix(length))]) }
        }
        for index in [0, 7, 19, 20, 24] {
            var broken = whole
            broken[index] ^= 0x55
            #expect(throws: ConnectorError.self) { try read([broken]) }
        }
        #expect(throws: ConnectorError.self) { try read([whole + [0xFF, 0xFF], row(1, "behind the end")]) }
        // Whatever the bytes, an error and no trap.
        var random = SplitMix(state: 7)
        for _ in 0..<2_000 {
            var bytes = whole
            for _ in 0..<4 {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            _ = try? read([bytes])
        }
    }

    @Test func callsStayWithinTheirBudget() {
        var sizing = CatchUpSizing(budget: 100 << 20)
        // Before anything is known: small.
        #expect(sizing.walLimit <= 16 << 20)
        // Rows of 1 kB, as many bytes as in the WAL.
        for _ in 0..<5 {
            let rows = min(sizing.rowLimit, Int(sizing.walLimit / 1_024))
            sizing.note(rows: rows, bytes: UInt64(rows) * 1_024, wal: UInt64(rows) * 1_024)
        }
        #expect((60 << 20)...(100 << 20) ~= sizing.walLimit)
        #expect((60 << 10)...(100 << 10) ~= sizing.rowLimit)
        // Values that are compressed in the WAL and large here.
        sizing.note(rows: 100, bytes: 100 << 20, wal: 1 << 20)
        #expect(sizing.walLimit == 1 << 20)
        #expect(sizing.rowLimit == 500)
        // WAL of which nothing is ours says nothing of rows.
        sizing.note(rows: 0, bytes: 0, wal: 1 << 20)
        #expect(sizing.walLimit == 4 << 20)
        #expect(sizing.rowLimit == 500)
    }

    @Test func theWayIsSharedAndEndsAtItsEnd() {
        var sizing = CatchUpSizing(budget: 512 << 20)
        sizing.note(rows: 100_000, bytes: 16 << 20, wal: 16 << 20)
        let start = LSN(1 << 40)
        #expect(sizing.rangeEnd(from: start, to: LSN(start.value + 100), readers: 2) == LSN(start.value + 100))
        let far = LSN(start.value + 160 << 20)
        #expect(
            sizing.rangeEnd(from: start, to: LSN(start.value + (160 << 20)), readers: 2).value - start.value <= 80 << 20
                + 1)
        #expect(sizing.rangeEnd(from: far, to: start, readers: 2) == far)
    }

    @Test func theServerIsToldWhereToBeginAndWhereToEnd() {
        let range = CatchUpReader.Range(start: LSN(0x20), end: LSN(0x99), rowLimit: 700)
        let sql = CatchUpReader.commands(
            slot: "it's", publication: "Pub", range: range, reached: LSN(0x10), serverVersion: 150_000)
        #expect(
            sql == """
                SELECT pg_catalog.pg_replication_slot_advance('it''s', '0/20'); \
                COPY (SELECT lsn, data FROM pg_catalog.pg_logical_slot_get_binary_changes('it''s', '0/99', 700, \
                'proto_version', '3', 'publication_names', '"Pub"', 'messages', 'true', 'streaming', 'on')) \
                TO STDOUT (FORMAT binary); \
                SELECT confirmed_flush_lsn, restart_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = 'it''s'
                """)
        let old = CatchUpReader.commands(
            slot: "s", publication: "p", range: range, reached: LSN(0x20), serverVersion: 130_000)
        #expect(old.hasPrefix("COPY"))
        #expect(old.contains("'proto_version', '1', 'publication_names', '\"p\"')"))
    }

    @Test func streamingEndsWhenMuchWaitsForLong() {
        let options = CatchUpOptions(thresholdBytes: 1_000, temporaryBytes: 1, sessions: 2)
        var looks = 0
        var backlog = StreamingBacklog(
            options, start: LSN(100), serverEnd: LSN(200), notBefore: LSN(1_100), now: 0
        ) {
            looks += 1
            return LSN(10_000)
        }
        let second: UInt64 = 1_000_000_000
        backlog.note(received: LSN(900), second)
        #expect(looks == 0)
        backlog.note(received: LSN(1_000), 6 * second)
        #expect(looks == 1)
        // Not before the place that had to come through the stream.
        #expect(!backlog.isLarge)
        backlog.note(received: LSN(1_200), 7 * second)
        #expect(backlog.isLarge)
        backlog.note(received: LSN(9_000), 8 * second)
        #expect(!backlog.isLarge)
        // Nothing has come: nothing is asked.
        backlog.note(received: LSN(9_001), 14 * second)
        backlog.note(received: LSN(9_002), 20 * second)
        #expect(looks == 2)
    }
}
