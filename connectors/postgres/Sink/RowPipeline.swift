internal import MillraceCore

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Single-row statements on their way to the server, many per round trip.
final class RowPipeline {
    private let connection: PostgresConnection
    private var isOpen = false
    /// Of each queued statement, the record that it belongs to; nil for our own.
    private var records: [(table: SinkTable, offset: Int)?] = []
    private var queuedBytes = 0
    private var nextName = 0
    /// What libpq gets: text that ends with a zero byte.
    private var text: UnsafeMutableRawPointer
    private var textCapacity = 4096
    private var values: [UnsafePointer<CChar>?] = []
    private var offsets: [Int] = []
    private var columns: [UnsafeRawPointer] = []
    private var oldColumns: [UnsafeRawPointer] = []

    /// More than this in flight is waited for: their answers must fit into the sockets' buffers.
    private static let statementLimit = 256
    private static let byteLimit = 1 << 20

    init(_ connection: PostgresConnection) {
        self.connection = connection
        text = .allocate(byteCount: textCapacity, alignment: 8)
    }

    deinit {
        text.deallocate()
    }

    /// A refused statement: which record it was for, unless it was our own.
    struct Refusal {
        var record: (table: SinkTable, offset: Int)?
        var error: PostgresError
    }

    var isFull: Bool { records.count >= RowPipeline.statementLimit || queuedBytes >= RowPipeline.byteLimit }

    /// Queues a statement of our own.
    func queue(_ statement: PreparedStatement, _ parameters: [String]) throws(PostgresError) {
        try open()
        var failure: PostgresError?
        PostgresConnection.withOptionalCStrings(parameters) { pointers in
            let buffer = UnsafeBufferPointer(start: pointers, count: parameters.count)
            statement.name.withUnsafeBufferPointer { name in
                guard let base = name.baseAddress else { return }
                failure = attempt { () throws(PostgresError) in try connection.sendPrepared(base, buffer, "write") }
            }
        }
        if let failure { throw failure }
        records.append(nil)
    }

    /// Prepares a statement of our own, at once.
    func prepare(_ sql: String, _ operation: String) throws(PostgresError) -> PreparedStatement {
        nextName += 1
        let statement = PreparedStatement(name: "millrace_\(nextName)", parameters: [])
        try connection.prepare("millrace_\(nextName)", sql, operation)
        return statement
    }

    /// Queues a change of one row. `old` identifies the row, `new` has the values.
    func queue(
        _ kind: StatementKind, _ table: SinkTable, _ target: TargetTable, old: UnsafeRawPointer?,
        new: UnsafeRawPointer?,
        offset: Int
    ) throws(PostgresError) {
        try open()
        guard let statement = try statement(kind, table, target, offset) else { return }
        if let new { locate(new, target.columnCount, &columns) }
        if let old { locate(old, target.columnCount, &oldColumns) }
        try bind(statement)
        try send(statement)
        records.append((table, offset))
    }

    private func send(_ statement: PreparedStatement) throws(PostgresError) {
        var failure: PostgresError?
        values.withUnsafeBufferPointer { values in
            statement.name.withUnsafeBufferPointer { name in
                guard let base = name.baseAddress else { return }
                failure = attempt { () throws(PostgresError) in try connection.sendPrepared(base, values, "write a row")
                }
            }
        }
        if let failure { throw failure }
    }

    /// Queues the deletion of the row with a key.
    func queueDelete(_ key: KeySpan, _ table: SinkTable, _ target: TargetTable, offset: Int) throws(PostgresError) {
        try open()
        guard let statement = try statement(.delete, table, target, offset) else { return }
        locate(key.start, target.key.count, &columns)
        // The statement's parameters are the key's columns in this order.
        try bindKey()
        try send(statement)
        records.append((table, offset))
    }

