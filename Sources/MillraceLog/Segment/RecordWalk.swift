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

/// The id in a relation record of at least nine bytes.
func relationID(of record: UnsafeRawBufferPointer) -> UInt32 {
    record.number(at: RecordReader.headerSize)
}

extension RecordReader {
    /// Smallest relation record: header and id.
    static let smallestRelation = headerSize + 4
}
