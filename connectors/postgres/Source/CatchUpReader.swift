internal import MillraceCore

/// One session that decodes a backlog on the server, by calls of `pg_logical_slot_get_binary_changes`.
///
/// The server decodes a whole call before it returns the first row, and then no longer uses the slot. A temporary copy of
/// the slot is therefore read, one for each session: while one session sends what it has decoded, another decodes what
/// comes next; and that a call moves the copy on says nothing about what is durable here. The slot itself is moved by
/// `SlotAdvance`, and only to what is fsynced. A copy ends with its session.
final class CatchUpReader {
    /// From `start` on, transactions whose commit record begins before `end`.
    struct Range: Hashable {
        var start: LSN
        var end: LSN
        var rowLimit: Int
    }

    /// Where a call has got to.
    struct Progress: Hashable {
        /// Everything before this was decoded.
        var end: LSN
        /// The server reads from here the next time.
        var restart: LSN
    }

    let connection: PostgresConnection
    private let slot: String
    private let options: SourceOptions
    private var reached: LSN
    private var copy = CatchUpCopy()
    private(set) var isBusy = false

    static let operation = "read the backlog of the replication slot"
    /// Beyond it, the server keeps decoded rows in temporary files: more would not make it faster.
    private static let session = "-c work_mem=4MB"

    init(_ options: SourceOptions) throws(PostgresError) {
        var parameters = options.connection
        parameters["options"] = (parameters["options"].map { $0 + " " } ?? "") + Self.session
        connection = try PostgresConnection(parameters)
        self.options = options
        slot = "millrace_catchup_\(connection.backendPID)_\(UInt32.random(in: 0...UInt32.max))"
        // Explicitly temporary, or a crash would leave behind what keeps WAL for ever.
        let result = try connection.execute(
            "SELECT lsn FROM pg_catalog.pg_copy_logical_replication_slot($1, $2, true)", [options.slotName, slot],
            "copy the replication slot \(options.slotName)")
        reached = result.scalar.flatMap { LSN($0) } ?? .zero
    }

    /// Sends the call for `range`, without waiting.
    func start(_ range: Range) throws(PostgresError) {
        copy = CatchUpCopy()
        isBusy = true
        try connection.send(
            Self.commands(
                slot: slot, publication: options.publicationName, range: range, reached: reached,
                serverVersion: connection.serverVersion), Self.operation)
        reached = range.start
    }

    /// Moves the copy to the beginning of the range, if it is not there yet: that decodes nothing, and is cheap. Then the
    /// call, then where it ended.
    static func commands(
        slot: String, publication: String, range: Range, reached: LSN, serverVersion: Int
    ) -> String {
        let name = Quoting.literal(slot)
        let options = ReplicationConnection.pluginOptions(publication: publication, serverVersion: serverVersion)
            .map { "\(Quoting.literal($0.name)), \(Quoting.literal($0.value))" }.joined(separator: ", ")
        var sql = ""
        if range.start > reached {
            sql += "SELECT pg_catalog.pg_replication_slot_advance(\(name), '\(range.start)'); "
        }
        sql += "COPY (SELECT lsn, data FROM pg_catalog.pg_logical_slot_get_binary_changes("
        sql += "\(name), '\(range.end)', \(range.rowLimit), \(options))) TO STDOUT (FORMAT binary); "
        sql += "SELECT confirmed_flush_lsn, restart_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = \(name)"
        return sql
    }

    /// Waits for the first row.
    func awaitRows() throws(PostgresError) {
        while true {
            switch try connection.nextAnswer(Self.operation) {
            case .copyOut: return
            case .result: continue
            case .end: throw Self.unexpected
            }
        }
    }

    /// The next rows; false at their end.
    @inline(__always)
    func next(
        _ body: (LSN, UnsafeRawBufferPointer) throws(ConnectorError) -> Void
    ) throws(CatchUpFailure) -> Bool {
        let message: CopyMessage?
        do {
            message = try connection.nextCopyMessage(Self.operation)
        } catch {
            throw .server(error)
        }
        guard let message else { return false }
        defer { message.free() }
        do {
            try copy.read(message.bytes, body)
        } catch {
            throw .ours(error)
        }
        return true
    }

    /// What the server says behind the last row.
    func finish() throws(PostgresError) -> Progress {
        var progress: Progress?
        while true {
            switch try connection.nextAnswer(Self.operation) {
            case .result(let result):
                guard let row = result.rows.first, row.count == 2, let end = row[0].flatMap({ LSN($0) }) else {
                    continue
                }
                progress = Progress(end: end, restart: row[1].flatMap { LSN($0) } ?? end)
            case .copyOut: throw Self.unexpected
            case .end:
                guard let progress else { throw Self.unexpected }
                isBusy = false
                reached = max(progress.end, reached)
                return progress
            }
        }
    }

    private static var unexpected: PostgresError {
        PostgresError(sqlState: "08P01", message: "unexpected answer", operation: operation)
    }
}

/// Why catching up ended before its time.
enum CatchUpFailure: Error {
    /// The server or the connection to it.
    case server(PostgresError)
    /// The log, a stop, or messages that are not pgoutput.
    case ours(ConnectorError)
}

/// Moves the slot on while other things go on.
final class SlotAdvance {
    private let connection: PostgresConnection
    private let slot: String
    private var pending: LSN?
    /// Where the slot stands.
    private(set) var reached = LSN.zero

    static let operation = "advance the replication slot"

    init(_ connection: PostgresConnection, slot: String) {
        self.connection = connection
        self.slot = slot
    }

    /// Everything before `lsn` must be durable here. One at a time: waits for the one before.
    func advance(to lsn: LSN) throws(PostgresError) {
        try wait()
        guard lsn > reached else { return }
        let sql = "SELECT pg_catalog.pg_replication_slot_advance(\(Quoting.literal(slot)), '\(lsn)')"
        try connection.send(sql, Self.operation)
        pending = lsn
    }

    /// Waits until the slot stands where it was told to.
    func wait() throws(PostgresError) {
        guard let lsn = pending else { return }
        pending = nil
        while true {
            if case .end = try connection.nextAnswer(Self.operation) { break }
        }
        reached = lsn
    }
}
