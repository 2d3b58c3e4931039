import MillraceCore
import Testing

@testable import FileConnector

@Suite struct FileNameTests {
    private func name(_ offset: UInt64, ordinal: UInt64 = 0) -> SealedFileName {
        SealedFileName(
            prefix: "a-b.c_d/é", sequence: 3, startOffset: offset, firstLSN: LSN(7), firstOrdinal: 0,
            cursor: Cursor(logID: .max, offset: offset + 10, commitLSN: LSN(.max), ordinal: ordinal),
            lastCommitEnd: LSN(99))
    }

    @Test func aNameIsReadBack() {
        let text = name(5, ordinal: 12).text("jsonl")
        #expect(SealedFileName(text, prefix: "a-b.c_d/é", pathExtension: "jsonl") == name(5, ordinal: 12))
        #expect(text.utf8.count <= PathText.encode("a-b.c_d/é").utf8.count + SealedFileName.fixedLength)
        #expect(!text.contains("/"))
    }

    @Test func namesSortAsTheLog() {
        let offsets: [UInt64] = [0, 9, 10, 255, 4096, 1 << 40]
        let names = offsets.map { name($0).text("csv") }
        #expect(names.sorted() == names)
    }

    @Test(arguments: [
        "", "srv", ".srv.jsonl.tmp", "srv-1-2-3_4-5_6-7_8_9.csv", "srv-x-0-0_0-0_0-0_0_0.jsonl",
        "srv-1-0-0_0_0-0_0_0.jsonl",
        "srv.other-000001-0-0_0-0_0-0_0_0.jsonl",
    ])
    func otherNamesAreNotOurs(_ text: String) {
        #expect(SealedFileName(text, prefix: "srv", pathExtension: "jsonl") == nil)
    }
}
