import MillraceCore

/// Opens a log directory: checks that the segments fit together, takes back what was not completed, and finds out where
/// the log stands. docs/LOG_FORMAT.md, "Recovery", has the rules.
struct LogRecovery<Storage: LogStorage> {
    /// What the header and the seal of one segment file say.
    private struct Found {
        var name: String
        var header: SegmentHeader
        var size: UInt64
        var seal: SegmentSeal?
        var modified: Int64

        var end: UInt64 { header.firstOffset + (seal?.contentLength ?? 0) }
    }

    private let shared: LogState<Storage>
    /// Oldest first.
    private var found: [Found] = []

    static func open(_ shared: LogState<Storage>) throws(LogError) -> LogWriter<Storage> {
        var recovery = LogRecovery(shared: shared)
        return try recovery.run()
    }

    private init(shared: LogState<Storage>) {
        self.shared = shared
    }

    private var storage: Storage { shared.storage }

    private mutating func run() throws(LogError) -> LogWriter<Storage> {
        try storage.makeDirectory(shared.directory)
        try list()
        if found.isEmpty { return try begin() }
        try checkChain()
        // Whoever was killed between a rename and its fsync left a name that we see and that a power loss would take away,
        // with all that is written under it from now on.
        try storage.syncDirectory(shared.directory)
        let tail = try findTail()
        enterSegments(tail)
        let writer = LogWriter(shared, logID: found[0].header.logID, tail: tail)
        writer.noteActive()
        announce(writer)
        return writer
    }

    private func announce(_ writer: LogWriter<Storage>) {
        let cursor = writer.tail.cursor(writer.logID)
        let recovered = writer.tail.recovered(writer.logID)
        shared.horizon.update {
            $0.durable = cursor
            $0.recovered = recovered
        }
    }

    /// A log in an empty directory.
    private func begin() throws(LogError) -> LogWriter<Storage> {
        let id = storage.randomNumber()
        let writer = LogWriter<Storage>(shared, logID: id, tail: LogTail(active: nil, segmentStart: 0, offset: 0))
        var header = SegmentHeader(
            logID: id, firstOffset: 0, salt: storage.randomNumber(), before: TransactionTail(), boundaryOffset: 0)
        header.flags = .first
        try writer.beginSegment(header)
        announce(writer)
        return writer
    }

    // MARK: Files

    /// Finds the segments, and removes what is not part of the log: unfinished files, and a log that was discarded.
    private mutating func list() throws(LogError) {
        var starts: [UInt64] = []
        for name in try storage.list(shared.directory) {
            if let start = SegmentHeader.firstOffset(ofName: name) {
                starts.append(start)
            } else if name == unnamedSegment || name.hasPrefix("spool-") && name.hasSuffix(".tmp") {
                try storage.remove(shared.path(name))
            }
        }
        starts.sort()
        while let start = starts.popLast() {
            let name = SegmentHeader.name(firstOffset: start)
            let segment = try SegmentFile(storage, directory: shared.directory, name: name)
            let size = try segment.size()
            found.append(
                Found(
                    name: name, header: segment.header, size: size, seal: try segment.seal(fileSize: size),
                    modified: try storage.modificationTime(segment.file)))
            if segment.header.flags.contains(.first) { break }
        }
        found.reverse()
        for start in starts { try storage.remove(shared.path(SegmentHeader.name(firstOffset: start))) }
        if !starts.isEmpty { try storage.syncDirectory(shared.directory) }
    }

    private func checkChain() throws(LogError) {
        for (older, newer) in zip(found, found.dropFirst()) {
            let path = shared.path(older.name)
            guard older.seal != nil else {
                throw .corrupt(
                    path: path, offset: older.size,
                    reason: "the seal is missing or damaged, yet \(newer.name) follows; was the file cut short?")
            }
            guard older.header.logID == newer.header.logID else {
                throw .corrupt(path: shared.path(newer.name), offset: 24, reason: "it belongs to another log")
            }
            guard older.end == newer.header.firstOffset else {
                let expected = SegmentHeader.name(firstOffset: older.end)
                throw .corrupt(
                    path: shared.path(newer.name), offset: 32,
                    reason: "\(expected) should come before it, and is missing")
            }
        }
        if let last = found.last, last.header.flags.contains(.spooled), last.seal == nil {
            throw .corrupt(
                path: shared.path(last.name), offset: last.size, reason: "the seal is missing or damaged")
        }
    }

    // MARK: The end of the log

