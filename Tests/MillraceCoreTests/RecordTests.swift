import MillraceCore
import Testing

@Suite struct RecordTests {
    /// Reads the only record of a buffer.
    func only(_ fill: (RecordBuffer) -> Void, _ body: (Record) -> Void) throws {
        let buffer = RecordBuffer()
        fill(buffer)
        var reader = RecordReader(buffer.bytes)
        guard let record = try reader.next() else {
            Issue.record("no record")
            return
        }
        body(record)
        #expect(try reader.next() == nil)
        #expect(reader.offset == buffer.count)
    }

    func fail(_ record: Record) {
        Issue.record("\(record)")
    }

    @Test func beginKeepsEverything() throws {
        try only({ $0.begin(info) }) { record in
            guard case .begin(let back) = record else { return fail(record) }
            #expect(back == info)
        }
    }

    @Test func commitKeepsItsCount() throws {
        try only({ $0.commit(changeCount: .max) }) { record in
            guard case .commit(.max) = record else { return fail(record) }
        }
    }

    @Test func insertKeepsItsColumns() throws {
        let row: [String?] = ["1", nil, "", "\u{1}", "größer"]
        try only({ $0.row(RecordKind.insert, 9, lsn: 77, [(0x4E, row)]) }) { record in
            guard case .insert(RelationID(9), LSN(77), let new) = record else { return fail(record) }
            #expect(new.count == 5)
            #expect(values(new) == row)
        }
    }

    @Test func updateHasThreeForms() throws {
        try only({ $0.row(RecordKind.update, 9, [(0x4E, ["b"])]) }) { record in
            guard case .update(_, _, nil, let new) = record else { return fail(record) }
            #expect(values(new) == ["b"])
        }
        try only({ $0.row(RecordKind.update, 9, [(0x4B, ["a", nil]), (0x4E, ["b", "c"])]) }) { record in
            guard case .update(_, _, .key(let old), let new) = record else { return fail(record) }
            #expect(values(old) == ["a", nil] && values(new) == ["b", "c"])
        }
        try only({ $0.row(RecordKind.update, 9, [(0x4F, ["a"]), (0x4E, ["b"])]) }) { record in
            guard case .update(_, _, .full(let old), _) = record else { return fail(record) }
            #expect(values(old) == ["a"])
        }
    }

    @Test func deleteHasTwoForms() throws {
        try only({ $0.row(RecordKind.delete, 9, [(0x4B, ["a"])]) }) { record in
            guard case .delete(_, _, .key(let old)) = record else { return fail(record) }
            #expect(values(old) == ["a"])
        }
        try only({ $0.row(RecordKind.delete, 9, [(0x4F, ["a", "b"])]) }) { record in
            guard case .delete(_, _, .full(let old)) = record else { return fail(record) }
            #expect(values(old) == ["a", "b"])
        }
    }

    @Test func truncateMessageStateAndLoadComeBack() throws {
        try only({ $0.truncate(lsn: LSN(4), options: 2, relations: [RelationID(1), RelationID(.max)]) }) { record in
            guard case .truncate(LSN(4), let view) = record else { return fail(record) }
            #expect(!view.cascade && view.restartIdentity)
            #expect(view.relations == [RelationID(1), RelationID(.max)])
        }
        let (prefix, content) = (Array("prefix".utf8), Array("content".utf8))
        try only({ buffer in
            prefix.withUnsafeBytes { prefix in
                content.withUnsafeBytes {
                    buffer.message(lsn: LSN(4), isTransactional: false, prefix: prefix, content: $0)
                }
            }
        }) { record in
            guard case .message(LSN(4), let message) = record else { return fail(record) }
            #expect(!message.isTransactional)
            #expect(message.prefix.elementsEqual(prefix) && message.content.elementsEqual(content))
        }
        try only({ buffer in content.withUnsafeBytes { buffer.sourceState($0) } }) { record in
            guard case .sourceState(let state) = record else { return fail(record) }
            #expect(state.elementsEqual(content))
        }
        try only({ $0.load(RelationID(3), .end) }) { record in
            guard case .load(RelationID(3), .end) = record else { return fail(record) }
        }
    }

