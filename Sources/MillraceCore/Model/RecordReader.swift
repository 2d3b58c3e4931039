/// Walks the records in a stretch of log. Checks every length, so that what follows can read the views without checks.
///
/// A view: whoever makes it keeps the bytes alive.
package struct RecordReader {
    package let bytes: UnsafeRawBufferPointer
    /// Where the next record begins.
    package private(set) var offset: Int

    /// Kind (1 byte) and length of the body (4 bytes).
    package static let headerSize = 5

    package init(_ bytes: UnsafeRawBufferPointer, offset: Int = 0) {
        self.bytes = bytes
        self.offset = offset
    }

    /// The next record; nil at the end of the bytes.
    package mutating func next() throws(MalformedRecord) -> Record? {
        guard offset < bytes.count else { return nil }
        guard let (kind, body) = Self.peek(bytes, at: offset) else {
            throw MalformedRecord("record at \(offset) is longer than its frame")
        }
        let start = offset
        offset += Self.headerSize + body.count
        guard let record = Self.parse(kind, body) else {
            throw MalformedRecord("record at \(start) of kind \(kind) is malformed")
        }
        return record
    }

    /// Kind and body of the record at `offset`, without looking into it.
    package static func peek(
        _ bytes: UnsafeRawBufferPointer, at offset: Int
    ) -> (kind: UInt8, body: UnsafeRawBufferPointer)? {
        guard offset >= 0, bytes.count - offset >= headerSize else { return nil }
        let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset + 1, as: UInt32.self)))
        let start = offset + headerSize
        guard length <= bytes.count - start else { return nil }
        return (bytes[offset], UnsafeRawBufferPointer(rebasing: bytes[start..<start + length]))
    }

    private static func parse(_ kind: UInt8, _ body: UnsafeRawBufferPointer) -> Record? {
        switch kind {
        case RecordKind.insert: insert(body)
        case RecordKind.update: update(body)
        case RecordKind.delete: delete(body)
        case RecordKind.begin: begin(body)
        case RecordKind.commit:
            body.count == 8 ? .commit(changeCount: number(body, 0)) : nil
        case RecordKind.relation: .relation(body)
        case RecordKind.truncate: truncate(body)
        case RecordKind.message: message(body)
        case RecordKind.sourceState: .sourceState(body)
        case RecordKind.load: load(body)
        default: nil
        }
    }

    // Every caller has checked the length.
    private static func number<T: FixedWidthInteger>(_ body: UnsafeRawBufferPointer, _ offset: Int) -> T {
        T(bigEndian: body.loadUnaligned(fromByteOffset: offset, as: T.self))
    }

    private static func rest(_ body: UnsafeRawBufferPointer, _ offset: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: body[offset...])
    }

    private static func tuple(_ bytes: UnsafeRawBufferPointer, length: Int) -> TupleView {
        TupleView(
            count: Int(number(bytes, 0) as UInt16), bytes: UnsafeRawBufferPointer(rebasing: bytes[2..<length]))
    }

    /// The tuple that fills `bytes` to the end.
    private static func wholeTuple(_ bytes: UnsafeRawBufferPointer) -> TupleView? {
        guard TupleView.measure(bytes) == bytes.count else { return nil }
        return tuple(bytes, length: bytes.count)
    }

    // Rows: relation id (4), LSN (8), then pgoutput's bytes behind the relation id.
    private static let rowPrefix = 12

    private static func insert(_ body: UnsafeRawBufferPointer) -> Record? {
        guard body.count > rowPrefix, body[rowPrefix] == 0x4E,  // 'N'
            let new = wholeTuple(rest(body, rowPrefix + 1))
        else { return nil }
        return .insert(RelationID(number(body, 0)), lsn: LSN(number(body, 4)), new: new)
    }

    private static func update(_ body: UnsafeRawBufferPointer) -> Record? {
        guard body.count > rowPrefix else { return nil }
        let id = RelationID(number(body, 0))
        let lsn = LSN(number(body, 4))
        let marker = body[rowPrefix]
        let first = rest(body, rowPrefix + 1)
        if marker == 0x4E {  // 'N'
            guard let new = wholeTuple(first) else { return nil }
            return .update(id, lsn: lsn, old: nil, new: new)
        }
        guard marker == 0x4B || marker == 0x4F, let length = TupleView.measure(first), first.count > length,
            first[length] == 0x4E, let new = wholeTuple(rest(first, length + 1))
        else { return nil }
        let old = tuple(first, length: length)
        return .update(id, lsn: lsn, old: marker == 0x4B ? .key(old) : .full(old), new: new)
    }

    private static func delete(_ body: UnsafeRawBufferPointer) -> Record? {
        guard body.count > rowPrefix else { return nil }
        let marker = body[rowPrefix]
        guard marker == 0x4B || marker == 0x4F, let old = wholeTuple(rest(body, rowPrefix + 1)) else { return nil }
        return .delete(
            RelationID(number(body, 0)), lsn: LSN(number(body, 4)), old: marker == 0x4B ? .key(old) : .full(old))
    }

    private static func begin(_ body: UnsafeRawBufferPointer) -> Record? {
        guard body.count == RecordBuffer.beginBodySize else { return nil }
        return .begin(
            TransactionInfo(
                flags: .init(rawValue: body[0]), xid: number(body, 1), commitLSN: LSN(number(body, 5)),
                endLSN: LSN(number(body, 13)), commitTime: Timestamp(microsecondsSince2000: number(body, 21)),
                firstOrdinal: number(body, 29), originLSN: LSN(number(body, 37))))
    }

    private static func truncate(_ body: UnsafeRawBufferPointer) -> Record? {
        guard body.count >= 9, (body.count - 9) % 4 == 0 else { return nil }
        let options = body[8]
        return .truncate(
            lsn: LSN(number(body, 0)),
            TruncateView(cascade: options & 1 != 0, restartIdentity: options & 2 != 0, ids: rest(body, 9)))
    }

    private static func message(_ body: UnsafeRawBufferPointer) -> Record? {
        guard body.count >= 13 else { return nil }
        let prefixLength = Int(number(body, 9) as UInt32)
        guard prefixLength <= body.count - 13 else { return nil }
        return .message(
            lsn: LSN(number(body, 0)),
            MessageView(
                isTransactional: body[8] & 1 != 0,
                prefix: UnsafeRawBufferPointer(rebasing: body[13..<13 + prefixLength]),
                content: rest(body, 13 + prefixLength)))
    }

    private static func load(_ body: UnsafeRawBufferPointer) -> Record? {
        guard body.count == 5, let phase = LoadPhase(rawValue: body[4]) else { return nil }
        return .load(RelationID(number(body, 0)), phase)
    }
}
