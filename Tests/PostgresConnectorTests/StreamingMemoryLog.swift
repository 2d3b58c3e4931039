import Glibc
import MillraceCore
import MillraceTesting

/// A log in memory: what a source sees of one, and what a test wants to know. Everything is durable as soon as it is
/// submitted, unless it is held up.
final class MemoryLog: SourceOutput {
    struct State {
        var logID: UInt64 = 1
        var bytes: [UInt8] = []
        /// Length of `bytes` up to the end of the last complete transaction.
        var boundary = 0
        var sourceState: [UInt8] = []
        var commits: [TransactionInfo] = []
        var lastOrdinal: UInt64 = 0
        var open: TransactionInfo?
        var durableLSN = LSN.zero
        var resets = 0
        /// Nothing is taken.
        var isBusy = false
        /// Becomes busy when it has got a state of the source.
        var isBusyBehindState = false
        /// Becomes busy when it has got so many transactions.
        var busyBehindCommits: Int?
        var spools = 0
        var largestSpool: UInt64 = 0
        var parts = 0
    }

    let state = Monitor(State())
    private let eventEnds: [Int32]

    init() {
        var ends: [Int32] = [-1, -1]
        precondition(pipe(&ends) == 0)
        for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
        eventEnds = ends
    }

    deinit {
        for end in eventEnds { close(end) }
    }

    var durableEvent: Int32 { eventEnds[0] }

    // MARK: SourceOutput

    var recovered: RecoveredLog {
        state.read { state in
            RecoveredLog(
                logID: state.logID, lastCommitLSN: state.commits.last?.commitLSN,
                lastEndLSN: state.commits.last?.endLSN, lastOrdinal: state.lastOrdinal, sourceState: state.sourceState)
        }
    }

    func makeBuffer() -> RecordBuffer { RecordBuffer() }

    func submit(_ buffer: RecordBuffer, timeout: Duration) throws(ConnectorError) -> Bool {
        let taken = state.wait(for: timeout) { state -> Bool? in
            guard !state.isBusy else { return nil }
            if buffer.endsInTransaction { state.parts += 1 }
            state.append(Array(buffer.bytes))
            return true
        }
        if taken == true { signal() }
        return taken ?? false
    }

    func rollBackOpenTransaction() throws(ConnectorError) {
        state.update { state in
            state.bytes.removeSubrange(state.boundary...)
            state.open = nil
        }
    }

    func makeSpool(xid: UInt32) throws(ConnectorError) -> any TransactionSpool {
        state.update { $0.spools += 1 }
        return MemorySpool()
    }

    func submit(
        _ spool: any TransactionSpool, _ info: TransactionInfo, timeout: Duration
    ) throws(ConnectorError) -> Bool {
        guard let spool = spool as? MemorySpool, !state.read({ $0.isBusy }) else { return false }
        let buffer = RecordBuffer()
        buffer.begin(info)
        let end = RecordBuffer()
        end.commit(changeCount: spool.changeCount)
        state.update { state in
            precondition(state.open == nil, "a spool in the middle of a transaction")
            state.append(Array(buffer.bytes) + spool.bytes + Array(end.bytes))
            state.largestSpool = max(state.largestSpool, UInt64(spool.bytes.count))
        }
        signal()
        return true
    }

    var durableLSN: LSN { state.read { $0.durableLSN } }
    var isDrained: Bool { state.read { $0.open == nil } }
    func waitUntilDrained(timeout: Duration) throws(ConnectorError) -> Bool { true }

    func reset() throws(ConnectorError) {
        state.update { old in
            var new = State()
            new.logID = old.logID + 1
            new.resets = old.resets + 1
            old = new
        }
    }

    private func signal() {
        var one: UInt64 = 1
        _ = write(eventEnds[1], &one, 8)
    }

    // MARK: What a test asks

    /// The rows of a table by key, as texts, made from all records of the log; nil where a value is null.
    func contents() throws -> TableContents {
        let bytes = state.read { Array($0.bytes[..<$0.boundary]) }
        var contents = TableContents()
        try bytes.withUnsafeBytes { try contents.apply(RecordReader($0)) }
        return contents
    }
}

