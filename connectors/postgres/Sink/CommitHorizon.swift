internal import MillraceCore

/// How far the target has the sink's commits on disk.
///
/// Commits do not wait for the target's disk (`synchronous_commit = off`, as in native replication): rows are visible at
/// once, and a crash of the target takes back the last commits, the cursor among them, always from the end. So nothing goes
/// wrong as long as the log is kept from what is on disk there; that is what is found out here, by comparing positions in
/// the target's WAL.
struct CommitHorizon {
    /// Everything up to here is on disk.
    private(set) var durable: Cursor?
    /// What was committed when WAL had been written up to `lsn`.
    private var awaited: (cursor: Cursor, lsn: LSN)?
    private var lastAsked = ContinuousClock.now
    /// False: commits wait for the disk, and are durable when they return.
    let isAsynchronous: Bool

    /// While changes come without a pause. The server's WAL writer works every 200 ms.
    private static let askInterval: Duration = .milliseconds(100)

    /// To be called when nothing is under way: makes sure of commits that an earlier session did not wait for, and lets
    /// those of this one not wait. Where the target has synchronous standbys, they go on waiting for those; where it does
    /// not say how far its WAL is, for its disk.
    init(_ ledger: SinkLedger) throws(PostgresError) {
        let standbys = try ledger.connection.execute(
            "SELECT pg_catalog.current_setting('synchronous_standby_names')", "ask for synchronous standbys")
        let tellsPositions = try Self.tellsPositions(ledger.connection)
        isAsynchronous = tellsPositions && standbys.scalar?.isEmpty == true
        try ledger.settle()
        if isAsynchronous {
            try ledger.connection.execute("SET synchronous_commit = off", "let commits not wait for the disk")
        }
    }

    private static func tellsPositions(_ connection: PostgresConnection) throws(PostgresError) -> Bool {
        do {
            return try positions(connection) != nil
        } catch {
            guard error.isRefusal else { throw error }
            return false
        }
    }

    /// Everything that is committed when the session begins is on disk.
    mutating func begin(at cursor: Cursor?) {
        durable = cursor
    }

    /// To be called after commits: `committed` is behind everything that is committed.
    mutating func note(_ committed: Cursor?, _ connection: PostgresConnection) throws(PostgresError) {
        guard let committed, committed != durable else { return }
        guard isAsynchronous else { return durable = committed }
        guard ContinuousClock.now - lastAsked >= Self.askInterval else { return }
        try ask(committed, connection)
    }

    /// Makes sure of everything that is committed, unless that is on disk anyway.
    mutating func settle(_ committed: Cursor?, _ ledger: SinkLedger) throws(PostgresError) {
        guard let committed, committed != durable else { return }
        if isAsynchronous {
            try ask(committed, ledger.connection)
            if committed == durable { return }
            try ledger.settle()
        }
        durable = committed
        awaited = nil
    }

    /// Asks how far WAL is written, and how far it is on disk: what was committed is before the one place, what is durable
    /// before the other.
    private mutating func ask(_ committed: Cursor, _ connection: PostgresConnection) throws(PostgresError) {
        lastAsked = .now
        guard let (written, flushed) = try Self.positions(connection) else { return }
        if flushed >= written {
            durable = committed
            awaited = nil
            return
        }
        if let awaited, flushed >= awaited.lsn {
            durable = awaited.cursor
            self.awaited = nil
        }
        if awaited == nil { awaited = (committed, written) }
    }

    /// How far WAL is written, and how far it is on disk.
    private static func positions(
        _ connection: PostgresConnection
    ) throws(PostgresError) -> (written: LSN, flushed: LSN)? {
        let row = try connection.execute(
            "SELECT pg_catalog.pg_current_wal_insert_lsn(), pg_catalog.pg_current_wal_flush_lsn()",
            "ask how far the target's WAL is on disk"
        ).rows.first
        guard let row, row.count == 2, let written = row[0].flatMap({ LSN($0) }),
            let flushed = row[1].flatMap({ LSN($0) })
        else { return nil }
        return (written, flushed)
    }
}
