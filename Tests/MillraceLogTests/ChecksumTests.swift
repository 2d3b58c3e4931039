import MillraceCore
import Testing

@testable import MillraceLog

@Suite struct ChecksumTests {
    /// RFC 3720, B.4, and the check value of the CRC catalogue.
    @Test func crc32cMatchesTheRFC() {
        let vectors: [([UInt8], UInt32)] = [
            (Array(repeating: 0, count: 32), 0x8A91_36AA),
            (Array(repeating: 0xFF, count: 32), 0x62A8_AB43),
            (Array(0..<32), 0x46DD_794E),
            ((0..<32).reversed(), 0x113F_DB5C),
            (Array("123456789".utf8), 0xE306_9283),
            ([], 0),
        ]
        for (bytes, expected) in vectors {
            #expect(bytes.withUnsafeBytes { Checksum.crc32c($0) } == expected)
        }
    }

    @Test func crc32cGoesOnWhereItStopped() {
        let bytes = Array(UInt8(0)...UInt8(99))
        let whole = bytes.withUnsafeBytes { Checksum.crc32c($0) }
        for split in bytes.indices {
            let first = bytes[..<split].withUnsafeBytes { Checksum.crc32c($0) }
            #expect(bytes[split...].withUnsafeBytes { Checksum.crc32c($0, from: first) } == whole)
        }
    }

    @Test func frameHeaderIsReadBackOnlyInItsPlace() {
        let block = Block(FrameHeader.size)
        let payload = Array("payload".utf8)
        var header = FrameHeader([.hasRelations, .endsInTransaction])
        header.changeCount = 3
        header.commitCount = 2
        header.endOrdinal = 17
        header.endCommitLSN = LSN(0x1_0000_0002)
        header.lastEndLSN = LSN(99)
        header.lastCommitTime = Timestamp(microsecondsSince2000: -5)
        header.syncedOffset = 4711
        header.relationLink = 256
        payload.withUnsafeBytes {
            header.encode(
                into: block.bytes, payload: $0, UnsafeRawBufferPointer(start: nil, count: 0), salt: 9, position: 512)
        }
        let bytes = block.prefix(FrameHeader.size)
        guard let back = FrameHeader(bytes, salt: 9, position: 512) else {
            Issue.record("the header was not read back")
            return
        }
        #expect(back.flags == header.flags && back.payloadLength == 7 && back.changeCount == 3 && back.commitCount == 2)
        #expect(back.endOrdinal == 17 && back.endCommitLSN == LSN(0x1_0000_0002) && back.lastEndLSN == LSN(99))
        #expect(
            back.lastCommitTime.microsecondsSince2000 == -5 && back.syncedOffset == 4711 && back.relationLink == 256)
        #expect(payload.withUnsafeBytes { back.matches($0, salt: 9, position: 512) })
        #expect(!payload.withUnsafeBytes { back.matches($0, salt: 9, position: 513) })
        #expect(FrameHeader(bytes, salt: 8, position: 512) == nil)
        #expect(FrameHeader(bytes, salt: 9, position: 592) == nil)
    }

    @Test func segmentNamesSortAsTheirOffsets() {
        #expect(SegmentHeader.name(firstOffset: 0x1F) == "000000000000001f.seg")
        #expect(SegmentHeader.firstOffset(ofName: "000000000000001f.seg") == 0x1F)
        for name in ["1f.seg", "000000000000001F.seg", "000000000000001f.tmp", "+00000000000001f.seg", ""] {
            #expect(SegmentHeader.firstOffset(ofName: name) == nil, "\(name)")
        }
    }
}
