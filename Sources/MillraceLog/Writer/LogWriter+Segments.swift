import MillraceCore

/// What a segment is called before it has its name.
let unnamedSegment = "new-segment.tmp"

extension LogWriter {
    /// Ends the active segment for good, so that another may follow it.
    func seal() throws(LogError) {
        guard let active = tail.active else { return }
        let seal = SegmentSeal(
            endsInTransaction: tail.transaction.open != nil, contentLength: active.contentLength,
            after: tail.transaction, boundaryOffset: complete.offset, relationLink: active.relationLink,
            statePosition: active.statePosition, commitCount: active.commitCount, changeCount: active.changeCount,
            newestCommitTime: tail.transaction.lastCommitTime)
        let bytes = seal.encode(salt: active.header.salt)
        try writeSmall(active.file, bytes, at: active.position)
        // Before the next segment exists: a segment with a successor is never a torn one.
        try storage.sync(active.file)
        synced = tail.offset
        noteActive()
        let time = try storage.modificationTime(active.file)
        shared.ledger.update { ledger in
            guard let last = ledger.segments.indices.last else { return }
            ledger.segments[last].isSealed = true
            ledger.segments[last].byteCount = active.position + UInt64(SegmentSeal.size)
            ledger.segments[last].modificationTime = time
        }
        tail.active = nil
        tail.stated = []
    }

    /// Begins the next segment at the log's end.
    func beginSegment() throws(LogError) {
        var header = SegmentHeader(
            logID: logID, firstOffset: tail.offset, salt: storage.randomNumber(), before: tail.transaction,
            boundaryOffset: complete.offset)
        if tail.transaction.open != nil { header.flags.insert(.beginsInTransaction) }
        try beginSegment(header)
    }

    /// Makes a file with `header` and the source's state, and gives it its name when both are durable: whatever has the
    /// name of a segment has a whole header.
    func beginSegment(_ header: SegmentHeader) throws(LogError) {
        let temporary = shared.path(unnamedSegment)
        try? storage.remove(temporary)
        let before = tail
        let file = try storage.create(temporary)
        let name = SegmentHeader.name(firstOffset: header.firstOffset)
        tail.active = ActiveSegment(file: file, path: shared.path(name), header: header)
        tail.segmentStart = header.firstOffset
        tail.offset = header.firstOffset
        tail.stated = []
        do {
            if !tail.state.isEmpty {
                var writer = ByteWriter()
                writer.append(RecordKind.sourceState)
                writer.append(UInt32(tail.state.count))
                writer.append(raw: tail.state)
                try writeRestated(writer.bytes, .hasState)
            }
            var header = header
            header.initialLength = tail.active?.contentLength ?? 0
            tail.active?.header = header
            try writeSmall(file, header.encode(), at: 0)
            try storage.sync(file)
            try storage.rename(temporary, to: shared.path(name))
        } catch {
            tail = before
            try? storage.remove(temporary)
            throw error
        }
        try storage.syncDirectory(shared.directory)
        let time = try storage.modificationTime(file)
        synced = tail.offset
        enter(name, header, modified: time)
        noteActive()
    }

    /// Enters a new segment in the ledger, in place of an empty one of that name.
    func enter(_ name: String, _ header: SegmentHeader, modified: Int64) {
        let info = LogSegmentInfo(
            name: name, start: header.firstOffset, end: header.firstOffset, byteCount: 0, isSealed: false,
            isFirst: header.flags.contains(.first), newestCommitTime: nil, modificationTime: modified,
            startLSN: header.before.commitLSN,
            startOrdinal: header.before.ordinal)
        shared.ledger.update { ledger in
            if ledger.segments.last?.start == info.start { ledger.segments.removeLast() }
            ledger.segments.append(info)
        }
    }

    func writeSmall(_ file: Storage.File, _ bytes: [UInt8], at position: UInt64) throws(LogError) {
        let block = Block(bytes.count)
        block.bytes.copyBytes(from: bytes)
        try storage.write(file, block.prefix(bytes.count), UnsafeRawBufferPointer(start: nil, count: 0), at: position)
    }

    // MARK: Retention

    func trim(before offset: UInt64) throws(LogError) -> UInt64 {
        try writing { () throws(LogError) in
            var freed: UInt64 = 0
            // Going back to `complete` must stay possible. So must recovery, which after a crash may cut the log at what is
            // durable now and needs the segment that ends there for the source's state.
            let keep = min(complete.segmentStart, tail.segmentStart)
            let durable = shared.horizon.read { $0.durable.offset }
            while let oldest = shared.ledger.read({ $0.segments.first }), oldest.isSealed, oldest.start < keep,
                oldest.end <= offset, oldest.end < durable
            {
                try storage.remove(shared.path(oldest.name))
                // One by one, so that a crash never leaves a hole.
                try storage.syncDirectory(shared.directory)
                shared.ledger.update { _ = $0.segments.removeFirst() }
                shared.reads.forget(before: oldest.end)
                freed += oldest.byteCount
            }
            return freed
        }
    }

    /// Begins another log behind this one, then removes this one. Opening after a crash in between removes the rest.
    func reset() throws(LogError) {
        try writing { () throws(LogError) in
            let old = shared.ledger.read { $0.segments }
            let newID = storage.randomNumber()
            // Another offset than any that was used, so that the files cannot be confused.
            let offset = tail.offset &+ 1
            var header = SegmentHeader(
                logID: newID, firstOffset: offset, salt: storage.randomNumber(), before: TransactionTail(),
                boundaryOffset: offset)
            header.flags = .first
            let before = tail
            tail = LogTail(active: nil, segmentStart: offset, offset: offset)
            do throws(LogError) {
                try beginSegment(header)
            } catch {
                tail = before
                throw error
            }
            logID = newID
            boundary = nil
            let cursor = tail.cursor(newID)
            let recovered = tail.recovered(newID)
            let oldStarts = Set(old.map(\.start))
            shared.horizon.update {
                $0.durable = cursor
                $0.recovered = recovered
                // At once: nobody may see the new log with the beginning of the old one.
                shared.ledger.update { ledger in ledger.segments.removeAll { oldStarts.contains($0.start) } }
            }
            shared.reads.forget(before: offset)
            for segment in old { try storage.remove(shared.path(segment.name)) }
            try storage.syncDirectory(shared.directory)
        }
    }
}
