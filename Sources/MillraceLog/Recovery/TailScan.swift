import MillraceCore

/// Finds the last good place of the segment that was being written, and tells a torn end from damage.
///
/// Every frame says up to where the log was fsynced when it was written. What lies before the furthest such place was
/// whole once: if it is not now, it is damaged. What lies behind it may have been lost with the power, in any order of
/// pages, and has been promised to nobody.
struct TailScan<Storage: LogStorage> {
    /// The end of the last complete transaction in the segment; nil if there is none, not even before its first frame.
    /// `header.before` says where the log stands there.
    private(set) var boundary: ActiveSegment<Storage.File>?
    /// File position up to which the content is known to have been fsynced, but not behind `boundary`.
    private(set) var syncedPosition: UInt64 = 0
    /// The same wherever `boundary` is.
    private(set) var wholePosition: UInt64 = 0

    init(_ segment: SegmentFile<Storage>, fileSize: UInt64) throws(LogError) {
        var furthest = segment.header.firstOffset &+ segment.header.initialLength
        var walker = FrameWalker(segment, end: fileSize)
        while let (frame, _) = try walker.next() { furthest = max(furthest, frame.syncedOffset) }
        let stop = walker.position
        furthest = max(furthest, try Self.furthestSynced(segment, from: stop, to: fileSize))
        if segment.header.offset(ofPosition: stop) < furthest {
            throw segment.damaged(
                stop,
                stop >= fileSize
                    ? "the file was longer once: what is missing had been fsynced"
                    : "no frame begins here, but what was here had been fsynced")
        }
        syncedPosition = segment.header.position(ofOffset: furthest)
        wholePosition = syncedPosition

        var state = Self.start(segment)
        if !segment.header.flags.contains(.beginsInTransaction) { boundary = state }
        walker.move(to: UInt64(SegmentHeader.size))
        while let (frame, position) = try walker.next() {
            let isSynced = position + frame.totalLength <= syncedPosition
            if !isSynced {
                guard try segment.payload(of: frame, at: position, end: fileSize) != nil else { break }
            }
            Self.pass(frame, at: position, &state)
            if !frame.flags.contains(.endsInTransaction) { boundary = state }
        }
        // The synced part does not shrink when an open transaction is cut off, but nothing behind the cut is rewritten.
        syncedPosition = min(syncedPosition, boundary?.position ?? syncedPosition)
    }

    /// The state at `offset`, a frame's end in a segment that was synced whole.
    static func state(
        _ segment: SegmentFile<Storage>, at offset: UInt64, fileSize: UInt64
    ) throws(LogError) -> ActiveSegment<Storage.File> {
        var state = start(segment)
        let end = segment.header.position(ofOffset: offset)
        var walker = FrameWalker(segment, end: fileSize)
        while walker.position < end {
            guard let (frame, position) = try walker.next() else {
                throw segment.damaged(walker.position, "no frame begins here")
            }
            pass(frame, at: position, &state)
        }
        guard walker.position == end else { throw segment.damaged(end, "no frame ends here") }
        return state
    }

    private static func start(_ segment: SegmentFile<Storage>) -> ActiveSegment<Storage.File> {
        ActiveSegment(file: segment.file, path: segment.path, header: segment.header)
    }

    private static func pass(
        _ frame: FrameHeader, at position: UInt64, _ state: inout ActiveSegment<Storage.File>
    ) {
        if frame.flags.contains(.hasRelations) { state.relationLink = position }
        if frame.flags.contains(.hasState) { state.statePosition = position }
        state.contentLength += frame.totalLength
        state.commitCount += UInt64(frame.commitCount)
        state.changeCount += UInt64(frame.changeCount)
        guard !frame.flags.contains(.endsInTransaction) else { return }
        state.header.before.lastCommitLSN = frame.endCommitLSN
        state.header.before.lastOrdinal = frame.endOrdinal
        state.header.before.lastEndLSN = frame.lastEndLSN
        state.header.before.lastCommitTime = frame.lastCommitTime
    }

    /// Looks for frame headers anywhere behind a place where none is: the furthest synced offset that one names.
    private static func furthestSynced(
        _ segment: SegmentFile<Storage>, from start: UInt64, to end: UInt64
    ) throws(LogError) -> UInt64 {
        var furthest: UInt64 = 0
        var position = start
        let block = Block(1 << 20)
        while position < end, end - position >= UInt64(FrameHeader.size) {
            let count = try segment.storage.read(segment.file, into: block.bytes, at: position)
            let bytes = block.prefix(count)
            guard count >= FrameHeader.size else { break }
            let last = count - FrameHeader.size
            for index in 0...last where bytes.number(at: index, as: UInt32.self) == FrameHeader.magic {
                let header = FrameHeader(
                    bytes.part(index..<index + FrameHeader.size), salt: segment.header.salt,
                    position: position + UInt64(index))
                if let header { furthest = max(furthest, header.syncedOffset) }
            }
            position += UInt64(last + 1)
        }
        return furthest
    }
}
