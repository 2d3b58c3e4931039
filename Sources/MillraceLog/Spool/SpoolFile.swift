import MillraceCore

/// The file of a spooled transaction: a segment whose header is still to come.
struct SpoolFile<Storage: LogStorage> {
    /// Where a frame of the file lies, and what was spooled before it.
    struct Place {
        var position: UInt64
        var byteCount: UInt64
        var changeCount: UInt64
    }

    let storage: Storage
    let file: Storage.File
    let path: String
    let salt: UInt64
    let xid: UInt32
    private(set) var places: [Place] = []
    private(set) var end = UInt64(SegmentHeader.size)
    /// Bytes and changes in the frames, without what the frames add.
    private(set) var byteCount: UInt64 = 0
    private(set) var changeCount: UInt64 = 0
    private(set) var relationLink: UInt64 = 0

    init(_ storage: Storage, path: String, xid: UInt32) throws(LogError) {
        self.storage = storage
        self.path = path
        self.xid = xid
        file = try storage.create(path)
        salt = storage.randomNumber()
    }

    /// Appends `records` as one frame behind a begin record that has yet to be filled in. All or nothing.
    mutating func append(
        _ records: UnsafeRawBufferPointer, changeCount changes: UInt64, hasRelations: Bool, isLast: Bool
    ) throws(LogError) {
        var begin = TransactionInfo(
            flags: [], xid: xid, commitLSN: .zero, endLSN: .zero, commitTime: Timestamp(microsecondsSince2000: 0))
        var flags: FrameHeader.Flags = .spooled
        if !places.isEmpty {
            begin = begin.continued(at: changeCount)
            flags.insert(.beginsInTransaction)
        }
        if !isLast { flags.insert(.endsInTransaction) }
        if hasRelations { flags.insert(.hasRelations) }
        var frame = FrameHeader(flags)
        frame.changeCount = UInt32(truncatingIfNeeded: changes)
        frame.commitCount = isLast ? 1 : 0
        frame.endOrdinal = changeCount + changes
        frame.relationLink = relationLink
        let place = Place(position: end, byteCount: byteCount, changeCount: changeCount)
        try write(frame, begin, records)
        if hasRelations { relationLink = place.position }
        places.append(place)
        byteCount += UInt64(records.count)
        changeCount += changes
    }

    /// Appends a frame that says what holds before the first one.
    mutating func appendPreamble(_ records: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) throws(LogError) {
        var frame = FrameHeader(flags.union([.restated, .preamble, .spooled]))
        frame.endOrdinal = changeCount
        frame.relationLink = relationLink
        try write(frame, nil, records)
    }

    private mutating func write(
        _ header: FrameHeader, _ begin: TransactionInfo?, _ records: UnsafeRawBufferPointer
    ) throws(LogError) {
        var header = header
        let head = Block(FrameHeader.size + TransactionInfo.recordSize)
        var headLength = FrameHeader.size
        if let begin {
            begin.encodeRecord(into: UnsafeMutableRawBufferPointer(rebasing: head.bytes[headLength...]))
            headLength += TransactionInfo.recordSize
        }
        header.encode(
            into: head.bytes, payload: head.prefix(headLength).part(FrameHeader.size..<headLength), records, salt: salt,
            position: end)
        try storage.write(file, head.prefix(headLength), records, at: end)
        end += header.totalLength
    }

    /// Takes back every frame that holds something behind `byteCount`; returns what is left of the earliest of them, in
    /// bytes that have to be appended again.
    mutating func truncate(to byteCount: UInt64) throws(LogError) -> Block? {
        guard byteCount < self.byteCount else { return nil }
        var low = 0
        var high = places.count - 1
        while low < high {
            let middle = (low + high + 1) / 2
            if places[middle].byteCount <= byteCount { low = middle } else { high = middle - 1 }
        }
        let place = places[low]
        let kept = Block(Int(byteCount - place.byteCount))
        let length = Int(byteCount - place.byteCount)
        let start = place.position + UInt64(FrameHeader.size + TransactionInfo.recordSize)
        let target = UnsafeMutableRawBufferPointer(rebasing: kept.bytes[..<length])
        let count = try storage.read(file, into: target, at: start)
        guard count == length else {
            throw .corrupt(path: path, offset: start, reason: "the spool file is shorter than what was written")
        }
        let header = try link(at: place.position)
        try storage.truncate(file, to: place.position)
        relationLink = header
        places.removeSubrange(low...)
        end = place.position
        self.byteCount = place.byteCount
        changeCount = place.changeCount
        return kept
    }

    /// Back to `earlier`, a copy of this file's state with nothing but appends since.
    mutating func goBack(to earlier: SpoolFile) throws(LogError) {
        try storage.truncate(file, to: earlier.end)
        self = earlier
    }

    private func link(at position: UInt64) throws(LogError) -> UInt64 {
        let block = Block(FrameHeader.size)
        let count = try storage.read(file, into: block.bytes, at: position)
        guard let header = FrameHeader(block.prefix(min(count, FrameHeader.size)), salt: salt, position: position)
        else {
            throw .corrupt(path: path, offset: position, reason: "the spool file is not what was written")
        }
        return header.relationLink
    }
}
