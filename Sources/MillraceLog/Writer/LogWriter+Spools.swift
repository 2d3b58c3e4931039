import MillraceCore

extension LogWriter {
    func append(_ spool: LogSpool<Storage>, _ info: TransactionInfo) throws(LogError) {
        guard tail.transaction.open == nil else {
            throw .misuse(reason: "a spooled transaction cannot go into the middle of another")
        }
        if spool.file == nil {
            try appendWhole(spool, info)
        } else {
            try writing { () throws(LogError) in try adopt(spool, info) }
        }
        for (id, record) in spool.dropped {
            tail.definitions[id] = record
            tail.stated.remove(id)
        }
        spool.handOver()
    }

    /// A spool that never got a file.
    private func appendWhole(_ spool: LogSpool<Storage>, _ info: TransactionInfo) throws(LogError) {
        let records = spool.memory.count
        let block = Block(TransactionInfo.recordSize + records + RecordReader.headerSize + 8)
        info.encodeRecord(into: block.bytes)
        UnsafeMutableRawBufferPointer(rebasing: block.bytes[TransactionInfo.recordSize...])
            .copyMemory(from: spool.memory.bytes)
        let commit = TransactionInfo.recordSize + records
        block.bytes.store(RecordKind.commit, at: commit)
        block.bytes.store(UInt32(8), at: commit + 1)
        block.bytes.store(spool.changeCount, at: commit + RecordReader.headerSize)
        try append(block.prefix(block.bytes.count), used: spool.used.map { RelationID($0) })
    }

    /// Makes the spool's file the next segment of the log.
    private func adopt(_ spool: LogSpool<Storage>, _ info: TransactionInfo) throws(LogError) {
        guard let fileBefore = spool.file else { return }
        let kept = Block(spool.memory.count)
        let keptCount = spool.memory.count
        kept.bytes.copyMemory(from: spool.memory.bytes)
        let header: SegmentHeader
        do {
            header = try complete(spool, info)
            try undoing { () throws(LogError) in
                // An empty active segment has the same name; the rename puts the spool in its place.
                if let active = tail.active, active.contentLength > 0 { try seal() }
            }
        } catch {
            if case .noSpace = error { try spool.goBack(to: fileBefore, memory: kept, keptCount) }
            throw error
        }
        // From here on the transaction is in the log: before the rename it is a spool that opening the log removes, after
        // it a whole segment.
        let name = SegmentHeader.name(firstOffset: header.firstOffset)
        try storage.rename(fileBefore.path, to: shared.path(name))
        try storage.syncDirectory(shared.directory)
        try enter(spool, info, name, header)
    }

    /// Writes and syncs all that the spool's file lacks to be a segment.
    private func complete(_ spool: LogSpool<Storage>, _ info: TransactionInfo) throws(LogError) -> SegmentHeader {
        spool.addCommit(spool.changeCount)
        try spool.writeFrames(isLast: true)
        guard var file = spool.file else { throw .misuse(reason: "the spool has no file") }

        var header = SegmentHeader(
            logID: logID, firstOffset: tail.offset, salt: file.salt, before: tail.transaction,
            boundaryOffset: tail.offset)
        header.flags = .spooled
        if let active = tail.active, active.contentLength == 0, active.header.flags.contains(.first) {
            header.flags.insert(.first)
        }
        header.spooled = info
        let (records, flags) = preamble(spool)
        var statePosition: UInt64 = 0
        if !records.isEmpty {
            header.preamblePosition = file.end
            if flags.contains(.hasState) { statePosition = file.end }
            let block = Block(records.count)
            block.bytes.copyBytes(from: records)
            try file.appendPreamble(block.prefix(records.count), flags)
        }
        let contentLength = file.end - UInt64(SegmentHeader.size)
        header.initialLength = contentLength
        let seal = SegmentSeal(
            endsInTransaction: false, contentLength: contentLength, after: spooled(info, spool.changeCount),
            boundaryOffset: header.firstOffset + contentLength, relationLink: file.relationLink,
            statePosition: statePosition, commitCount: 1, changeCount: spool.changeCount,
            newestCommitTime: info.commitTime)
        try writeSmall(file.file, seal.encode(salt: file.salt), at: file.end)
        try writeSmall(file.file, header.encode(), at: 0)
        try storage.sync(file.file)
        return header
    }

    /// What the log knows before this transaction and a reader must know in it: the state, and the relations that it
    /// uses without defining them.
    private func preamble(_ spool: LogSpool<Storage>) -> ([UInt8], FrameHeader.Flags) {
        var records: [UInt8] = []
        var flags: FrameHeader.Flags = []
        if !tail.state.isEmpty {
            var writer = ByteWriter()
            writer.append(RecordKind.sourceState)
            writer.append(UInt32(tail.state.count))
            writer.append(raw: tail.state)
            records = writer.bytes
            flags.insert(.hasState)
        }
        for id in spool.undefined.sorted() {
            guard let definition = tail.definitions[id] else { continue }
            records += definition
            flags.insert(.hasRelations)
        }
        return (records, flags)
    }

    private func spooled(_ info: TransactionInfo, _ changeCount: UInt64) -> TransactionTail {
        var after = tail.transaction
        after.begin(info)
        after.openOrdinal &+= changeCount
        after.commit()
        return after
    }

    private func enter(
        _ spool: LogSpool<Storage>, _ info: TransactionInfo, _ name: String, _ header: SegmentHeader
    ) throws(LogError) {
        guard let file = spool.file else { return }
        let modified = try storage.modificationTime(file.file)
        let end = header.firstOffset + header.initialLength
        enter(name, header, modified: modified)
        shared.ledger.update { ledger in
            guard let last = ledger.segments.indices.last else { return }
            ledger.segments[last].end = end
            ledger.segments[last].byteCount =
                header.initialLength + UInt64(SegmentHeader.size + SegmentSeal.size)
            ledger.segments[last].isSealed = true
            ledger.segments[last].newestCommitTime = info.commitTime
        }
        tail.active = nil
        tail.segmentStart = header.firstOffset
        tail.offset = end
        tail.transaction = spooled(info, spool.changeCount)
        tail.stated = []
        for definition in spool.definitions { tail.definitions[definition.id] = definition.record }
        synced = end
        boundary = nil
    }
}
