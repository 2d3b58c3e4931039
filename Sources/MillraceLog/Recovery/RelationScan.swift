import MillraceCore

/// Collects relation definitions, newest first, from the frames that have them: each frame names the one before it.
struct RelationScan<Storage: LogStorage> {
    /// The newest definition of each relation, as a record.
    private(set) var records: [UInt32: [UInt8]] = [:]

    /// Follows the chain from `position` (0: none) towards the start of the segment.
    mutating func add(_ segment: SegmentFile<Storage>, from position: UInt64, end: UInt64) throws(LogError) {
        var position = position
        while position != 0 {
            let next = try addFrame(segment, at: position, end: end)
            guard next < position else { throw segment.damaged(position, "the link to earlier relations is wrong") }
            position = next
        }
    }

    /// The definitions in one frame, where they are not known yet. Returns the position of the one before it.
    @discardableResult
    mutating func addFrame(
        _ segment: SegmentFile<Storage>, at position: UInt64, end: UInt64
    ) throws(LogError) -> UInt64 {
        guard position != 0 else { return 0 }
        guard let frame = try segment.frameHeader(at: position) else {
            throw segment.damaged(position, "the frame header is damaged")
        }
        guard let payload = try segment.payload(of: frame, at: position, end: end) else {
            throw segment.damaged(position, "the checksum of the frame is wrong")
        }
        let bytes = payload.prefix(frame.payloadLength)
        var newest: [UInt32: [UInt8]] = [:]
        walkRecords(bytes) { kind, record in
            guard kind == RecordKind.relation, record.count >= RecordReader.smallestRelation else { return }
            newest[relationID(of: bytes.part(record))] = Array(bytes.part(record))
        }
        records.merge(newest) { known, _ in known }
        return frame.relationLink
    }

    /// The last source state in the frame at `position`; empty for 0.
    static func state(_ segment: SegmentFile<Storage>, at position: UInt64, end: UInt64) throws(LogError) -> [UInt8] {
        guard position != 0 else { return [] }
        guard let frame = try segment.frameHeader(at: position),
            let payload = try segment.payload(of: frame, at: position, end: end)
        else { throw segment.damaged(position, "the frame with the source's state is damaged") }
        let bytes = payload.prefix(frame.payloadLength)
        var state: [UInt8] = []
        walkRecords(bytes) { kind, record in
            if kind == RecordKind.sourceState { state = Array(bytes.part(record).dropFirst(RecordReader.headerSize)) }
        }
        return state
    }
}
