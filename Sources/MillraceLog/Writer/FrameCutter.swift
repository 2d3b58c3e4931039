import MillraceCore

/// A stretch of records that goes into one frame, and where the log stands behind it.
struct FrameCut {
    var range: Range<Int>
    var after: TransactionTail
    var changeCount: UInt32 = 0
    var commitCount: UInt32 = 0
    /// The relation records in it, kind and length included.
    var relations: [Range<Int>] = []
    /// The body of the last source state record in it.
    var state: Range<Int>?
}

/// Cuts records into frames by their headers only.
///
/// A frame ends where no transaction is open, if it can: only a frame that holds nothing but a part of one transaction
/// ends inside it. So cutting the log at a frame's end can take back an open transaction without touching another.
enum FrameCutter {
    /// The next frame of `bytes` from `start` on: about `limit` bytes, at least one record.
    static func cut(
        _ bytes: UnsafeRawBufferPointer, from start: Int, _ tail: TransactionTail, limit: Int
    ) throws(LogError) -> FrameCut {
        var now = FrameCut(range: start..<start, after: tail)
        var boundary: FrameCut?
        var index = start
        while index < bytes.count {
            guard bytes.count - index >= RecordReader.headerSize else { throw malformed(index) }
            let kind = bytes[index]
            let length = Int(bytes.number(at: index + 1, as: UInt32.self))
            let next = index + RecordReader.headerSize + length
            guard next <= bytes.count else { throw malformed(index) }
            if next - start > limit && index > start { break }
            switch kind {
            case RecordKind.insert, RecordKind.update, RecordKind.delete, RecordKind.truncate, RecordKind.message:
                now.after.openOrdinal &+= 1
                now.changeCount &+= 1
            case RecordKind.begin:
                guard length == TransactionInfo.bodySize, now.after.open == nil else { throw malformed(index) }
                now.after.begin(TransactionInfo(body: bytes.part(index + RecordReader.headerSize..<next)))
            case RecordKind.commit:
                guard now.after.open != nil else { throw malformed(index) }
                now.after.commit()
                now.commitCount &+= 1
            case RecordKind.relation:
                guard length >= 4 else { throw malformed(index) }
                now.relations.append(index..<next)
            case RecordKind.sourceState:
                now.state = index + RecordReader.headerSize..<next
            default:
                break
            }
            index = next
            if now.after.open == nil {
                now.range = start..<index
                boundary = now
            }
        }
        now.range = start..<index
        return boundary ?? now
    }

    private static func malformed(_ index: Int) -> LogError {
        .misuse(reason: "the record at byte \(index) of the buffer is malformed or out of place")
    }
}
