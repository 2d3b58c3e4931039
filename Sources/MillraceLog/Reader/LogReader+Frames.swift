import MillraceCore

extension LogReader {
    private enum Step {
        /// The frame has been dealt with.
        case passed
        /// What was read before it is a batch of its own.
        case stop
    }

    /// Frames from `position` on, up to `byteLimit` bytes or the log offset `end`. Nil where none of them is for sinks.
    func readFrames(_ segment: SegmentFile<Storage>, byteLimit: Int, end: UInt64) throws(LogError) -> ChangeBatch? {
        let from = segment.header.position(ofOffset: position.offset)
        let available = Int(clamping: end - position.offset)
        var length = min(available, max(byteLimit, FrameHeader.size))
        var builder = try load(segment, from, length)
        if let first = FrameHeader(UnsafeRawBufferPointer(builder.bytes), salt: segment.header.salt, position: from),
            first.totalLength > UInt64(length), first.totalLength <= UInt64(available)
        {
            length = Int(first.totalLength)
            builder = try load(segment, from, length)
        }
        var index = 0
        while length - index >= FrameHeader.size {
            let place = from + UInt64(index)
            let bytes = UnsafeRawBufferPointer(builder.bytes)
            guard
                let frame = FrameHeader(
                    bytes.part(index..<index + FrameHeader.size), salt: segment.header.salt, position: place),
                frame.totalLength <= UInt64(available - index)
            else {
                // What was good before it is delivered first.
                if !builder.isEmpty { break }
                throw segment.damaged(place, "no frame begins here")
            }
            let next = index + Int(frame.totalLength)
            guard next <= length else { break }
            let payload = index + FrameHeader.size..<next
            guard frame.matches(bytes.part(payload), salt: segment.header.salt, position: place) else {
                if !builder.isEmpty { break }
                throw segment.damaged(place, "the checksum of the frame is wrong")
            }
            do {
                if try pass(segment, frame, place, payload, builder) == .stop { break }
            } catch {
                if !builder.isEmpty { break }
                throw error
            }
            index = next
            position = cursor(segment, behind: frame, at: place)
        }
        if builder.isEmpty { return nil }
        return builder.batch(end: position)
    }

    private func load(
        _ segment: SegmentFile<Storage>, _ from: UInt64, _ length: Int
    ) throws(LogError) -> BatchBytes {
        let builder = BatchBytes(byteCount: length)
        let count = try segment.storage.read(segment.file, into: builder.bytes, at: from)
        guard count == length else { throw segment.damaged(from + UInt64(count), "the file ends here") }
        return builder
    }

    /// `payload`: place of the frame's payload in the builder's bytes.
    private func pass(
        _ segment: SegmentFile<Storage>, _ frame: FrameHeader, _ place: UInt64, _ payload: Range<Int>,
        _ builder: BatchBytes
    ) throws(LogError) -> Step {
        if frame.flags.contains(.preamble) { return .passed }
        let bytes = UnsafeRawBufferPointer(rebasing: builder.bytes[payload])
        if frame.flags.contains(.restated) {
            guard frame.flags.contains(.hasRelations) else { return .passed }
            // A batch says what was known before its first record: something new begins another one.
            let isNew = try learn(segment, bytes, at: place, dryRun: true)
            if isNew && !builder.isEmpty { return .stop }
            _ = try learn(segment, bytes, at: place)
            return .passed
        }
        fillIn(segment, frame, UnsafeMutableRawBufferPointer(rebasing: builder.bytes[payload]))
        var skipped = 0
        if skipsToBoundary {
            if frame.flags.contains(.beginsInTransaction) { skipped = Self.firstBoundary(bytes) }
            skipsToBoundary = frame.flags.contains(.beginsInTransaction) && frame.flags.contains(.endsInTransaction)
        }
        let before = book.relations
        if frame.flags.contains(.hasRelations) { _ = try learn(segment, bytes, at: place) }
        guard skipped < payload.count else { return .passed }
        let logOffset = segment.header.offset(ofPosition: place) + UInt64(FrameHeader.size + skipped)
        builder.take(
            payload.lowerBound + skipped..<payload.upperBound, at: logOffset,
            known: skipped > 0 ? book.relations : before)
        builder.note(
            endsInTransaction: frame.flags.contains(.endsInTransaction),
            commitTime: frame.commitCount > 0 ? segment.header.spooled?.commitTime ?? frame.lastCommitTime : nil)
        return .passed
    }

    /// Where the first transaction of `payload` ends; the end of the bytes for nowhere.
    private static func firstBoundary(_ payload: UnsafeRawBufferPointer) -> Int {
        var boundary: Int?
        walkRecords(payload) { kind, record in
            if kind == RecordKind.commit && boundary == nil { boundary = record.upperBound }
        }
        return boundary ?? payload.count
    }

