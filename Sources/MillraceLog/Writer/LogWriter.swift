import MillraceCore

/// The writing side of a log. Used by one thread at a time.
final class LogWriter<Storage: LogStorage> {
    let shared: LogState<Storage>
    var logID: UInt64
    var tail: LogTail<Storage.File>
    /// The end of the last complete transaction while another is open; nil: `tail` is it.
    var boundary: LogTail<Storage.File>?
    /// Log offset up to which everything is fsynced.
    var synced: UInt64
    /// Why nothing can be written any more.
    var failure: String?
    /// A frame header and a restated begin.
    private let scratch = Block(FrameHeader.size + TransactionInfo.recordSize)

    init(_ shared: LogState<Storage>, logID: UInt64, tail: LogTail<Storage.File>) {
        self.shared = shared
        self.logID = logID
        self.tail = tail
        synced = tail.offset
    }

    var storage: Storage { shared.storage }
    var complete: LogTail<Storage.File> { boundary ?? tail }

    // MARK: Errors

    /// Runs a writing step. After an error that leaves the files in doubt nothing is written any more.
    func writing<Result>(_ body: () throws(LogError) -> Result) throws(LogError) -> Result {
        if let failure { throw .failed(reason: failure) }
        do {
            return try body()
        } catch .noSpace(let path) {
            throw .noSpace(path: path)
        } catch .misuse(let reason) {
            throw .misuse(reason: reason)
        } catch {
            failure = error.description
            throw error
        }
    }

    /// Runs a step that leaves nothing behind if it is refused for want of space or because of the caller.
    func undoing(_ body: () throws(LogError) -> Void) throws(LogError) {
        let before = tail
        let boundaryBefore = boundary
        do {
            try body()
        } catch {
            switch error {
            case .noSpace, .misuse:
                do { try goBack(to: before) } catch let second { throw .failed(reason: second.description) }
                boundary = boundaryBefore
            default: break
            }
            throw error
        }
    }

    /// Takes back everything behind `target`, which is at or behind what readers may see.
    func goBack(to target: LogTail<Storage.File>) throws(LogError) {
        tail.active = nil
        // Newest first, each for good before the next: what is left is a log that recovery cuts at the same place.
        while let last = shared.ledger.read({ $0.segments.last }), last.start > target.segmentStart {
            try storage.remove(shared.path(last.name))
            try storage.syncDirectory(shared.directory)
            shared.ledger.update { _ = $0.segments.removeLast() }
        }
        if let active = target.active {
            // Synced before anything is written there again: what was cut off must not come back between new frames.
            try storage.truncate(active.file, to: active.position)
            try storage.sync(active.file)
        }
        tail = target
        synced = tail.offset
        noteActive()
    }

    // MARK: Frames

    /// Appends one frame to the active segment. `begin`: the header to restate in front of the payload.
    func write(_ frame: FrameHeader, begin: TransactionInfo?, _ payload: UnsafeRawBufferPointer) throws(LogError) {
        guard var active = tail.active else { throw .misuse(reason: "no segment to write to") }
        var frame = frame
        frame.syncedOffset = synced
        frame.relationLink = active.relationLink
        var headLength = FrameHeader.size
        if let begin {
            headLength += TransactionInfo.recordSize
            begin.encodeRecord(into: UnsafeMutableRawBufferPointer(rebasing: scratch.bytes[FrameHeader.size...]))
        }
        frame.encode(
            into: scratch.bytes, payload: scratch.prefix(headLength).part(FrameHeader.size..<headLength), payload,
            salt: active.header.salt, position: active.position)
        try storage.write(active.file, scratch.prefix(headLength), payload, at: active.position)
        if frame.flags.contains(.hasRelations) { active.relationLink = active.position }
        if frame.flags.contains(.hasState) { active.statePosition = active.position }
        active.contentLength += frame.totalLength
        active.commitCount += UInt64(frame.commitCount)
        active.changeCount += UInt64(frame.changeCount)
        tail.active = active
        tail.offset += frame.totalLength
    }

    /// A frame header for the place where the log will stand in `after`.
    static func frame(_ flags: FrameHeader.Flags, _ after: TransactionTail) -> FrameHeader {
        var frame = FrameHeader(flags)
        frame.endOrdinal = after.ordinal
        frame.endCommitLSN = after.commitLSN
        frame.lastEndLSN = after.lastEndLSN
        frame.lastCommitTime = after.lastCommitTime
        return frame
    }

    // MARK: Bookkeeping

    /// Brings the ledger's entry of the active segment up to date.
    func noteActive() {
        guard let active = tail.active else { return }
        let time = active.commitCount > 0 ? tail.transaction.lastCommitTime : nil
        shared.ledger.update { ledger in
            guard let index = ledger.segments.lastIndex(where: { $0.start == active.header.firstOffset }) else {
                return
            }
            ledger.segments[index].end = active.header.firstOffset + active.contentLength
            ledger.segments[index].byteCount = active.position
            ledger.segments[index].newestCommitTime = time
            ledger.segments[index].isSealed = false
        }
    }

    /// Shows readers everything that is complete and durable.
    func publish() -> Cursor {
        let cursor = complete.cursor(logID)
        shared.horizon.update { $0.durable = cursor }
        return cursor
    }
}
