package import MillraceCore

/// The changes of one transaction whose end is not known yet: in memory while it is small, then in a file that becomes
/// a segment of the log when the transaction commits.
// SAFETY: used by one thread at a time; the hand-over to the writing thread passes through the caller's lock.
package final class LogSpool<Storage: LogStorage>: TransactionSpool, @unchecked Sendable {
    let xid: UInt32
    let shared: LogState<Storage>
    /// Records not in the file yet.
    private(set) var memory = SpoolMemory()
    private(set) var file: SpoolFile<Storage>?
    package private(set) var changeCount: UInt64 = 0
    /// Relations defined so far, by the place of their record.
    private(set) var definitions: [(byteCount: UInt64, id: UInt32, record: [UInt8])] = []
    /// Definitions that `truncate` took away. The source, having sent them, may go on without sending them again.
    private(set) var dropped: [UInt32: [UInt8]] = [:]
    private var defined: Set<UInt32> = []
    /// Relations that records name.
    private(set) var used: Set<UInt32> = []
    /// Those of them that were not defined in the spool before.
    private(set) var undefined: Set<UInt32> = []
    private var noted: UInt64 = 0
    private var isOver = false

    init(_ shared: LogState<Storage>, xid: UInt32) {
        self.shared = shared
        self.xid = xid
    }

    deinit {
        discard()
    }

    package var byteCount: UInt64 { (file?.byteCount ?? 0) + UInt64(memory.count) }

    package func append(_ buffer: RecordBuffer) throws(ConnectorError) {
        do { try add(buffer) } catch { throw error.connectorError }
    }

    package func mark() throws(ConnectorError) -> SpoolMark {
        SpoolMark(byteCount: byteCount, changeCount: changeCount)
    }

    package func truncate(to mark: SpoolMark) throws(ConnectorError) {
        do { try cutBack(to: mark) } catch { throw error.connectorError }
    }

    package func discard() {
        guard !isOver else { return }
        isOver = true
        if let file {
            // What cannot be removed now is removed when the log is opened again.
            try? shared.storage.remove(file.path)
        }
        noteFile(0)
        file = nil
        memory.removeLast(to: 0)
    }

    /// The file now belongs to the log.
    func handOver() {
        isOver = true
        noteFile(0)
        file = nil
        memory.removeLast(to: 0)
    }

    // MARK: Appending

    private func add(_ buffer: RecordBuffer) throws(LogError) {
        if isOver { throw .misuse(reason: "the spool of transaction \(xid) is used after its end") }
        // First make room, then take: after an error nothing has been taken.
        let limit = file == nil ? shared.options.spoolMemoryByteLimit : shared.options.frameByteLimit
        if memory.count > 0 && memory.count + buffer.count > limit { try spill() }
        if !dropped.isEmpty { defineDropped(buffer.bytes) }
        noteRelations(buffer.bytes)
        memory.append(buffer.bytes)
        changeCount += buffer.changeCount
    }

    /// Repeats definitions that were taken away and are needed again.
    private func defineDropped(_ records: UnsafeRawBufferPointer) {
        for id in relationsUsedBeforeDefined(records, Set(dropped.keys)).sorted() where !defined.contains(id) {
            guard let record = dropped[id] else { continue }
            record.withUnsafeBytes {
                noteRelations($0)
                memory.append($0)
            }
        }
    }

    private func noteRelations(_ records: UnsafeRawBufferPointer) {
        let start = byteCount
        // Tables that take turns need not be looked up for every row.
        var recent = SIMD8<UInt32>(repeating: .max)
        var next = 0
        walkRecords(records) { kind, record in
            let bytes = records.part(record)
            eachRelation(kind, bytes) { id in
                if kind == RecordKind.relation {
                    definitions.append((start + UInt64(record.lowerBound), id, Array(bytes)))
                    defined.insert(id)
                    dropped[id] = nil
                } else if !any(recent .== id) {
                    recent[next] = id
                    next = (next + 1) % recent.scalarCount
                    used.insert(id)
                    if !defined.contains(id) { undefined.insert(id) }
                }
            }
        }
    }

    /// Writes what is in memory to the file.
    private func spill() throws(LogError) {
        if file == nil {
            // A number of its own: a spool that outlived its log must not remove the file of a later one.
            let number = String(shared.storage.randomNumber(), radix: 16)
            let path = shared.path("spool-\(xid)-\(number).tmp")
            file = try SpoolFile(shared.storage, path: path, xid: xid)
        }
        try writeFrames(isLast: false)
        noteFile(file?.end ?? 0)
    }

    /// Writes memory to the file in frames of the usual size. All or nothing.
    func writeFrames(isLast: Bool) throws(LogError) {
        guard var target = file else { throw .misuse(reason: "the spool has no file") }
        let before = target
        do {
            var index = 0
            while index < memory.count {
                // Inside a transaction, so that the cutter may cut behind any record.
                var inside = TransactionTail()
                inside.begin(
                    TransactionInfo(
                        flags: [], xid: xid, commitLSN: .zero, endLSN: .zero,
                        commitTime: Timestamp(microsecondsSince2000: 0)))
                let cut = try FrameCutter.cut(
                    memory.bytes, from: index, inside, limit: shared.options.frameByteLimit)
                try target.append(
                    memory.bytes.part(cut.range), changeCount: UInt64(cut.changeCount),
                    hasRelations: !cut.relations.isEmpty, isLast: isLast && cut.after.open == nil)
                index = cut.range.upperBound
            }
        } catch {
            file = before
            try shared.storage.truncate(before.file, to: before.end)
            throw error
        }
        file = target
        memory.removeLast(to: 0)
    }

    private func noteFile(_ byteCount: UInt64) {
        guard byteCount != noted else { return }
        let old = noted
        noted = byteCount
        shared.ledger.update { $0.spoolBytes = $0.spoolBytes &- old &+ byteCount }
    }

    // MARK: Rolling back

    private func cutBack(to mark: SpoolMark) throws(LogError) {
        guard mark.byteCount <= byteCount, mark.changeCount <= changeCount, !isOver else {
            throw .misuse(reason: "a mark of the spool of transaction \(xid) lies behind its end")
        }
        let inFile = file?.byteCount ?? 0
        if mark.byteCount >= inFile {
            memory.removeLast(to: Int(mark.byteCount - inFile))
        } else if var target = file {
            let kept = try target.truncate(to: mark.byteCount)
            file = target
            noteFile(target.end)
            memory.removeLast(to: 0)
            if let kept { memory.append(kept.prefix(Int(mark.byteCount - target.byteCount))) }
        }
        changeCount = mark.changeCount
        let before = definitions.count
        while let last = definitions.last, last.byteCount >= mark.byteCount {
            // The newest of those taken away is what the source sent last.
            if dropped[last.id] == nil { dropped[last.id] = last.record }
            definitions.removeLast()
        }
        if definitions.count != before { defined = Set(definitions.map(\.id)) }
    }

    // MARK: For the log

    /// Appends the commit record to memory; `removeCommit` takes it back.
    func addCommit(_ changeCount: UInt64) {
        let record = Block(RecordReader.headerSize + 8)
        record.bytes.store(RecordKind.commit, at: 0)
        record.bytes.store(UInt32(8), at: 1)
        record.bytes.store(changeCount, at: RecordReader.headerSize)
        memory.append(record.prefix(RecordReader.headerSize + 8))
    }

    func removeCommit() {
        memory.removeLast(to: memory.count - (RecordReader.headerSize + 8))
    }

    /// Puts the state back that the spool had before the log tried to take it over.
    func goBack(to earlier: SpoolFile<Storage>, memory kept: Block, _ count: Int) throws(LogError) {
        if var target = file {
            try target.goBack(to: earlier)
            file = target
        }
        memory.removeLast(to: 0)
        memory.append(kept.prefix(count))
    }
}
