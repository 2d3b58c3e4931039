import MillraceCore
import Testing

@Suite struct ChangeBatchTests {
    @Test func cursorsCountInTheLogNotInTheBatch() {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 30, alignment: 16)
        let end = Cursor(logID: 5, offset: 9000, commitLSN: LSN(9), ordinal: 9)
        let batch = ChangeBatch(
            adopting: bytes, count: 30,
            runs: [.init(byteIndex: 0, logOffset: 100), .init(byteIndex: 10, logOffset: 500)], logID: 5, relations: [:],
            end: end, endsInTransaction: false, lastCommitTime: nil)
        func offset(_ index: Int) -> UInt64 { batch.cursor(behind: index, commitLSN: LSN(1), ordinal: 2).offset }
        #expect(offset(0) == 100)
        #expect(offset(4) == 104)
        // Behind the first run, not before the second.
        #expect(offset(10) == 110)
        #expect(offset(11) == 501)
        #expect(batch.cursor(behind: 30, commitLSN: LSN(1), ordinal: 2) == end)
        let inside = batch.cursor(behind: 11, commitLSN: LSN(1), ordinal: 2)
        #expect(inside == Cursor(logID: 5, offset: 501, commitLSN: LSN(1), ordinal: 2))
    }
}
