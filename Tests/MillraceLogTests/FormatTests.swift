import MillraceCore
import MillraceLog
import MillraceTesting
import Testing

/// Reads segment files by the tables of docs/LOG_FORMAT.md, with nothing of the code under test.
@Suite struct FormatTests {
    let bytes: [UInt8]
    let log: SimulatedLog

    init() throws {
        let storage = SimulatedStorage(seed: 8)
        log = try SimulatedLog.open(
            directory: "/log", options: LogOptions(segmentByteLimit: 150, frameByteLimit: 1000), storage: storage)
        try log.append(transaction(0x1_0000_0064, ["abc", "de"], define: true, state: "{}"))
        try log.flush()
        try log.append(transaction(0x1_0000_0200, ["f"]))
        try log.flush()
        bytes = storage.content(of: "/log/0000000000000000.seg") ?? []
    }

    func number(_ offset: Int, _ size: Int) -> UInt64 {
        bytes[offset..<offset + size].reduce(0) { $0 << 8 | UInt64($1) }
    }

    func seed(_ position: Int) -> [UInt8] {
        bytes[40..<48] + withUnsafeBytes(of: UInt64(position).bigEndian) { Array($0) }
    }

    @Test func segmentHeader() {
        #expect(Array(bytes[0..<8]) == Array("MILLRACE".utf8))
        #expect(number(8, 4) == 1)
        #expect(number(12, 4) == UInt64(testChecksum(bytes[0..<12] + bytes[16..<256])))
        #expect(number(16, 4) == 1)
        #expect(number(24, 8) == log.id)
        #expect(number(32, 8) == 0)
        #expect(number(40, 8) != 0)
        #expect(bytes[48..<88].allSatisfy { $0 == 0 })
        #expect(number(88, 8) == 0 && number(96, 8) == 0)
        #expect(bytes[104..<256].allSatisfy { $0 == 0 })
    }

    @Test func frame() {
        #expect(Array(bytes[256..<260]) == Array("MRFR".utf8))
        let length = Int(number(260, 4))
        #expect(number(264, 4) == UInt64(testChecksum(seed(256) + bytes[256..<264] + bytes[268..<336])))
        let payload = bytes[336..<336 + length]
        #expect(number(268, 4) == UInt64(testChecksum(seed(256) + payload)))
        // It has relations and a state.
        #expect(number(272, 2) == 4 + 8)
        #expect(number(276, 4) == 2 && number(280, 4) == 1)
        #expect(number(288, 8) == 2)
        #expect(number(296, 8) == 0x1_0000_0064 && number(304, 8) == 0x1_0000_006C)
        #expect(number(312, 8) == 0x1_0000_0064 * 1000)
        #expect(number(320, 8) == 0 && number(328, 8) == 0)
        // The begin record.
        #expect(bytes[336] == UInt8(ascii: "B") && number(337, 4) == 45)
        #expect(bytes[341] == 0 && number(342, 4) == 7)
        #expect(number(346, 8) == 0x1_0000_0064 && number(354, 8) == 0x1_0000_006C)
        // The state is the last record, behind the commit.
        let end = 336 + length
        #expect(Array(bytes[end - 7..<end]) == [UInt8(ascii: "S"), 0, 0, 0, 2] + Array("{}".utf8))
        #expect(Array(bytes[end - 20..<end - 15]) == [UInt8(ascii: "C"), 0, 0, 0, 8])
        #expect(number(end - 15, 8) == 2)
        // An insert with one text column, just before.
        let insert: [UInt8] = [UInt8(ascii: "I"), 0, 0, 0, 22, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 100]
        let tuple: [UInt8] = [UInt8(ascii: "N"), 0, 1, UInt8(ascii: "t"), 0, 0, 0, 2] + Array("de".utf8)
        #expect(Array(bytes[end - 20 - 27..<end - 20]) == insert + tuple)
    }

    @Test func seal() {
        let start = bytes.count - 128
        let content = start - 256
        #expect(log.segments[0].isSealed && log.segments[1].start == UInt64(content))
        #expect(Array(bytes[start..<start + 8]) == Array("MRSEALED".utf8))
        let covered = seed(start) + bytes[start..<start + 8] + bytes[(start + 12)...]
        #expect(number(start + 8, 4) == UInt64(testChecksum(covered)))
        #expect(number(start + 12, 4) == 0)
        #expect(number(start + 16, 8) == UInt64(content))
        #expect(number(start + 24, 8) == 0x1_0000_0064 && number(start + 32, 8) == 0x1_0000_006C)
        #expect(number(start + 40, 8) == 2)
        #expect(number(start + 56, 8) == UInt64(content))
        #expect(number(start + 64, 8) == 256 && number(start + 72, 8) == 256)
        #expect(number(start + 80, 8) == 1 && number(start + 88, 8) == 2)
        #expect(number(start + 96, 8) == 0x1_0000_0064 * 1000)
    }
}
