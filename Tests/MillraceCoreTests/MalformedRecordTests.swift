import MillraceCore
import Testing

/// Bytes from outside never trap: they are read, or `MalformedRecord` is thrown.
@Suite struct MalformedRecordTests {
    /// One of each kind.
    func sample() -> [UInt8] {
        let buffer = RecordBuffer()
        buffer.begin(info)
        buffer.row(RecordKind.insert, 1, [(0x4E, ["abc", nil, "\u{1}"])])
        buffer.row(RecordKind.update, 1, [(0x4B, ["k"]), (0x4E, ["abc"])])
        buffer.row(RecordKind.delete, 1, [(0x4F, ["k"])])
        buffer.truncate(lsn: LSN(1), options: 1, relations: [RelationID(1)])
        [UInt8](repeating: 65, count: 4).withUnsafeBytes {
            buffer.message(lsn: LSN(2), isTransactional: true, prefix: $0, content: $0)
            buffer.sourceState($0)
        }
        buffer.load(RelationID(1), .begin)
        buffer.relation(RelationCodingTests.everything)
        buffer.commit(changeCount: 4)
        return Array(buffer.bytes)
    }

    /// Reads everything down to the last column; returns the number of records.
    func readAll(_ bytes: [UInt8]) throws -> Int {
        try bytes.withUnsafeBytes { bytes in
            var reader = RecordReader(bytes)
            var count = 0
            while let record = try reader.next() {
                count += 1
                switch record {
                case .insert(_, _, let new): _ = values(new)
                case .update(_, _, let old, let new): _ = (old.map { values($0.tuple) }, values(new))
                case .delete(_, _, let old): _ = values(old.tuple)
                case .truncate(_, let view): _ = view.relations
                case .relation(let body):
                    var reader = ByteReader(body)
                    _ = try Relation.decode(&reader)
                default: break
                }
            }
            return count
        }
    }

    @Test func everyTruncationIsReadOrRefused() throws {
        let bytes = sample()
        let whole = try readAll(bytes)
        #expect(whole == 10)
        var boundaries = 0
        for length in 0..<bytes.count {
            do {
                let count = try readAll(Array(bytes.prefix(length)))
                boundaries += 1
                #expect(count < whole)
            } catch is MalformedRecord {}
        }
        // Whole only where a record ends: at the start and behind nine of ten.
        #expect(boundaries == whole)
    }

    @Test func everyChangedByteIsReadOrRefused() {
        let bytes = sample()
        for index in bytes.indices {
            for value in [0, 1, 0x7F, 0x80, 0xFF, bytes[index] ^ 1] as [UInt8] {
                var changed = bytes
                changed[index] = value
                do { _ = try readAll(changed) } catch { #expect(error is MalformedRecord) }
            }
        }
    }

    @Test func unknownKindIsRefused() {
        #expect(throws: MalformedRecord.self) { try readAll([0x7A, 0, 0, 0, 0]) }
    }

    @Test func lengthBeyondTheEndIsRefused() {
        #expect(throws: MalformedRecord.self) { try readAll([0x49, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2]) }
        let bytes: [UInt8] = [0x49, 0, 0, 0, 1, 9]
        bytes.withUnsafeBytes { bytes in
            #expect(RecordReader.peek(bytes, at: 0)?.body.count == 1)
            #expect(RecordReader.peek(bytes, at: 1) == nil)
            #expect(RecordReader.peek(bytes, at: -1) == nil)
            #expect(RecordReader.peek(bytes, at: 6) == nil)
        }
    }

    @Test(arguments: [
        [], [0], [0, 1], [0, 1, 0x74], [0, 1, 0x74, 0, 0, 0, 5, 1], [0, 1, 0x78], [0xFF, 0xFF, 0x6E],
        [0, 1, 0x74, 0xFF, 0xFF, 0xFF, 0xFF],
    ])
    func whatIsNoTupleHasNoMeasure(bytes: [UInt8]) {
        #expect(bytes.withUnsafeBytes { TupleView.measure($0) } == nil)
    }

    @Test func tupleIsMeasuredWithoutWhatFollows() {
        let bytes = tuple(["abc", nil]) + [1, 2, 3]
        #expect(bytes.withUnsafeBytes { TupleView.measure($0) } == bytes.count - 3)
        #expect([UInt8]([0, 0]).withUnsafeBytes { TupleView.measure($0) } == 2)
    }
}
