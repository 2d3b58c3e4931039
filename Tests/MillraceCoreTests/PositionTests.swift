import MillraceCore
import Testing

@Suite struct PositionTests {
    @Test(arguments: [
        ("0/0", UInt64(0)), ("16/B374D848", 0x16_B374_D848), ("FFFFFFFF/FFFFFFFF", .max), ("1/0", 1 << 32),
    ])
    func lsnIsWrittenAsPostgreSQLDoes(text: String, value: UInt64) {
        #expect(LSN(text)?.value == value)
        #expect(LSN(value).description == text)
    }

    @Test(arguments: ["", "/", "0", "0/", "/0", "0/0/0", "g/0", "123456789/0", "0/123456789", " 0/0", "-1/0", "0x1/0"])
    func whatIsNoLSNIsNotRead(text: String) {
        #expect(LSN(text) == nil)
    }

    @Test func lsnsAreOrderedByValue() {
        #expect(LSN(1) < LSN(2))
        #expect(LSN(0x1_0000_0000) > LSN(0xFFFF_FFFF))
    }

    @Test func cursorIsReadBackFromItsText() {
        let cursor = Cursor(logID: 0x9F03_C2D1_A4B5_E677, offset: 81_920, commitLSN: LSN(0x16_B374_8000), ordinal: 12)
        #expect(cursor.description == "9f03c2d1a4b5e677@81920@16/B3748000:12")
        #expect(Cursor(cursor.description) == cursor)
        let largest = Cursor(logID: .max, offset: .max, commitLSN: LSN(.max), ordinal: .max)
        #expect(Cursor(largest.description) == largest)
    }

    @Test(arguments: ["", "@@", "1@2", "1@2@0/3", "1@2@0/3:4:5", "x@2@0/3:4", "1@-2@0/3:4", "1@2@3:4", "1@2@0/3:4@5"])
    func whatIsNoCursorIsNotRead(text: String) {
        #expect(Cursor(text) == nil)
    }

    @Test func cursorsAreOrderedByOffset() {
        let first = Cursor(logID: 1, offset: 5, commitLSN: LSN(9), ordinal: 9)
        let second = Cursor(logID: 1, offset: 6, commitLSN: LSN(1), ordinal: 0)
        #expect(first < second)
    }

    @Test func timestampsCountFromBothEpochs() {
        #expect(Timestamp(microsecondsSince2000: 0).microsecondsSince1970 == 946_684_800_000_000)
        let time = Timestamp(microsecondsSince1970: 1_700_000_000_123_456)
        #expect(time.microsecondsSince1970 == 1_700_000_000_123_456)
        #expect(Timestamp(microsecondsSince2000: .max).microsecondsSince1970 == .max)
    }
}
