#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A growing stretch of records on its way into the log: what a source fills and the log writes.
///
/// Owned by one thread at a time; handing it over is giving it up. It is reused, so that nothing is allocated per
/// transaction.
// SAFETY: the storage is private to the object, and every hand-over passes through a lock (Monitor).
package final class RecordBuffer: @unchecked Sendable {
    private var base: UnsafeMutableRawPointer
    private var capacity: Int
    /// Bytes written.
    package private(set) var count = 0
    /// Relations that row records in this buffer name, each once or, after a change of tables, more than once.
    package private(set) var usedRelations: [RelationID] = []
    private var lastRelation: RelationID?
    /// Transactions that are committed in this buffer.
    package private(set) var commitCount = 0
    /// Row changes, truncates and messages in this buffer.
    package private(set) var changeCount: UInt64 = 0
    /// End LSN of the last transaction that is committed in this buffer.
    package private(set) var lastEndLSN: LSN?
    /// Whether the bytes end inside a transaction.
    package private(set) var endsInTransaction = false
    /// The last state of the source that was written into this buffer; nil for none.
    package private(set) var lastSourceState: [UInt8]?
    /// Whether there are relation records in this buffer.
    package private(set) var hasRelations = false
    private var openEndLSN = LSN.zero
    /// Where the begin record of the open transaction lies; nil if it is in an earlier buffer.
    private var openOffset: Int?

    package init(capacity: Int = 1 << 16) {
        self.capacity = max(capacity, 64)
        base = .allocate(byteCount: self.capacity, alignment: 16)
    }

    deinit {
        base.deallocate()
    }

    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }
    package var isEmpty: Bool { count == 0 }

    /// Forgets the content. Memory above `keeping` bytes is given back.
    package func removeAll(keeping limit: Int = 8 << 20) {
        count = 0
        usedRelations.removeAll(keepingCapacity: true)
        lastRelation = nil
        commitCount = 0
        changeCount = 0
        lastEndLSN = nil
        lastSourceState = nil
        hasRelations = false
        endsInTransaction = false
        openOffset = nil
        if capacity > limit {
            base.deallocate()
            capacity = 1 << 16
            base = .allocate(byteCount: capacity, alignment: 16)
        }
    }

    // MARK: Records

    static let beginBodySize = 45

    package func begin(_ info: TransactionInfo) {
        openOffset = count
        header(RecordKind.begin, Self.beginBodySize)
        append(info.flags.rawValue)
        append(info.xid)
        append(info.commitLSN.value)
        append(info.endLSN.value)
        append(info.commitTime.microsecondsSince2000)
        append(info.firstOrdinal)
        append(info.originLSN.value)
        openEndLSN = info.endLSN
        endsInTransaction = true
    }

    /// Sets the first ordinal of the begin record that stands at the very beginning of the buffer: a full load knows it
    /// only when the buffer is handed over.
    package func setFirstOrdinal(_ ordinal: UInt64) {
        precondition(count > 0 && bytes[0] == RecordKind.begin, "the buffer does not begin with a transaction")
        base.storeBytes(of: ordinal.bigEndian, toByteOffset: RecordReader.headerSize + 29, as: UInt64.self)
    }

    /// Ends the transaction. `changeCount`: changes of the whole transaction, also of those parts that went to the log
    /// in earlier buffers.
    package func commit(changeCount: UInt64) {
        header(RecordKind.commit, 8)
        append(changeCount)
        commitCount += 1
        lastEndLSN = openEndLSN
        endsInTransaction = false
    }

    /// The same for a transaction whose `endLSN` was not known when it began: puts it into the begin record, if that is in
    /// this buffer. If it went to the log in an earlier one, `endLSN` must be the one that it has there.
    package func commit(changeCount: UInt64, endLSN: LSN) {
        if let openOffset {
            let offset = openOffset + RecordReader.headerSize + 1 + 4 + 8
            base.storeBytes(of: endLSN.value.bigEndian, toByteOffset: offset, as: UInt64.self)
        }
        openEndLSN = endLSN
        commit(changeCount: changeCount)
    }

    /// Says that what follows is the rest of a transaction, the beginning of which went to the log in an earlier buffer.
    package func continueTransaction() {
        openOffset = nil
        endsInTransaction = true
    }

    package func relation(_ relation: Relation) {
        var writer = ByteWriter()
        relation.encode(into: &writer)
        writer.bytes.withUnsafeBytes { body in
            header(RecordKind.relation, body.count)
            append(body)
        }
        hasRelations = true
    }

    /// A row change: `body` is what pgoutput sends behind the relation id (`'N'` tuple, `'K'` tuple `'N'` tuple, …).
    package func row(_ kind: UInt8, relation: RelationID, lsn: LSN, body: UnsafeRawBufferPointer) {
        // One check for room, then plain stores: this runs once per row of the stream.
        let prefix = RecordReader.headerSize + 12
        let target = writePointer(prefix + body.count)
        target.storeBytes(of: kind, as: UInt8.self)
        target.storeBytes(of: UInt32(12 + body.count).bigEndian, toByteOffset: 1, as: UInt32.self)
        target.storeBytes(of: relation.value.bigEndian, toByteOffset: 5, as: UInt32.self)
        target.storeBytes(of: lsn.value.bigEndian, toByteOffset: 9, as: UInt64.self)
        if let source = body.baseAddress { memcpy(target + prefix, source, body.count) }
        count += prefix + body.count
        note(relation)
    }

    package func truncate(lsn: LSN, options: UInt8, relations: [RelationID]) {
        header(RecordKind.truncate, 9 + 4 * relations.count)
        append(lsn.value)
        append(options)
        for relation in relations { append(relation.value) }
        for relation in relations { noteUse(of: relation) }
        changeCount += 1
    }

    package func message(
        lsn: LSN, isTransactional: Bool, prefix: UnsafeRawBufferPointer, content: UnsafeRawBufferPointer
    ) {
        header(RecordKind.message, 13 + prefix.count + content.count)
        append(lsn.value)
        append(UInt8(isTransactional ? 1 : 0))
        append(UInt32(prefix.count))
        append(prefix)
        append(content)
        changeCount += 1
    }

    package func sourceState(_ state: UnsafeRawBufferPointer) {
        header(RecordKind.sourceState, state.count)
        append(state)
        lastSourceState = Array(state)
    }

    package func load(_ relation: RelationID, _ phase: LoadPhase) {
        header(RecordKind.load, 5)
        append(relation.value)
        append(phase.rawValue)
        noteUse(of: relation)
    }

    /// Copies finished records of another buffer behind those here, bookkeeping included.
    package func append(contentsOf other: RecordBuffer) {
        if let offset = other.openOffset { openOffset = count + offset }
        append(other.bytes)
        for relation in other.usedRelations { noteUse(of: relation) }
        commitCount += other.commitCount
        changeCount += other.changeCount
        if let lsn = other.lastEndLSN { lastEndLSN = lsn }
        if let state = other.lastSourceState { lastSourceState = state }
        if other.hasRelations { hasRelations = true }
        endsInTransaction = other.endsInTransaction
        openEndLSN = other.openEndLSN
    }

    // MARK: A row written column by column (full load, column filters)

    /// Opens an insert record whose tuple is appended with `appendNull`, `appendText` …, then `endRow`.
    /// Returns the place that `endRow` needs.
    package func beginRow(_ kind: UInt8, relation: RelationID, lsn: LSN) -> Int {
        let start = count
        header(kind, 0)
        append(relation.value)
        append(lsn.value)
        note(relation)
        return start
    }

    /// A tuple's marker (`N`, `K`, `O`) and its number of columns.
    package func beginTuple(_ marker: UInt8, columnCount: Int) {
        append(marker)
        append(UInt16(columnCount))
    }

    package func appendColumn(_ kind: UInt8) {
        append(kind)
    }

    package func appendColumn(_ kind: UInt8, _ value: UnsafeRawBufferPointer) {
        append(kind)
        append(UInt32(value.count))
        append(value)
    }

    /// Makes room for `byteCount` bytes and returns where they go; `advance(by:)` then says how many were written.
    @inlinable
    package func reserve(_ byteCount: Int) -> UnsafeMutableRawPointer {
        writePointer(byteCount)
    }

    package func advance(by byteCount: Int) {
        precondition(byteCount >= 0 && count + byteCount <= capacity, "advanced past what was reserved")
        count += byteCount
    }

    /// Closes the record that `beginRow` opened at `start`.
    package func endRow(_ start: Int) {
        let length = UInt32(count - start - RecordReader.headerSize)
        base.storeBytes(of: length.bigEndian, toByteOffset: start + 1, as: UInt32.self)
    }

    // MARK: Bytes

    private func note(_ relation: RelationID) {
        changeCount += 1
        if relation != lastRelation { noteUse(of: relation) }
    }

    private func noteUse(of relation: RelationID) {
        lastRelation = relation
        // Two tables that take turns would otherwise grow the list by one entry per row.
        if usedRelations.suffix(8).contains(relation) { return }
        usedRelations.append(relation)
        if usedRelations.count > 65_536 { usedRelations = Array(Set(usedRelations)) }
    }

    private func header(_ kind: UInt8, _ length: Int) {
        append(kind)
        append(UInt32(length))
    }

    private func append<T: FixedWidthInteger>(_ value: T) {
        let size = MemoryLayout<T>.size
        writePointer(size).storeBytes(of: value.bigEndian, as: T.self)
        count += size
    }

    private func append(_ value: UnsafeRawBufferPointer) {
        guard let source = value.baseAddress else { return }
        memcpy(writePointer(value.count), source, value.count)
        count += value.count
    }

    @usableFromInline
    func writePointer(_ byteCount: Int) -> UnsafeMutableRawPointer {
        if capacity - count < byteCount { grow(byteCount) }
        return base + count
    }

    private func grow(_ byteCount: Int) {
        capacity = max(capacity * 2, count + byteCount)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        memcpy(larger, base, count)
        base.deallocate()
        base = larger
    }
}
