import MillraceCore
import MillraceTesting

@testable import PostgresConnector

/// A log in memory for the full load: keeps what is submitted, and can be busy.
final class SnapshotTestOutput: SourceOutput {
    struct State {
        var bytes: [UInt8] = []
        /// How often `submit` refuses before it takes the next buffer.
        var refusals = 0
        var isBusyForEver = false
        var attempts = 0
    }

    let state = Monitor(State())
    let recovered = RecoveredLog(logID: 1)

    func makeBuffer() -> RecordBuffer { RecordBuffer() }

    func submit(_ buffer: RecordBuffer, timeout: Duration) throws(ConnectorError) -> Bool {
        let isTaken = state.update { state in
            state.attempts += 1
            if state.isBusyForEver { return false }
            if state.refusals > 0 {
                state.refusals -= 1
                return false
            }
            state.bytes.append(contentsOf: buffer.bytes)
            return true
        }
        // A busy log blocks for a while instead of answering at once.
        if !isTaken { _ = Monitor(false).wait(for: min(timeout, .milliseconds(5))) { $0 ? true : nil } }
        return isTaken
    }

    func rollBackOpenTransaction() throws(ConnectorError) {}
    func makeSpool(xid: UInt32) throws(ConnectorError) -> any TransactionSpool {
        throw ConnectorError(.bug, code: "unexpected", "a full load needs no spool")
    }
    func submit(_ spool: any TransactionSpool, _ info: TransactionInfo, timeout: Duration) throws(ConnectorError)
        -> Bool
    {
        throw ConnectorError(.bug, code: "unexpected", "a full load needs no spool")
    }
    var durableLSN: LSN { .zero }
    var isDrained: Bool { true }
    func waitUntilDrained(timeout: Duration) throws(ConnectorError) -> Bool { true }
    var durableEvent: Int32 { -1 }
    func reset() throws(ConnectorError) { state.update { $0.bytes = [] } }
}

/// What a full load put into the log, checked for its order while it is read.
struct LoadedTables {
    var rows: [String: [[String?]]] = [:]
    var columns: [String: [String]] = [:]
    var ended: Set<String> = []
    var transactions = 0
    var largestTransaction = 0

    /// Throws what is not as a full load must be.
    init(_ output: SnapshotTestOutput, consistentLSN: LSN) throws {
        let bytes = output.state.read { $0.bytes }
        var names: [RelationID: String] = [:]
        var ordinal: UInt64 = 0
        var inTransaction: UInt64 = 0
        try bytes.withUnsafeBytes { bytes in
            var reader = RecordReader(bytes)
            var start = 0
            while let record = try reader.next() {
                switch record {
                case .begin(let info):
                    try require(info.flags == .snapshot && info.xid > 0, "flags of \(info)")
                    try require(info.commitLSN == consistentLSN && info.endLSN == consistentLSN, "LSN of \(info)")
                    try require(info.firstOrdinal == ordinal, "ordinal \(info.firstOrdinal) instead of \(ordinal)")
                    inTransaction = 0
                    start = reader.offset
                case .relation(let encoded):
                    var encoded = ByteReader(encoded)
                    let relation = try Relation.decode(&encoded)
                    names[relation.id] = relation.qualifiedName
                    columns[relation.qualifiedName] = relation.columns.map(\.name)
                case .load(let id, .begin):
                    let name = try name(id, names)
                    try require(rows[name] == nil, "\(name) begins twice")
                    rows[name] = []
                case .load(let id, .end):
                    let name = try name(id, names)
                    try require(rows[name] != nil && ended.insert(name).inserted, "\(name) ends out of turn")
                case .insert(let id, let lsn, let tuple):
                    try require(lsn == SnapshotRun.lsn, "a row at \(lsn)")
                    let name = try name(id, names)
                    try require(rows[name] != nil && !ended.contains(name), "row of \(name) out of turn")
                    try require(tuple.count == columns[name]?.count, "columns of \(name)")
                    rows[name]?.append(Self.texts(tuple))
                    inTransaction += 1
                case .commit(let count):
                    try require(count == inTransaction, "count \(count) instead of \(inTransaction)")
                    ordinal += count
                    transactions += 1
                    largestTransaction = max(largestTransaction, reader.offset - start)
                default: throw TestFailure("a full load has no \(record)")
                }
            }
        }
        try require(ended == Set(rows.keys), "not ended: \(Set(rows.keys).subtracting(ended))")
    }

    private func name(_ id: RelationID, _ names: [RelationID: String]) throws -> String {
        guard let name = names[id] else { throw TestFailure("relation \(id.value) is not known yet") }
        return name
    }

    private func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
        if !condition { throw TestFailure(message()) }
    }

    private static func texts(_ tuple: TupleView) -> [String?] {
        tuple.map { value in
            if case .text(let bytes) = value { return String(decoding: bytes, as: UTF8.self) }
            return nil
        }
    }

    func set(_ table: String) -> Set<[String?]> {
        Set(rows[table] ?? [])
    }
}