    /// Waits for all answers. `answered`: rows that each statement touched. The first statement that was refused.
    func finish() throws(PostgresError) -> Refusal? {
        guard isOpen else { return nil }
        isOpen = false
        let sent = records
        records.removeAll(keepingCapacity: true)
        queuedBytes = 0
        guard let failure = try connection.finishPipeline("write rows", answered: { _, _ in }) else { return nil }
        // Statements behind the refused one were not even prepared.
        for record in sent { record?.table.target?.prepared.removeAll() }
        var error = failure.error
        error.operation = "write a row"
        return Refusal(record: failure.index < sent.count ? sent[failure.index] : nil, error: error)
    }

    /// For closures of C pointers, which cannot throw typed errors.
    private func attempt(_ body: () throws(PostgresError) -> Void) -> PostgresError? {
        do { try body() } catch { return error }
        return nil
    }

    private func open() throws(PostgresError) {
        guard !isOpen else { return }
        try connection.enterPipeline("write rows")
        isOpen = true
    }

    // MARK: Statements

    private func statement(
        _ kind: StatementKind, _ table: SinkTable, _ target: TargetTable, _ offset: Int
    ) throws(PostgresError) -> PreparedStatement? {
        if let known = target.prepared[kind] { return known }
        guard let (sql, parameters) = target.statement(kind) else {
            target.prepared[kind] = .some(nil)
            return nil
        }
        nextName += 1
        let statement = PreparedStatement(name: "millrace_\(nextName)", parameters: parameters)
        try connection.sendPrepare("millrace_\(nextName)", sql, "prepare a statement")
        records.append((table, offset))
        target.prepared[kind] = .some(statement)
        return statement
    }

    private func locate(_ row: UnsafeRawPointer, _ count: Int, _ columns: inout [UnsafeRawPointer]) {
        columns.removeAll(keepingCapacity: true)
        var column = row
        for _ in 0..<count {
            columns.append(column)
            column = RowBytes.next(column)
        }
    }

    private func bind(_ statement: PreparedStatement) throws(PostgresError) {
        var needed = 0
        for parameter in statement.parameters {
            needed += size(parameter.isOld ? oldColumns[parameter.index] : columns[parameter.index])
        }
        reserve(needed)
        var place = text
        for parameter in statement.parameters {
            try append(parameter.isOld ? oldColumns[parameter.index] : columns[parameter.index], at: &place)
        }
    }

    private func bindKey() throws(PostgresError) {
        reserve(columns.reduce(0) { $0 + size($1) })
        var place = text
        for column in columns { try append(column, at: &place) }
    }

    private func size(_ column: UnsafeRawPointer) -> Int {
        let kind = RowBytes.kind(column)
        return kind == RowBytes.null || kind == RowBytes.unchanged ? 0 : RowBytes.length(column) + 1
    }

    private func reserve(_ byteCount: Int) {
        if byteCount > textCapacity {
            text.deallocate()
            textCapacity = byteCount
            text = .allocate(byteCount: textCapacity, alignment: 8)
        }
        queuedBytes += byteCount
        values.removeAll(keepingCapacity: true)
    }

    private func append(_ column: UnsafeRawPointer, at place: inout UnsafeMutableRawPointer) throws(PostgresError) {
        let kind = RowBytes.kind(column)
        if kind == RowBytes.null || kind == RowBytes.unchanged { return values.append(nil) }
        if kind != RowBytes.text { throw RowBytes.notText }
        let length = RowBytes.length(column)
        memcpy(place, column + 5, length)
        (place + length).storeBytes(of: 0, as: UInt8.self)
        values.append(UnsafePointer(place.assumingMemoryBound(to: CChar.self)))
        place += length + 1
    }
}

extension TargetTable {
    /// The SQL of a single-row statement; nil where it would do nothing.
    func statement(_ kind: StatementKind) -> Statement? {
        switch kind {
        case .insert: return insertStatement(onConflict: false)
        case .upsert: return insertStatement(onConflict: true)
        case .update(let unchanged):
            let set = (key.isEmpty ? written : nonKey).filter { !unchanged.contains($0) }
            return key.isEmpty ? keylessUpdateStatement(set: set) : updateStatement(set: set)
        case .updateKey(let unchanged):
            return updateStatement(set: written.filter { !unchanged.contains($0) })
        case .delete:
            return key.isEmpty ? keylessDeleteStatement() : deleteStatement()
        }
    }
}
