import MillraceCore
import MillraceLog
import MillraceTesting

@testable import MillraceRuntime

/// A change log in memory that can be told to fail: what tests of the runtime need of a disk.
final class MemoryLog: ReplicationLog {
    struct Chunk: Sendable {
        var bytes: [UInt8]
        var start: UInt64
        /// Behind the last record; the cursor of a place where no transaction is open.
        var end: Cursor
        var endsInTransaction: Bool
        var commitTime: Timestamp?
    }

    struct State: Sendable {
        var id: UInt64 = 1
        var chunks: [Chunk] = []
        var durableChunks = 0
        var start: UInt64 = 0
        var recovered: RecoveredLog
        var appendErrors: [LogError] = []
        var flushErrors: [LogError] = []
        var isFull = false
        var isHeld = false
        var flushes = 0
        var appends = 0
        var rollBacks = 0
        var trims: [UInt64] = []
    }

    let state: Monitor<State>

    init(recovered: RecoveredLog = RecoveredLog(logID: 1)) {
        state = Monitor(State(recovered: recovered))
    }

    // MARK: What a test does

    func fill(_ isFull: Bool) { state.update { $0.isFull = isFull } }
    func hold(_ isHeld: Bool) { state.update { $0.isHeld = isHeld } }
    func failAppend(_ error: LogError) { state.update { $0.appendErrors.append(error) } }
    func failFlush(_ error: LogError) { state.update { $0.flushErrors.append(error) } }

    /// The bytes that a crash now would leave.
    var durableBytes: [UInt8] { state.read { $0.chunks.prefix($0.durableChunks).flatMap(\.bytes) } }
    var allBytes: [UInt8] { state.read { $0.chunks.flatMap(\.bytes) } }

    // MARK: ReplicationLog

    var recovered: RecoveredLog { state.read { $0.recovered } }
    var id: UInt64 { state.read { $0.id } }
    var isTrimmed: Bool { start.offset > 0 }
    var start: Cursor { state.read { Cursor(logID: $0.id, offset: $0.start, commitLSN: .zero, ordinal: 0) } }
    var durable: Cursor { state.read { Self.durable($0) } }
    var byteCount: UInt64 { state.read { UInt64($0.chunks.reduce(0) { $0 + $1.bytes.count }) } }
    var segmentCount: Int { state.read { $0.chunks.count } }

    func commitTime(before offset: UInt64) -> Timestamp? {
        state.read { $0.chunks.last { $0.end.offset <= offset }?.commitTime }
    }

    /// Every chunk is a segment; the last is not sealed.
    func segments(now: Int64) -> [Retention.Segment] {
        state.read { state in
            state.chunks.enumerated().map { index, chunk in
                Retention.Segment(
                    end: chunk.end.offset, byteCount: UInt64(chunk.bytes.count),
                    isSealed: index < state.chunks.count - 1, age: .zero)
            }
        }
    }

    func append(_ buffer: RecordBuffer) throws(LogError) {
        _ = state.wait { $0.isHeld ? nil : true }
        let bytes = Array(buffer.bytes)
        try state.update { state throws(LogError) in
            state.appends += 1
            if !state.appendErrors.isEmpty { throw state.appendErrors.removeFirst() }
            if state.isFull { throw .noSpace(path: "/disk/log") }
            Self.append(bytes, endsInTransaction: buffer.endsInTransaction, &state)
        }
    }

    func append(_ spool: any TransactionSpool, _ info: TransactionInfo) throws(LogError) {
        guard let spool = spool as? MemorySpool else { throw .misuse(reason: "not a spool of this log") }
        let buffer = RecordBuffer()
        buffer.begin(info)
        buffer.append(contentsOf: spool.buffer)
        buffer.commit(changeCount: spool.changeCount)
        try append(buffer)
    }

    private static func append(_ bytes: [UInt8], endsInTransaction: Bool, _ state: inout State) {
        let start = state.chunks.last?.end.offset ?? 0
        var end = state.chunks.last?.end ?? Cursor(logID: state.id, offset: 0, commitLSN: .zero, ordinal: 0)
        var time: Timestamp?
        bytes.withUnsafeBytes { bytes in
            var reader = RecordReader(bytes)
            while let record = try? reader.next() {
                switch record {
                case .begin(let info):
                    end.commitLSN = info.commitLSN
                    time = info.commitTime
                case .commit(let count): end.ordinal = count
                default: break
                }
            }
        }
        end.offset = start + UInt64(bytes.count)
        state.chunks.append(
            Chunk(bytes: bytes, start: start, end: end, endsInTransaction: endsInTransaction, commitTime: time))
    }

    func rollBackOpenTransaction() throws(LogError) {
        state.update { state in
            state.rollBacks += 1
            while state.chunks.last?.endsInTransaction == true { state.chunks.removeLast() }
            state.durableChunks = min(state.durableChunks, state.chunks.count)
        }
    }

