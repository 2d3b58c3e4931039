internal import MillraceCore

/// The relations that the server has described, and how they last stood in the log.
struct RelationTable {
    struct Entry {
        var captured: CapturedRelation
        /// Columns of the server's message: what its rows must have.
        var columnCount: Int
        /// `Relation.version` that the log last got on this connection; nil for none.
        var loggedVersion: UInt64?
    }

    /// The source's state as last stored: it is stored again, with the reason, before the first row of a table that has
    /// become stale.
    var state: SourceState?
    private(set) var entries: [Entry] = []
    private var indexes: [UInt32: Int] = [:]

    func index(of id: UInt32) -> Int? { indexes[id] }
    subscript(id: UInt32) -> Entry? { indexes[id].map { entries[$0] } }

    /// Takes a new definition; returns the relation's index, which it keeps.
    @discardableResult
    mutating func set(_ id: UInt32, _ captured: CapturedRelation, columnCount: Int) -> Int {
        if let index = indexes[id] {
            entries[index].captured = captured
            entries[index].columnCount = columnCount
            return index
        }
        indexes[id] = entries.count
        entries.append(Entry(captured: captured, columnCount: columnCount))
        return entries.count - 1
    }

    mutating func setLogged(_ index: Int, version: UInt64?) {
        entries[index].loggedVersion = version
    }

    /// After a lost connection: the log may have lost relations with the transaction that was rolled back.
    mutating func forgetLogged() {
        for index in entries.indices { entries[index].loggedVersion = nil }
    }
}

extension TransactionAssembler {
    /// What a row needs to know of its relation: looked up once for a run of rows of the same one.
    struct Route {
        var id: UInt32
        var index: Int
        var columnCount: Int
        var isCaptured: Bool
        var isProjected: Bool

        /// No relation has the id zero (`InvalidOid`).
        static let none = Route(id: 0, index: 0, columnCount: 0, isCaptured: false, isProjected: false)
    }

    mutating func relation(_ message: PgOutputRelation) throws(ConnectorError) {
        route = .none
        let known = stream?.relations[message.oid]?.captured ?? table[message.oid]?.captured
        let captured = try describe(message, known)
        if let known, captured.isCaptured, let reason = staleness(from: known.relation, to: captured.relation) {
            counts.stale[message.oid] = reason
        }
        if let stream {
            // Concurrent transactions see the relation as it is outside until this one commits.
            stream.relations[message.oid] = StreamedTransaction.Entry(
                captured: captured, columnCount: message.columns.count)
            if table[message.oid] == nil {
                counts.name(table.set(message.oid, captured, columnCount: message.columns.count), captured)
            }
        } else {
            counts.name(table.set(message.oid, captured, columnCount: message.columns.count), captured)
        }
    }

    /// Makes `id` the route, and sees to it that the log knows the relation as its rows are.
    mutating func select(_ id: UInt32) throws(MalformedRecord) {
        guard let index = table.index(of: id) else { throw MalformedRecord("relation \(id) was never described") }
        let entry = table.entries[index]
        route = Route(
            id: id, index: index, columnCount: entry.columnCount, isCaptured: entry.captured.isCaptured,
            isProjected: entry.captured.projection != nil)
        guard entry.captured.isCaptured, entry.loggedVersion != entry.captured.relation.version else { return }
        beginRecord()
        // In the transaction that brings the new definition: after a crash both are there, or neither.
        if let state = staleState() { state.withUnsafeBytes { buffer.sourceState($0) } }
        buffer.relation(entry.captured.relation)
        table.setLogged(index, version: entry.captured.relation.version)
    }

    /// The state to store because a table has become stale; nil where that is stored already.
    mutating func staleState() -> [UInt8]? {
        guard var state = table.state, state.stale != counts.stale else { return nil }
        state.stale = counts.stale
        table.state = state
        return state.encoded()
    }

    mutating func selectAnywhere(_ id: UInt32) throws(MalformedRecord) {
        if stream == nil { try select(id) } else { try selectStreamed(id) }
    }

    /// Writes a row with only the columns that are kept.
    func appendProjected(_ kind: UInt8, _ row: PgOutputRow, _ lsn: LSN, to buffer: RecordBuffer) {
        let captured = stream?.relations[row.relation]?.captured ?? table.entries[route.index].captured
        guard let projection = captured.projection else { return }
        let start = buffer.beginRow(kind, relation: RelationID(row.relation), lsn: lsn)
        var offset = 0
        // The decoder has measured the tuples: one, or an old and a new one.
        while offset < row.body.count {
            let tuple = UnsafeRawBufferPointer(rebasing: row.body[(offset + 1)...])
            guard let length = TupleView.measure(tuple) else { break }
            buffer.beginTuple(row.body[offset], columnCount: projection.count)
            let view = TupleView(count: row.columnCount, bytes: UnsafeRawBufferPointer(rebasing: tuple[2..<length]))
            Self.append(view, projection, to: buffer)
            offset += 1 + length
        }
        buffer.endRow(start)
    }

    /// `projection` is in the order of the columns.
    private static func append(_ tuple: TupleView, _ projection: [Int], to buffer: RecordBuffer) {
        var position = 0
        var column = 0
        for value in tuple {
            guard position < projection.count else { return }
            if projection[position] == column {
                switch value {
                case .null: buffer.appendColumn(TupleView.Kind.null)
                case .unchanged: buffer.appendColumn(TupleView.Kind.unchanged)
                case .text(let bytes): buffer.appendColumn(TupleView.Kind.text, bytes)
                case .binary(let bytes): buffer.appendColumn(TupleView.Kind.binary, bytes)
                }
                position += 1
            }
            column += 1
        }
    }
}

extension SkippedOperations {
    func skips(_ kind: UInt8) -> Bool {
        switch kind {
        case PgOutputKind.insert: contains(.insert)
        case PgOutputKind.update: contains(.update)
        case PgOutputKind.delete: contains(.delete)
        default: contains(.truncate)
        }
    }
}
