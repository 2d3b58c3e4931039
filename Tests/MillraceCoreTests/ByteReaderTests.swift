import MillraceCore
import Testing

@Suite struct ByteReaderTests {
    @Test func numbersAndTextsComeBack() throws {
        var writer = ByteWriter()
        writer.append(UInt8(1))
        writer.append(UInt16(0x0203))
        writer.append(UInt32(0x0405_0607))
        writer.append(UInt64.max)
        writer.append("größe")
        writer.append(raw: [0x61, 0x62, 0])
        #expect(writer.bytes.prefix(7) == [1, 2, 3, 4, 5, 6, 7])
        try writer.bytes.withUnsafeBytes { bytes throws in
            var reader = ByteReader(bytes)
            #expect(try reader.uint8() == 1)
            #expect(try reader.uint16() == 0x0203)
            #expect(try reader.uint32() == 0x0405_0607)
            #expect(try reader.int64() == -1)
            #expect(try reader.string() == "größe")
            #expect(try reader.zeroTerminatedString() == "ab")
            #expect(reader.isAtEnd && reader.remaining == 0)
            #expect(throws: MalformedRecord.self) { _ = try reader.uint8() }
        }
    }

    @Test func whatIsNotThereIsAnErrorThatNamesThePlace() {
        [UInt8]([0, 0, 0, 9, 0x61]).withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            #expect(throws: MalformedRecord("9 bytes expected at 4, 1 left")) { _ = try reader.string() }
            reader = ByteReader(bytes, offset: 3)
            #expect(throws: MalformedRecord("4 bytes expected at 3, 2 left")) { _ = try reader.uint32() }
            #expect(throws: MalformedRecord.self) { _ = try reader.slice(-1) }
            reader = ByteReader(bytes, offset: 4)
            #expect(throws: MalformedRecord("text at 4 has no end")) { _ = try reader.zeroTerminated() }
        }
        [UInt8]([0, 0, 0, 2, 0xC3, 0x28]).withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            #expect(throws: MalformedRecord("text at 4 is not UTF-8")) { _ = try reader.string() }
        }
        // A count that no memory could hold ends with the bytes.
        [UInt8](repeating: 0xFF, count: 8).withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            #expect(throws: MalformedRecord.self) { _ = try reader.strings() }
        }
    }
}