    func flush() throws(LogError) -> Cursor {
        try state.update { state throws(LogError) in
            if !state.flushErrors.isEmpty { throw state.flushErrors.removeFirst() }
            state.flushes += 1
            state.durableChunks = state.chunks.lastIndex { !$0.endsInTransaction }.map { $0 + 1 } ?? 0
            return Self.durable(state)
        }
    }

    private static func durable(_ state: State) -> Cursor {
        guard state.durableChunks > 0 else {
            return Cursor(logID: state.id, offset: state.start, commitLSN: .zero, ordinal: 0)
        }
        return state.chunks[state.durableChunks - 1].end
    }

    func makeSpool(xid: UInt32) throws(LogError) -> any TransactionSpool { MemorySpool() }

    func lacksRoom(for byteCount: Int) -> Bool { state.read { $0.isFull } }

    func reset() throws(LogError) {
        state.update { state in
            state.id += 1
            state.chunks = []
            state.durableChunks = 0
            state.start = 0
            state.recovered = RecoveredLog(logID: state.id)
        }
    }

    func trim(before offset: UInt64) throws(LogError) -> UInt64 {
        state.update { state in
            state.trims.append(offset)
            var freed: UInt64 = 0
            while let first = state.chunks.first, first.end.offset <= offset, state.chunks.count > 1 {
                freed += UInt64(first.bytes.count)
                state.start = first.end.offset
                state.chunks.removeFirst()
                state.durableChunks -= 1
            }
            return freed
        }
    }

    func makeReader(after cursor: Cursor?) throws(LogError) -> any BatchReader {
        MemoryReader(self, offset: cursor?.offset ?? start.offset)
    }
}

final class MemorySpool: TransactionSpool {
    let buffer = RecordBuffer()
    var byteCount: UInt64 { UInt64(buffer.count) }
    var changeCount: UInt64 { buffer.changeCount }
    func append(_ buffer: RecordBuffer) throws(ConnectorError) { self.buffer.append(contentsOf: buffer) }
    func mark() throws(ConnectorError) -> SpoolMark { SpoolMark(byteCount: byteCount, changeCount: changeCount) }
    func truncate(to mark: SpoolMark) throws(ConnectorError) {}
    func discard() {}
}

final class MemoryReader: BatchReader {
    private let log: MemoryLog
    private let logID: UInt64
    private let offset: Monitor<UInt64>
    private let isInterrupted = Monitor(false)

    init(_ log: MemoryLog, offset: UInt64) {
        self.log = log
        logID = log.id
        self.offset = Monitor(offset)
    }

    func interrupt() {
        isInterrupted.update { $0 = true }
        log.state.update { _ in }
    }

    func next(byteLimit: Int, timeout: Duration) throws(LogError) -> ChangeBatch? {
        let offset = offset.read { $0 }
        let found = log.state.wait(for: timeout) { state -> Result<[MemoryLog.Chunk], LogError>? in
            if state.id != self.logID { return .failure(.discarded) }
            if self.isInterrupted.read({ $0 }) { return .success([]) }
            let durable = state.chunks.prefix(state.durableChunks)
            let wanted = durable.filter { $0.start >= offset }
            return wanted.isEmpty ? nil : .success(Array(wanted))
        }
        let chunks = try found?.get() ?? []
        isInterrupted.update { $0 = false }
        guard let last = chunks.last else { return nil }
        self.offset.update { $0 = last.end.offset }
        return batch(chunks, last)
    }

    private func batch(_ chunks: [MemoryLog.Chunk], _ last: MemoryLog.Chunk) -> ChangeBatch {
        let bytes = chunks.flatMap(\.bytes)
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(bytes.count, 1), alignment: 16)
        copy.copyBytes(from: bytes)
        let earlier = log.state.read { state in
            state.chunks.filter { $0.end.offset <= chunks[0].start }.flatMap(\.bytes)
        }
        return ChangeBatch(
            adopting: copy, count: bytes.count, runs: [.init(byteIndex: 0, logOffset: chunks[0].start)], logID: logID,
            relations: Self.relations(earlier), end: last.end, endsInTransaction: false,
            lastCommitTime: chunks.last { $0.commitTime != nil }?.commitTime)
    }

    private static func relations(_ bytes: [UInt8]) -> [RelationID: Relation] {
        var relations: [RelationID: Relation] = [:]
        bytes.withUnsafeBytes { bytes in
            var reader = RecordReader(bytes)
            while let record = try? reader.next() {
                guard case .relation(let body) = record else { continue }
                var reader = ByteReader(body)
                if let relation = try? Relation.decode(&reader) { relations[relation.id] = relation }
            }
        }
        return relations
    }
}
