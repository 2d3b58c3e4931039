internal import MillraceCore

/// Puts the rows that several threads read into the log: numbers them, and sees to it that a table's load begins before its
/// first row and ends behind its last.
final class SnapshotWriter: Sendable {
    private struct State {
        /// Changes of the full load that are in the log.
        var ordinal: UInt64 = 0
        var isOpen: [Bool]
        var piecesLeft: [Int]
    }

    private let tables: [CapturedTable]
    private let info: TransactionInfo
    private let output: any SourceOutput
    private let progress: SnapshotProgress
    private let control: SnapshotControl
    // Held while a buffer is handed over: what is numbered first must lie first in the log.
    private let state: Monitor<State>

    init(
        tables: [CapturedTable], pieceCounts: [Int], info: TransactionInfo, output: any SourceOutput,
        progress: SnapshotProgress, control: SnapshotControl
    ) {
        self.tables = tables
        self.info = info
        self.output = output
        self.progress = progress
        self.control = control
        state = Monitor(
            State(isOpen: Array(repeating: false, count: tables.count), piecesLeft: pieceCounts))
    }

    /// A buffer in which a transaction has begun.
    func makeBuffer() -> RecordBuffer {
        let buffer = output.makeBuffer()
        buffer.begin(info)
        return buffer
    }

    /// To be called before the first row of a piece is submitted.
    func beginPiece(_ table: Int) throws(ConnectorError) {
        try state.update { state throws(ConnectorError) in
            guard !state.isOpen[table] else { return }
            let buffer = makeBuffer()
            buffer.relation(tables[table].relation.relation)
            buffer.load(tables[table].relation.relation.id, .begin)
            try submit(buffer, &state)
            state.isOpen[table] = true
        }
        progress.update(tables[table].oid) { $0.state = .loading }
    }

    /// Ends the transaction in `buffer` and hands it over.
    func submit(_ buffer: RecordBuffer, table: Int) throws(ConnectorError) {
        let rows = buffer.changeCount
        let bytes = UInt64(buffer.count)
        guard rows > 0 else { return }
        try state.update { state throws(ConnectorError) in try submit(buffer, &state) }
        progress.update(tables[table].oid) { table in
            table.rowsLoaded += rows
            table.bytes += bytes
        }
    }

    /// To be called when all rows of a piece have been submitted.
    func endPiece(_ table: Int) throws(ConnectorError) {
        let isLast = try state.update { state throws(ConnectorError) in
            state.piecesLeft[table] -= 1
            guard state.piecesLeft[table] == 0 else { return false }
            try end(table, &state)
            return true
        }
        if isLast { progress.update(tables[table].oid) { $0.state = .streaming } }
    }

    /// A table without any piece: begun and ended at once.
    func writeEmpty(_ table: Int) throws(ConnectorError) {
        try beginPiece(table)
        try state.update { state throws(ConnectorError) in try end(table, &state) }
        progress.update(tables[table].oid) { $0.state = .streaming }
    }

    private func end(_ table: Int, _ state: inout State) throws(ConnectorError) {
        let buffer = makeBuffer()
        buffer.load(tables[table].relation.relation.id, .end)
        try submit(buffer, &state)
    }

    private func submit(_ buffer: RecordBuffer, _ state: inout State) throws(ConnectorError) {
        let changes = buffer.changeCount
        buffer.setFirstOrdinal(state.ordinal)
        buffer.commit(changeCount: changes)
        repeat {
            if control.isStopped { throw .stopped }
        } while try !output.submit(buffer, timeout: .milliseconds(100))
        state.ordinal += changes
    }
}
