internal import Logging
internal import MillraceCore

/// Drains a large backlog: the same messages as the walsender would send, decoded by calls of
/// `pg_logical_slot_get_binary_changes` in a few sessions and read as rows of a COPY. The walsender sends one message at a
/// time, to a socket that has to be read at once, and that is most of what it does.
///
/// The backlog is cut into ranges of WAL. Each session decodes a range while another one's rows go into the log, in the
/// order of the ranges. Behind each range the source's state is stored with the range's end, made durable, and then the
/// slot is moved there. kill -9 before the state is durable: the log ends somewhere in the range, the slot is where it was,
/// and what the log has is dropped when it comes again. Behind it: the slot moves to what the state says, or does not.
///
/// Runs on the source's thread.
struct CatchUpSession: ~Copyable {
    let options: SourceOptions
    let output: any SourceOutput
    let control: SourceControl
    let board: SourceStatusBoard
    let logger: Logger
    let readers: [CatchUpReader]
    let advance: SlotAdvance
    let relations: CatchUpRelations
    /// End of the server's WAL.
    let look: () throws(PostgresError) -> LSN
    var assembler: TransactionAssembler
    var state: SourceState
    var sizing: CatchUpSizing

    private var next: LSN
    private var horizon: LSN
    private var underway: [(reader: CatchUpReader, range: CatchUpReader.Range)] = []
    private var lastPublished: UInt64 = 0
    /// Up to here all is in the log.
    private(set) var reached: LSN
    private(set) var counts = Counts()

    struct Counts {
        var calls = 0
        var rows = 0
        var bytes: UInt64 = 0
    }

    /// How it ended.
    enum Outcome {
        /// What is left is little.
        case caughtUp
        /// A transaction is larger than a call may be: the walsender sends it as it goes.
        case largeTransaction
        /// A transaction that has been open for long makes the server read the same WAL in every call.
        case longTransaction
    }

    private static let publishInterval: UInt64 = 200_000_000
    /// Rows between two looks at the clock.
    private static let publishRows = 4_096
    /// So much WAL may be read again by each call.
    private static let largestReread: UInt64 = 2 << 30

    init(
        options: SourceOptions, output: any SourceOutput, control: SourceControl, board: SourceStatusBoard,
        logger: Logger, readers: [CatchUpReader], advance: SlotAdvance, relations: CatchUpRelations,
        start: LSN, horizon: LSN, budget: UInt64, look: @escaping () throws(PostgresError) -> LSN,
        assembler: consuming TransactionAssembler, state: SourceState
    ) {
        self.options = options
        self.output = output
        self.control = control
        self.board = board
        self.logger = logger
        self.readers = readers
        self.advance = advance
        self.relations = relations
        self.look = look
        self.assembler = assembler
        self.state = state
        self.horizon = horizon
        sizing = CatchUpSizing(budget: budget / UInt64(max(readers.count, 1)))
        next = start
        reached = start
    }

    mutating func run() throws(CatchUpFailure) -> Outcome {
        while true {
            try launch()
            if underway.isEmpty {
                try refreshHorizon()
                guard horizon.distance(from: next) > options.catchUp.leaveBytes else { break }
                continue
            }
            let (reader, range) = underway.removeFirst()
            let progress = try consume(reader, range)
            if progress.end < range.end {
                // The limit of rows came first: the same session goes on where it stopped.
                let rest = CatchUpReader.Range(start: progress.end, end: range.end, rowLimit: sizing.rowLimit)
                try server { () throws(PostgresError) in try reader.start(rest) }
                underway.insert((reader, rest), at: 0)
            }
            // So that the server has something to do while the disk has.
            try launch()
            if let outcome = try end(range, progress) {
                try server { () throws(PostgresError) in try advance.wait() }
                return outcome
            }
        }
        try server { () throws(PostgresError) in try advance.wait() }
        return .caughtUp
    }

    /// What they decode now is of no use any more.
    func leaveReaders() {
        for reader in readers where reader.isBusy { reader.connection.interrupt() }
    }

    /// Gives ranges to the sessions that have none.
    private mutating func launch() throws(CatchUpFailure) {
        for reader in readers where !reader.isBusy {
            guard horizon.distance(from: next) > options.catchUp.leaveBytes else { return }
            let range = CatchUpReader.Range(
                start: next, end: sizing.rangeEnd(from: next, to: horizon, readers: readers.count - underway.count),
                rowLimit: sizing.rowLimit)
            try server { () throws(PostgresError) in try reader.start(range) }
            underway.append((reader, range))
            next = range.end
        }
    }

    private mutating func refreshHorizon() throws(CatchUpFailure) {
        let end = try server { () throws(PostgresError) in try look() }
        horizon = max(horizon, end)
        relations.horizon = horizon
        board.update { $0.serverLSN = max($0.serverLSN, end) }
    }

    // MARK: One call

