import MillraceCore

/// Steps over records by their headers; false where they do not fill the bytes exactly.
@discardableResult
func walkRecords(
    _ bytes: UnsafeRawBufferPointer, _ body: (_ kind: UInt8, _ record: Range<Int>) -> Void
) -> Bool {
    var index = 0
    while index < bytes.count {
        guard bytes.count - index >= RecordReader.headerSize else { return false }
        let next = index + RecordReader.headerSize + Int(bytes.number(at: index + 1, as: UInt32.self))
        guard next <= bytes.count else { return false }
        body(bytes[index], index..<next)
        index = next
    }
    return true
}

/// Which of `candidates` a record in `bytes` names before a relation record defines it there.
func relationsUsedBeforeDefined(_ bytes: UnsafeRawBufferPointer, _ candidates: Set<UInt32>) -> Set<UInt32> {
    var open = candidates
    var result: Set<UInt32> = []
    var last: UInt32?
    walkRecords(bytes) { kind, record in
        eachRelation(kind, bytes.part(record)) { id in
            if kind == RecordKind.relation {
                open.remove(id)
                last = nil
            } else if id != last {
                last = id
                if open.remove(id) != nil { result.insert(id) }
            }
        }
    }
    return result
}

/// Calls `body` with the id of each relation that a record defines or names.
@inline(__always)
func eachRelation(_ kind: UInt8, _ record: UnsafeRawBufferPointer, _ body: (UInt32) -> Void) {
    switch kind {
    case RecordKind.insert, RecordKind.update, RecordKind.delete, RecordKind.load, RecordKind.relation:
        if record.count >= RecordReader.smallestRelation { body(relationID(of: record)) }
    case RecordKind.truncate:
        // LSN and options stand before the ids.
        for index in stride(from: RecordReader.headerSize + 9, to: record.count - 3, by: 4) {
            body(record.number(at: index))
        }
    default:
        break
    }
}

/// The id in a relation or row record of at least nine bytes.
func relationID(of record: UnsafeRawBufferPointer) -> UInt32 {
    record.number(at: RecordReader.headerSize)
}

extension RecordReader {
    /// Smallest relation record: header and id.
    static let smallestRelation = headerSize + 4
}
