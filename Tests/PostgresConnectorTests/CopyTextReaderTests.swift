import MillraceCore
import Testing

@testable import PostgresConnector

@Suite struct CopyTextReaderTests {
    /// The columns of the one row in `buffer`; nil for null.
    static func columns(_ buffer: RecordBuffer) throws -> [[UInt8]?] {
        var reader = RecordReader(buffer.bytes)
        guard case .insert(_, let lsn, let tuple) = try reader.next() else { return [] }
        #expect(lsn == LSN(9))
        #expect(try reader.next() == nil)
        return tuple.map { value in
            switch value {
            case .text(let bytes): Array(bytes)
            default: nil
            }
        }
    }

    static func read(_ line: [UInt8], _ columnCount: Int) throws -> [[UInt8]?]? {
        let buffer = RecordBuffer(capacity: 64)
        let isIntact = line.withUnsafeBytes {
            CopyTextReader.appendInsert(
                $0, columnCount: columnCount, relation: RelationID(7), lsn: LSN(9), to: buffer)
        }
        return isIntact ? try columns(buffer) : nil
    }

    static func texts(_ line: String, _ columnCount: Int) throws -> [String?]? {
        try read(Array(line.utf8), columnCount)?.map { $0.map { String(decoding: $0, as: UTF8.self) } }
    }

    @Test func plainColumns() throws {
        #expect(try Self.texts("1\tabc\t\n", 3) == ["1", "abc", ""])
        #expect(try Self.texts("1\tabc\t", 3) == ["1", "abc", ""])
        #expect(try Self.texts("\n", 1) == [""])
        #expect(
            try Self.texts("a much longer text than one word\t2\n", 2) == ["a much longer text than one word", "2"])
    }

    @Test func nullIsNotTheLetterN() throws {
        #expect(try Self.texts("\\N\t\\N\n", 2) == [nil, nil])
        #expect(try Self.texts("N\t\\\\N\n", 2) == ["N", "\\N"])
        #expect(try Self.texts("\\Nx\n", 1) == ["Nx"])
        #expect(try Self.texts("x\\N\n", 1) == ["xN"])
        #expect(try Self.texts("\\N", 1) == [nil])
    }

    @Test func everyEscape() throws {
        #expect(try Self.texts("\\b\\f\\n\\r\\t\\v\\\\\n", 1) == ["\u{8}\u{c}\n\r\t\u{b}\\"])
        #expect(try Self.texts("\\101\\7\\x41\\x4\\xg\\q\n", 1) == ["A\u{7}A\u{4}xgq"])
        #expect(try Self.texts("end\\", 1) == ["end\\"])
        #expect(try Self.texts("\\.\n", 1) == ["."])
    }

    @Test func anotherNumberOfColumnsIsRefused() throws {
        #expect(try Self.texts("1\t2\n", 1) == nil)
        #expect(try Self.texts("1\t2\n", 3) == nil)
        #expect(try Self.texts("1\n", 0) == nil)
        #expect(try Self.texts("\n", 0) == [])
    }

    /// Rows of random bytes, with many of those that mean something, against a reader of one byte at a time.
    @Test func equalsASimpleReader() throws {
        var random = SplitMix(state: 20_261_121)
        let alphabet: [UInt8] = Array("ab\\\\\t\nNxbt01\u{8}\u{b}é".utf8)
        for round in 0..<20_000 {
            let columns: [[UInt8]?] = (0..<Int.random(in: 1...6, using: &random)).map { _ in
                if Int.random(in: 0..<5, using: &random) == 0 { return nil }
                let length = Int.random(in: 0...(round % 40), using: &random)
                return (0..<length).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &random)] }
            }
            let line = Self.write(columns)
            #expect(try Self.read(line, columns.count) == columns)
            #expect(try Self.read(line, columns.count + 1) == nil)
        }
    }

    /// As the server writes (CopyAttributeOutText in copyto.c).
    static func write(_ columns: [[UInt8]?]) -> [UInt8] {
        let escapes: [UInt8: UInt8] = [8: 0x62, 9: 0x74, 10: 0x6E, 11: 0x76, 12: 0x66, 13: 0x72, 0x5C: 0x5C]
        var line: [UInt8] = []
        for (index, column) in columns.enumerated() {
            if index > 0 { line.append(9) }
            guard let column else {
                line += [0x5C, 0x4E]
                continue
            }
            for byte in column {
                if let escape = escapes[byte] { line += [0x5C, escape] } else { line.append(byte) }
            }
        }
        return line + [10]
    }
}

/// Vigna's SplitMix64: the same sequence on every machine.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