    /// Puts into the begin record of a spooled frame what was not known when it was written.
    private func fillIn(
        _ segment: SegmentFile<Storage>, _ frame: FrameHeader, _ payload: UnsafeMutableRawBufferPointer
    ) {
        guard frame.flags.contains(.spooled), let spooled = segment.header.spooled,
            payload.count >= TransactionInfo.recordSize, payload[0] == RecordKind.begin
        else { return }
        let body = UnsafeMutableRawBufferPointer(
            rebasing: payload[RecordReader.headerSize..<TransactionInfo.recordSize])
        let placeholder = TransactionInfo(body: UnsafeRawBufferPointer(body))
        var info = spooled
        info.flags.formUnion(placeholder.flags)
        info.firstOrdinal = spooled.firstOrdinal &+ placeholder.firstOrdinal
        info.encodeBody(into: body)
    }

    private func cursor(_ segment: SegmentFile<Storage>, behind frame: FrameHeader, at place: UInt64) -> Cursor {
        let offset = segment.header.offset(ofPosition: place) + frame.totalLength
        if frame.flags.contains(.spooled), let spooled = segment.header.spooled {
            return Cursor(
                logID: position.logID, offset: offset, commitLSN: spooled.commitLSN,
                ordinal: spooled.firstOrdinal &+ frame.endOrdinal)
        }
        return Cursor(
            logID: position.logID, offset: offset, commitLSN: frame.endCommitLSN, ordinal: frame.endOrdinal)
    }

    // MARK: From inside a frame

    /// What of `frame` lies behind the file position `target`, which must be between two of its records.
    func readRest(
        _ segment: SegmentFile<Storage>, _ frame: FrameHeader, _ place: UInt64, _ target: UInt64
    ) throws(LogError) -> ChangeBatch? {
        guard let payload = try segment.payload(of: frame, at: place, end: place + frame.totalLength) else {
            throw segment.damaged(place, "the checksum of the frame is wrong")
        }
        fillIn(segment, frame, UnsafeMutableRawBufferPointer(rebasing: payload.bytes[..<frame.payloadLength]))
        let bytes = payload.prefix(frame.payloadLength)
        let start = Int(target - place) - FrameHeader.size
        let offset = position.offset
        let after = cursor(segment, behind: frame, at: place)
        if frame.flags.contains(.restated) {
            if frame.flags.contains(.hasRelations) && !frame.flags.contains(.preamble) {
                _ = try learn(segment, bytes, at: place)
            }
            position = after
            return nil
        }
        var tail = TransactionTail()
        var isBetween = start <= 0
        walkRecords(bytes) { kind, record in
            if record.lowerBound >= start { return }
            if record.upperBound == start { isBetween = true }
            tail.pass(kind, bytes.part(record))
        }
        guard isBetween else {
            throw .cursor(reason: "\(position) does not lie between two records of \(segment.path)")
        }
        let first = max(start, 0)
        if first > 0 { _ = try learn(segment, bytes.part(0..<first), at: place) }
        let known = book.relations
        let headLength = first > 0 && tail.open != nil ? TransactionInfo.recordSize : 0
        let builder = BatchBytes(byteCount: max(headLength + bytes.count - first, 1))
        if headLength > 0, let open = tail.open {
            open.continued(at: tail.openOrdinal).encodeRecord(into: builder.bytes)
        }
        UnsafeMutableRawBufferPointer(rebasing: builder.bytes[headLength...]).copyMemory(
            from: bytes.part(first..<bytes.count))
        // The restated begin takes the place of bytes before the cursor, so that what follows it has its own offsets.
        let logOffset = start < 0 ? segment.header.offset(ofPosition: place) + UInt64(FrameHeader.size) : offset
        builder.take(
            0..<headLength + bytes.count - first, at: logOffset &- UInt64(headLength), known: known)
        builder.note(
            endsInTransaction: frame.flags.contains(.endsInTransaction),
            commitTime: frame.commitCount > 0 ? segment.header.spooled?.commitTime ?? frame.lastCommitTime : nil)
        if frame.flags.contains(.hasRelations) { _ = try learn(segment, bytes.part(first..<bytes.count), at: place) }
        position = after
        return builder.batch(end: after)
    }
}

extension TransactionTail {
    /// Passes one record.
    mutating func pass(_ kind: UInt8, _ record: UnsafeRawBufferPointer) {
        switch kind {
        case RecordKind.begin where record.count == TransactionInfo.recordSize:
            begin(TransactionInfo(body: record.part(RecordReader.headerSize..<record.count)))
        case RecordKind.commit:
            commit()
        case RecordKind.insert, RecordKind.update, RecordKind.delete, RecordKind.truncate, RecordKind.message:
            openOrdinal &+= 1
        default:
            break
        }
    }
}
