import MillraceCore

extension LogWriter {
    /// Appends records, all or none. `used`: the relations that their rows name.
    func append(_ bytes: UnsafeRawBufferPointer, used: [RelationID]) throws(LogError) {
        try writing { () throws(LogError) in
            try undoing { () throws(LogError) in
                var index = 0
                while index < bytes.count {
                    index = try appendFrame(bytes, from: index, used)
                }
            }
        }
        noteActive()
    }

    private func appendFrame(
        _ bytes: UnsafeRawBufferPointer, from start: Int, _ used: [RelationID]
    ) throws(LogError) -> Int {
        let cut = try FrameCutter.cut(bytes, from: start, tail.transaction, limit: shared.options.frameByteLimit)
        if cut.after.open != nil && boundary == nil { boundary = tail }
        if let active = tail.active, active.contentLength >= UInt64(shared.options.segmentByteLimit) { try seal() }
        let isNewSegment = tail.active == nil
        if isNewSegment { try beginSegment() }
        // Once for all frames that the records make in this segment.
        if start == 0 || isNewSegment { try restate(used, bytes.part(start..<bytes.count)) }

        var flags: FrameHeader.Flags = []
        var begin: TransactionInfo?
        if let open = tail.transaction.open {
            flags.insert(.beginsInTransaction)
            begin = open.continued(at: tail.transaction.openOrdinal)
        }
        if cut.after.open != nil { flags.insert(.endsInTransaction) }
        if !cut.relations.isEmpty { flags.insert(.hasRelations) }
        if cut.state != nil { flags.insert(.hasState) }
        var frame = Self.frame(flags, cut.after)
        frame.changeCount = cut.changeCount
        frame.commitCount = cut.commitCount
        try write(frame, begin: begin, bytes.part(cut.range))

        for record in cut.relations { define(bytes.part(record)) }
        if let state = cut.state { tail.state = Array(bytes.part(state)) }
        tail.transaction = cut.after
        if cut.after.open == nil { boundary = nil }
        return cut.range.upperBound
    }

    private func define(_ record: UnsafeRawBufferPointer) {
        let id = relationID(of: record)
        // Repetitions are common (every reconnect), and the dictionary is shared with `boundary`.
        let isKnown = tail.definitions[id].map { $0.elementsEqual(record) } ?? false
        if !isKnown { tail.definitions[id] = Array(record) }
        if !tail.stated.contains(id) { tail.stated.insert(id) }
    }

    /// Repeats the definitions of those of `used` that `records` use before they define them, and that this segment does
    /// not have yet.
    private func restate(_ used: [RelationID], _ records: UnsafeRawBufferPointer) throws(LogError) {
        var candidates: Set<UInt32> = []
        for relation in used where !tail.stated.contains(relation.value) {
            if tail.definitions[relation.value] != nil { candidates.insert(relation.value) }
        }
        if candidates.isEmpty { return }
        var payload: [UInt8] = []
        for id in relationsUsedBeforeDefined(records, candidates).sorted() {
            payload += tail.definitions[id] ?? []
            tail.stated.insert(id)
        }
        if !payload.isEmpty { try writeRestated(payload, .hasRelations) }
    }

    /// A frame that is not for sinks.
    func writeRestated(_ payload: [UInt8], _ flags: FrameHeader.Flags) throws(LogError) {
        var flags = flags.union(.restated)
        if tail.transaction.open != nil { flags.formUnion([.beginsInTransaction, .endsInTransaction]) }
        let block = Block(payload.count)
        block.bytes.copyBytes(from: payload)
        try write(Self.frame(flags, tail.transaction), begin: nil, block.prefix(payload.count))
    }

    func flush() throws(LogError) -> Cursor {
        try writing { () throws(LogError) in
            if let active = tail.active, synced < tail.offset {
                try storage.sync(active.file)
                let time = try storage.modificationTime(active.file)
                shared.ledger.update { ledger in
                    guard let last = ledger.segments.indices.last else { return }
                    ledger.segments[last].modificationTime = time
                }
                synced = tail.offset
            }
            return publish()
        }
    }

    func rollBackOpenTransaction() throws(LogError) {
        try writing { () throws(LogError) in
            guard let target = boundary else { return }
            try goBack(to: target)
            boundary = nil
        }
    }
}