    private mutating func consume(
        _ reader: CatchUpReader, _ range: CatchUpReader.Range
    ) throws(CatchUpFailure) -> CatchUpReader.Progress {
        relations.rangeEnd = range.end
        assembler.decodedFrom = range.start
        try server { () throws(PostgresError) in try reader.awaitRows() }
        var rows = 0
        var bytes: UInt64 = 0
        while try reader.next({ (lsn, message) throws(ConnectorError) in
            rows += 1
            bytes &+= UInt64(message.count)
            try assembler.take(message, lsn: lsn)
        }) {
            if rows % Self.publishRows == 0 { try breathe() }
        }
        let progress = try server { () throws(PostgresError) in try reader.finish() }
        counts.calls += 1
        counts.rows += rows
        counts.bytes &+= bytes
        sizing.note(rows: rows, bytes: bytes, wal: progress.end.distance(from: range.start))
        return progress
    }

    private mutating func breathe() throws(CatchUpFailure) {
        if control.isStopped { throw .ours(.stopped) }
        let now = monotonicNanoseconds()
        guard now &- lastPublished >= Self.publishInterval else { return }
        lastPublished = now
        publish()
    }

    /// Behind a call: all of it becomes durable, then the slot may follow.
    private mutating func end(
        _ range: CatchUpReader.Range, _ progress: CatchUpReader.Progress
    ) throws(CatchUpFailure) -> Outcome? {
        // What is not committed yet comes again, whole, with the next range.
        let unfinished = assembler.discardStreams()
        do {
            try makeDurable(progress.end)
        } catch {
            throw .ours(error)
        }
        reached = max(reached, progress.end)
        try server { () throws(PostgresError) in try advance.advance(to: reached) }
        publish()
        logger.debug(
            "caught up to",
            metadata: ["lsn": "\(reached)", "of": "\(horizon)", "rows": "\(counts.rows)", "calls": "\(counts.calls)"])
        if unfinished > 0, progress.end < range.end || unfinished > sizing.budget / 4 { return .largeTransaction }
        if progress.end.distance(from: progress.restart)
            > max(Self.largestReread, 4 &* progress.end.distance(from: range.start))
        {
            return .longTransaction
        }
        return nil
    }

    private mutating func makeDurable(_ end: LSN) throws(ConnectorError) {
        guard assembler.isBetweenTransactions else {
            throw ConnectorError(
                .protocolViolation, code: "malformed_message", "a call ended at \(end) inside a transaction")
        }
        state.confirmedLSN = max(state.confirmedLSN, end)
        assembler.append(state: state.encoded())
        try assembler.handOver()
        let begun = monotonicNanoseconds()
        while !(try output.waitUntilDrained(timeout: .milliseconds(200))) {
            if control.isStopped { throw .stopped }
            if monotonicNanoseconds() &- begun >= ReplicationFeed.patienceWithCalls { throw .logBusy }
        }
    }

    private func publish() {
        board.set(assembler.counts)
        let acknowledged = advance.reached
        let reached = max(reached, assembler.lastCommitLSN)
        board.update { status in
            status.receivedLSN = max(status.receivedLSN, reached)
            status.acknowledgedLSN = max(status.acknowledgedLSN, acknowledged)
        }
    }

    // MARK: Errors

    private func server<Result>(
        _ body: () throws(PostgresError) -> Result
    ) throws(CatchUpFailure) -> Result {
        do {
            return try body()
        } catch {
            throw .server(error)
        }
    }
}

extension LSN {
    /// Bytes from `other` to here; zero if it is further.
    func distance(from other: LSN) -> UInt64 {
        value > other.value ? value - other.value : 0
    }
}

/// Each call begins with a description of every relation that it has rows of, most of them known already. Asking the catalog
/// about thousands of tables in every call would take longer than their rows.
///
/// The catalog shows what DDL had done when it was asked, at some place in the WAL or later. A description in the same words
/// that comes from before that place has nothing new to say: any DDL up to there was seen, and one behind it is announced by
/// a description of its own.
final class CatchUpRelations {
    private struct Known {
        var message: PgOutputRelation
        var captured: CapturedRelation
        var askedAt: LSN
    }

    private let describer: RelationDescriber
    private var known: [UInt32: Known] = [:]
    /// An end of the server's WAL that was seen before now.
    var horizon: LSN
    /// No message of the current range is about a later place.
    var rangeEnd = LSN.zero

    init(_ describer: RelationDescriber, horizon: LSN) {
        self.describer = describer
        self.horizon = horizon
    }

    func describe(
        _ message: PgOutputRelation, previous: CapturedRelation?
    ) throws(ConnectorError) -> CapturedRelation {
        if let known = known[message.oid], known.message == message, rangeEnd <= known.askedAt { return known.captured }
        let captured = try describer.describe(message, previous: previous)
        known[message.oid] = Known(message: message, captured: captured, askedAt: horizon)
        return captured
    }
}