    @Test func rowWrittenColumnByColumnEqualsOneWrittenWhole() {
        let whole = RecordBuffer()
        whole.row(RecordKind.insert, 9, [(0x4E, ["ab", nil, "c"])])
        let pieces = RecordBuffer(capacity: 1)
        let start = pieces.beginRow(RecordKind.insert, relation: RelationID(9), lsn: LSN(5))
        pieces.beginTuple(0x4E, columnCount: 3)
        Array("ab".utf8).withUnsafeBytes { pieces.appendColumn(TupleView.Kind.text, $0) }
        pieces.appendColumn(TupleView.Kind.null)
        pieces.appendColumn(TupleView.Kind.text)
        let target = pieces.reserve(5)
        target.storeBytes(of: UInt32(1).bigEndian, as: UInt32.self)
        target.storeBytes(of: UInt8(ascii: "c"), toByteOffset: 4, as: UInt8.self)
        pieces.advance(by: 5)
        pieces.endRow(start)
        #expect(whole.bytes.elementsEqual(pieces.bytes))
        #expect(pieces.changeCount == 1 && pieces.usedRelations == [RelationID(9)])
    }

    @Test func bufferKeepsItsBooks() {
        let buffer = RecordBuffer()
        buffer.begin(info)
        buffer.row(RecordKind.insert, 1, [(0x4E, ["a"])])
        buffer.row(RecordKind.insert, 2, [(0x4E, ["a"])])
        buffer.row(RecordKind.insert, 1, [(0x4E, ["a"])])
        #expect(buffer.endsInTransaction && buffer.lastEndLSN == nil)
        buffer.truncate(lsn: LSN(1), options: 0, relations: [RelationID(3)])
        buffer.commit(changeCount: 4)
        #expect(!buffer.endsInTransaction && buffer.lastEndLSN == info.endLSN)
        #expect(buffer.commitCount == 1 && buffer.changeCount == 4)
        #expect(buffer.usedRelations == [RelationID(1), RelationID(2), RelationID(3)])

        let other = RecordBuffer()
        other.append(contentsOf: buffer)
        #expect(other.bytes.elementsEqual(buffer.bytes))
        #expect(other.usedRelations == buffer.usedRelations && other.lastEndLSN == info.endLSN)
        buffer.removeAll(keeping: 0)
        #expect(buffer.isEmpty && buffer.usedRelations.isEmpty && buffer.changeCount == 0 && buffer.lastEndLSN == nil)
    }

    @Test func endLSNIsPutIntoTheBeginAtTheCommit() throws {
        let buffer = RecordBuffer()
        buffer.begin(info)
        buffer.commit(changeCount: 0, endLSN: LSN(4711))
        #expect(buffer.lastEndLSN == LSN(4711))
        var reader = RecordReader(buffer.bytes)
        guard case .begin(let back) = try reader.next() else { throw MalformedRecord("no begin") }
        #expect(back.endLSN == LSN(4711) && back.commitLSN == info.commitLSN && back.commitTime == info.commitTime)
    }

    @Test func takingTurnsDoesNotMakeTheListOfRelationsLong() {
        let buffer = RecordBuffer()
        for row in 0..<1000 { buffer.row(RecordKind.insert, UInt32(row % 3), [(0x4E, [nil])]) }
        #expect(buffer.usedRelations.count == 3)
    }

    @Test func continuedTransactionIsKnownAsOpen() {
        let buffer = RecordBuffer()
        buffer.continueTransaction()
        #expect(buffer.endsInTransaction)
        buffer.commit(changeCount: 9)
        #expect(!buffer.endsInTransaction)
    }
}