extension MemoryLog.State {
    /// Appends records and checks that they are in an order that a log may have.
    fileprivate mutating func append(_ records: [UInt8]) {
        let start = bytes.count
        bytes += records
        records.withUnsafeBytes { raw in
            var offset = 0
            while let (kind, body) = RecordReader.peek(raw, at: offset) {
                offset += RecordReader.headerSize + body.count
                switch kind {
                case RecordKind.begin:
                    precondition(open == nil, "begin inside a transaction")
                    var reader = RecordReader(raw, offset: offset - RecordReader.headerSize - body.count)
                    if case .begin(let info)? = try? reader.next() { open = info }
                case RecordKind.commit:
                    guard let info = open else { preconditionFailure("commit outside a transaction") }
                    precondition(commits.last.map { $0.commitLSN <= info.commitLSN } ?? true, "order of commits")
                    precondition(
                        info.flags.contains(.snapshot) || commits.last.map { $0.commitLSN < info.commitLSN } ?? true,
                        "a transaction came twice")
                    commits.append(info)
                    if commits.count == busyBehindCommits { isBusy = true }
                    lastOrdinal = UInt64(bigEndian: body.loadUnaligned(as: UInt64.self))
                    durableLSN = max(durableLSN, info.endLSN)
                    open = nil
                    boundary = start + offset
                case RecordKind.sourceState:
                    sourceState = Array(body)
                    if isBusyBehindState { isBusy = true }
                    if open == nil { boundary = start + offset }
                default:
                    precondition(open != nil, "a change outside a transaction")
                }
            }
            precondition(offset == raw.count, "records that do not end")
        }
    }
}

/// A spool in memory.
final class MemorySpool: TransactionSpool {
    private(set) var bytes: [UInt8] = []
    private(set) var changeCount: UInt64 = 0
    private(set) var isDiscarded = false
    var byteCount: UInt64 { UInt64(bytes.count) }

    func append(_ buffer: RecordBuffer) throws(ConnectorError) {
        bytes += buffer.bytes
        changeCount += buffer.changeCount
    }

    func mark() throws(ConnectorError) -> SpoolMark { SpoolMark(byteCount: byteCount, changeCount: changeCount) }

    func truncate(to mark: SpoolMark) throws(ConnectorError) {
        bytes.removeSubrange(Int(mark.byteCount)...)
        changeCount = mark.changeCount
    }

    func discard() {
        bytes = []
        isDiscarded = true
    }
}

/// Tables as the records of a log make them.
struct TableContents {
    typealias Row = [String?]
    var relations: [RelationID: Relation] = [:]
    /// By `schema.table`, then by key; keyless tables by all columns, so that they must not hold equal rows.
    var rows: [String: [Row: Row]] = [:]
    var messages: [String] = []
    var truncates = 0
    var loads: [String: Int] = [:]

    mutating func apply(_ source: RecordReader) throws {
        var reader = source
        while let record = try reader.next() {
            switch record {
            case .relation(let body):
                var bytes = ByteReader(body)
                let relation = try Relation.decode(&bytes)
                relations[relation.id] = relation
            case .insert(let id, _, let new):
                let relation = try relation(id)
                let row = Self.values(new, nil)
                try require(
                    rows[relation.qualifiedName, default: [:]].updateValue(row, forKey: Self.key(row, relation)) == nil)
            case .update(let id, _, let old, let new): try update(try relation(id), old, new)
            case .delete(let id, _, let old):
                let relation = try relation(id)
                try require(
                    rows[relation.qualifiedName]?.removeValue(forKey: Self.key(Self.values(old.tuple, nil), relation))
                        != nil
                )
            case .truncate(_, let truncate):
                truncates += 1
                for id in truncate.relations { rows[try relation(id).qualifiedName] = [:] }
            case .message(_, let message):
                messages.append(
                    String(decoding: message.prefix, as: UTF8.self) + ":"
                        + String(decoding: message.content, as: UTF8.self))
            case .load(let id, .begin):
                rows[try relation(id).qualifiedName] = [:]
                loads[try relation(id).qualifiedName, default: 0] += 1
            case .begin, .commit, .sourceState, .load: break
            }
        }
    }

    private mutating func update(_ relation: Relation, _ old: OldTuple?, _ new: TupleView) throws {
        let name = relation.qualifiedName
        let oldKey = Self.key(Self.values(old?.tuple ?? new, nil), relation)
        guard let before = rows[name]?.removeValue(forKey: oldKey) else {
            throw TestFailure("update of a row of \(name) that is not there")
        }
        let row = Self.values(new, before)
        rows[name, default: [:]][Self.key(row, relation)] = row
    }

    private func relation(_ id: RelationID) throws -> Relation {
        guard let relation = relations[id] else { throw TestFailure("relation \(id) is not known") }
        return relation
    }

    private static func key(_ row: Row, _ relation: Relation) -> Row {
        let indexes = relation.primaryKey.isEmpty ? Array(relation.columns.indices) : relation.primaryKey
        return indexes.map { $0 < row.count ? row[$0] : nil }
    }

    /// `before`: the row whose values unchanged columns keep.
    private static func values(_ tuple: TupleView, _ before: Row?) -> Row {
        tuple.enumerated().map { index, value in
            switch value {
            case .null: nil
            case .unchanged: before.flatMap { index < $0.count ? $0[index] : nil } ?? "(unchanged)"
            case .text(let bytes), .binary(let bytes): String(decoding: bytes, as: UTF8.self)
            }
        }
    }
}

private func require(_ condition: Bool) throws {
    guard condition else { throw TestFailure("a row is there that should not, or is not there") }
}
