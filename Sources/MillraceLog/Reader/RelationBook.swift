import MillraceCore

/// The relations that a reader knows at its place in the log.
struct RelationBook {
    private(set) var relations: [RelationID: Relation] = [:]

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
            var reader = ByteReader(body)
            let relation = try Relation.decode(&reader)
            // Equal definitions keep their object, so that sinks can tell by it.
            guard relations[relation.id]?.version != relation.version else { continue }
            isNew = true
            if !dryRun { relations[relation.id] = relation }
        }
        return isNew
    }
}