    private mutating func findTail() throws(LogError) -> LogTail<Storage.File> {
        let last = found[found.count - 1]
        if last.header.flags.contains(.spooled) { return try sealedTail() }
        let segment = try SegmentFile(storage, directory: shared.directory, name: last.name)
        let scan = try TailScan(segment, fileSize: last.size)
        if let end = scan.boundary {
            // Pages that a failed fsync left behind look written and are not: write them again.
            try rewrite(segment, from: scan.syncedPosition, to: end.position)
            return try activeTail(segment, end)
        }
        return try cutBack(to: last.header.boundaryOffset)
    }

    /// Takes back a transaction that began in an earlier segment.
    private mutating func cutBack(to offset: UInt64) throws(LogError) -> LogTail<Storage.File> {
        while found.count > 1, found[found.count - 1].header.firstOffset >= offset {
            try storage.remove(shared.path(found[found.count - 1].name))
            // Newest first, each for good before the next.
            try storage.syncDirectory(shared.directory)
            found.removeLast()
        }
        let last = found[found.count - 1]
        if last.end == offset, last.seal != nil, last.header.flags.contains(.spooled) { return try sealedTail() }
        let segment = try SegmentFile(storage, directory: shared.directory, name: last.name)
        let end = try TailScan.state(segment, at: offset, fileSize: last.size)
        return try activeTail(segment, end)
    }

    private func rewrite(_ segment: SegmentFile<Storage>, from: UInt64, to end: UInt64) throws(LogError) {
        var position = from
        let block = Block(1 << 20)
        while position < end {
            let length = Int(min(end - position, UInt64(block.bytes.count)))
            let count = try storage.read(
                segment.file, into: UnsafeMutableRawBufferPointer(rebasing: block.bytes[..<length]), at: position)
            guard count == length else { throw segment.damaged(position, "the file became shorter while it was read") }
            try storage.write(
                segment.file, block.prefix(length), UnsafeRawBufferPointer(start: nil, count: 0), at: position)
            position += UInt64(length)
        }
    }

    /// Cuts the file behind `end` and makes that durable.
    private mutating func activeTail(
        _ segment: SegmentFile<Storage>, _ end: ActiveSegment<Storage.File>
    ) throws(LogError) -> LogTail<Storage.File> {
        try storage.truncate(segment.file, to: end.position)
        try storage.sync(segment.file)
        found[found.count - 1].seal = nil
        var tail = LogTail(
            active: end, segmentStart: segment.header.firstOffset,
            offset: segment.header.firstOffset + end.contentLength, transaction: end.header.before)
        // `before` of the copy in `end` says where the log stands behind it.
        tail.active?.header = segment.header
        tail.state = try RelationScan.state(segment, at: end.statePosition, end: end.position)
        var definitions = RelationScan<Storage>()
        try definitions.add(segment, from: end.relationLink, end: end.position)
        tail.stated = Set(definitions.records.keys)
        try addOlder(&definitions, found.dropLast())
        tail.definitions = definitions.records
        return tail
    }

    /// The tail of a log whose newest segment was a spool.
    private func sealedTail() throws(LogError) -> LogTail<Storage.File> {
        let last = found[found.count - 1]
        guard let seal = last.seal else { throw .misuse(reason: "no seal") }
        let segment = try SegmentFile(storage, directory: shared.directory, name: last.name)
        var tail = LogTail<Storage.File>(
            active: nil, segmentStart: last.header.firstOffset, offset: last.end, transaction: seal.after)
        tail.state = try RelationScan.state(segment, at: seal.statePosition, end: last.size)
        var definitions = RelationScan<Storage>()
        try addOlder(&definitions, found[...])
        tail.definitions = definitions.records
        return tail
    }

    /// Definitions in sealed segments, newest first.
    private func addOlder(_ definitions: inout RelationScan<Storage>, _ segments: ArraySlice<Found>) throws(LogError) {
        for older in segments.reversed() {
            guard let seal = older.seal, seal.relationLink != 0 || older.header.preamblePosition != 0 else { continue }
            let segment = try SegmentFile(storage, directory: shared.directory, name: older.name)
            try definitions.add(segment, from: seal.relationLink, end: older.size)
            try definitions.addFrame(segment, at: older.header.preamblePosition, end: older.size)
        }
    }

    private func enterSegments(_ tail: LogTail<Storage.File>) {
        let segments = found.map { found in
            LogSegmentInfo(
                name: found.name, start: found.header.firstOffset, end: found.end, byteCount: found.size,
                isSealed: found.seal != nil, isFirst: found.header.flags.contains(.first),
                newestCommitTime: found.seal.flatMap { $0.commitCount > 0 ? $0.newestCommitTime : nil },
                modificationTime: found.modified, startLSN: found.header.before.commitLSN,
                startOrdinal: found.header.before.ordinal)
        }
        shared.ledger.update { $0.segments = segments }
    }
}
