import MillraceCore

/// The relations that a reader knows at its place in the log.
struct RelationBook {
    private(set) var relations: [RelationID: Relation] = [:]
    /// The records that they were read from: repetitions, which are common, are told by their bytes.
    private var records: [RelationID: [UInt8]] = [:]

    /// Reads the relation records in `payload`. Returns whether they said anything new.
    /// `dryRun`: does not take it over. Throws what is wrong with a record.
    @discardableResult
    mutating func learn(_ payload: UnsafeRawBufferPointer, dryRun: Bool = false) throws(MalformedRecord) -> Bool {
        var index = 0
        var isNew = false
        while index < payload.count {
            guard let (kind, body) = RecordReader.peek(payload, at: index) else {
                throw MalformedRecord("record at \(index) is longer than its frame")
            }
            index += RecordReader.headerSize + body.count
            guard kind == RecordKind.relation else { continue }
            if body.count >= 4, let known = records[RelationID(body.number(at: 0))], known.elementsEqual(body) {
                continue
            }
            var reader = ByteReader(body)
            let relation = try Relation.decode(&reader)
            isNew = true
            if dryRun { continue }
            relations[relation.id] = relation
            records[relation.id] = Array(body)
        }
        return isNew
    }
}
