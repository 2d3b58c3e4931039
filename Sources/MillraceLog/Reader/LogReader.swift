package import MillraceCore

/// Reads one log in order. Used by one thread, `interrupt` excepted.
// SAFETY: what `interrupt` touches is behind a lock; the rest belongs to the one reading thread.
package final class LogReader<Storage: LogStorage>: @unchecked Sendable {
    private enum Wake {
        case data(UInt64)
        case interrupted
        case discarded
    }

    let shared: LogState<Storage>
    private let number: UInt64
    /// Behind what `next` has returned.
    package internal(set) var position: Cursor
    var segment: SegmentFile<Storage>?
    var book = RelationBook()
    /// Whether the rest of a transaction whose beginning has been trimmed is still to be passed over.
    var skipsToBoundary: Bool

    init(_ shared: LogState<Storage>, _ position: Cursor, skipsToBoundary: Bool) {
        self.shared = shared
        self.position = position
        self.skipsToBoundary = skipsToBoundary
        number = shared.horizon.update {
            $0.readersMade += 1
            return $0.readersMade
        }
        shared.reads.enter(number, at: position.offset)
    }

    deinit {
        let number = number
        shared.reads.leave(number)
        if shared.horizon.read({ !$0.interrupted.isEmpty }) {
            shared.horizon.update { _ = $0.interrupted.remove(number) }
        }
    }

    /// Makes the call of `next` that runs, or else the next one, return nil at once. Callable from any thread.
    package func interrupt() {
        shared.horizon.update { _ = $0.interrupted.insert(number) }
    }

    /// The next stretch of durable log: as many frames as fit into `byteLimit`, at least one. Waits for one; nil when
    /// `timeout` has passed or `interrupt` was called.
    package func next(byteLimit: Int, timeout: Duration) throws(LogError) -> ChangeBatch? {
        // A wait of years is as good as one without a limit, and cannot overflow.
        let deadline = ContinuousClock.now + min(max(timeout, .zero), .seconds(1_000_000_000))
        while let durable = try waitForData(until: deadline) {
            if let batch = try read(byteLimit: byteLimit, durable) { return batch }
        }
        return nil
    }

    /// The log offset up to which there is something to read; nil for none in time.
    private func waitForData(until deadline: ContinuousClock.Instant) throws(LogError) -> UInt64? {
        let place = position
        let wake: Wake?
        // Without waking the other readers, if there is something already.
        let durable = shared.horizon.read { $0.interrupted.isEmpty ? $0.durable : place }
        if durable.logID == place.logID && durable.offset > place.offset {
            wake = .data(durable.offset)
        } else {
            wake = shared.horizon.wait(for: max(deadline - .now, .zero)) { [number] horizon in
                if horizon.interrupted.remove(number) != nil { return Wake.interrupted }
                if horizon.durable.logID != place.logID { return .discarded }
                return horizon.durable.offset > place.offset ? .data(horizon.durable.offset) : nil
            }
        }
        switch wake {
        case .data(let offset): return offset
        case .discarded: throw .discarded
        case .interrupted, nil: return nil
        }
    }

    // MARK: Segments

    /// One batch; nil where what was read holds nothing for sinks.
    private func read(byteLimit: Int, _ durable: UInt64) throws(LogError) -> ChangeBatch? {
        guard let info = shared.segment(holding: position.offset) else { throw trimmed() }
        let end = min(durable, info.end)
        let request = SharedReads<Storage>.Request(
            logID: position.logID, offset: position.offset, skipsToBoundary: skipsToBoundary,
            relationCount: book.relations.count, byteLimit: byteLimit, end: end)
        switch shared.reads.ask(request, by: number) {
        case .alone:
            return try read(info, byteLimit: byteLimit, end: end)
        case .shared(let outcome):
            take(over: outcome)
            return outcome.batch
        case .unread:
            var outcome: SharedReads<Storage>.Outcome?
            defer { shared.reads.finish(request, by: number, outcome) }
            let batch = try read(info, byteLimit: byteLimit, end: end)
            outcome = segment.map {
                SharedReads.Outcome(
                    batch: batch, position: position, skipsToBoundary: skipsToBoundary, book: book, segment: $0)
            }
            return batch
        }
    }

    /// Goes where another reader has got to from the same place, and knows what that one knows there.
    private func take(over outcome: SharedReads<Storage>.Outcome) {
        position = outcome.position
        skipsToBoundary = outcome.skipsToBoundary
        book = outcome.book
        segment = outcome.segment
    }

    /// The same from the file.
    private func read(_ info: LogSegmentInfo, byteLimit: Int, end: UInt64) throws(LogError) -> ChangeBatch? {
        if let segment, segment.header.firstOffset == info.start {
            return try readFrames(segment, byteLimit: byteLimit, end: end)
        }
        let opened: SegmentFile<Storage>
        do {
            opened = try SegmentFile(shared.storage, directory: shared.directory, name: info.name)
        } catch {
            // Trimmed or discarded since we asked.
            if shared.horizon.read({ $0.durable.logID }) != position.logID { throw .discarded }
            if shared.segment(holding: position.offset) == nil { throw trimmed() }
            throw error
        }
        guard opened.header.logID == position.logID else { throw .discarded }
        segment = opened
        do {
            if let batch = try enter(opened, end: end) { return batch }
            return try readFrames(opened, byteLimit: byteLimit, end: end)
        } catch {
            segment = nil
            throw error
        }
    }

    private func trimmed() -> LogError {
        .cursor(reason: "\(position) has been trimmed away while it was being read")
    }

    /// Learns what has to be known at `position`. If that lies inside a frame: the rest of that frame.
    private func enter(_ segment: SegmentFile<Storage>, end: UInt64) throws(LogError) -> ChangeBatch? {
        let header = segment.header
        let fileEnd = header.position(ofOffset: end)
        if header.preamblePosition != 0 {
            guard let frame = try segment.frameHeader(at: header.preamblePosition) else {
                throw segment.damaged(header.preamblePosition, "the frame header is damaged")
            }
            let position = header.preamblePosition
            _ = try learn(segment, frame, at: position, end: position &+ frame.totalLength)
        }
        let target = header.position(ofOffset: position.offset)
        var walker = FrameWalker(segment, end: fileEnd)
        while walker.position < target {
            guard let (frame, position) = try walker.next() else {
                throw segment.damaged(walker.position, "no frame begins here")
            }
            if position + frame.totalLength > target { return try readRest(segment, frame, position, target) }
            if frame.flags.contains(.hasRelations) && !frame.flags.contains(.preamble) {
                _ = try learn(segment, frame, at: position, end: fileEnd)
            }
        }
        return nil
    }

    private func learn(
        _ segment: SegmentFile<Storage>, _ frame: FrameHeader, at position: UInt64, end: UInt64
    ) throws(LogError) -> Bool {
        guard let payload = try segment.payload(of: frame, at: position, end: end) else {
            throw segment.damaged(position, "the checksum of the frame is wrong")
        }
        return try learn(segment, payload.prefix(frame.payloadLength), at: position)
    }

    func learn(
        _ segment: SegmentFile<Storage>, _ payload: UnsafeRawBufferPointer, at position: UInt64, dryRun: Bool = false
    ) throws(LogError) -> Bool {
        do {
            return try book.learn(payload, dryRun: dryRun)
        } catch {
            throw segment.damaged(position, error.description)
        }
    }
}
