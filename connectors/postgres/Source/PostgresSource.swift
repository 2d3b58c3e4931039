internal import Logging
package import MillraceCore

/// Reads one PostgreSQL database: full load, then the stream of its slot, over as many connections as it takes.
package final class PostgresSource: Source {
    let options: SourceOptions
    let logger: Logger
    let control = SourceControl()
    let board: SourceStatusBoard

    package init(_ options: SourceOptions, _ context: TaskContext) {
        self.options = options
        self.logger = context.logger
        board = SourceStatusBoard(context.logger)
    }

    package func run(into output: any SourceOutput) throws(ConnectorError) {
        var run = try SourceRun(self, output)
        let heartbeat = HeartbeatQuery(options, logger)
        defer { heartbeat?.stop() }
        do {
            try run.untilStopped()
        } catch {
            // Whoever asked for the stop need not hear of it.
            if error.kind != .stopped { throw error }
        }
    }

    package func stop() {
        control.stop()
    }

    package func status() -> SourceStatus {
        board.read()
    }
}

/// One call of `run`: connects, decides how to begin, loads, streams, and does it again after errors that may pass.
struct SourceRun: ~Copyable {
    let options: SourceOptions
    let logger: Logger
    let control: SourceControl
    let board: SourceStatusBoard
    let output: any SourceOutput
    let feed: ReplicationFeed

    var position: SourcePosition
    /// Commit LSN up to which transactions are in the log.
    var lastCommitLSN: LSN
    /// Kept over reconnects: descriptions to compare with, and counters.
    var table = RelationTable()
    var counts = SourceCounts()
    var hasEnsuredPublication = false
    /// `snapshot.mode=always` loads once per start, not at every reconnect.
    var hasLoaded = false
    var catchUpLimits: CatchUpLimits
    /// The next session asks for transactions at their commit only.
    var needsWholeTransactions = false
    private var backoff = Backoff()
    private var slotRetries = 0

    init(_ source: borrowing PostgresSource, _ output: any SourceOutput) throws(ConnectorError) {
        options = source.options
        logger = source.logger
        control = source.control
        board = source.board
        self.output = output
        feed = ReplicationFeed(output: output, control: source.control, board: source.board)
        catchUpLimits = CatchUpLimits(source.options.catchUp)
        let recovered = output.recovered
        let state = try SourceState.decode(recovered.sourceState)
        guard state != nil || recovered.lastCommitLSN == nil else {
            throw ConnectorError(
                .consistency, code: "state_unreadable", "the change log holds transactions but no state of its source",
                hint: "delete the connector's offsets (DELETE /connectors/{name}/offsets, while it is stopped) to load "
                    + "everything again")
        }
        position = SourcePosition(state: state, logEndLSN: recovered.lastEndLSN)
        lastCommitLSN = recovered.lastCommitLSN ?? .zero
        if let state, state.phase != .snapshot { recall(recovered.relations.values, state) }
    }

    mutating func untilStopped() throws(ConnectorError) {
        while !control.isStopped {
            do {
                // As long as streaming ends because so much waits that it is better drained in another way.
                while try cycle() == .fellBehind {}
                return
            } catch {
                guard error.kind == .transient else { throw error }
                if error.code == TransactionAssembler.incompleteStream { needsWholeTransactions = true }
                try waitForRetry(error)
            }
        }
    }

    private mutating func waitForRetry(_ error: ConnectorError) throws(ConnectorError) {
        board.update { status in
            status.phase = .reconnecting
            status.lastError = error
        }
        var pause = backoff.next()
        if error.code == "slot_active" {
            guard slotRetries < options.slotMaxRetries else { throw error }
            slotRetries += 1
            pause = min(pause, options.slotRetryDelay)
        }
        logger.warning(
            "the source is not available, trying again",
            metadata: ["error": "\(error.description)", "pause": "\(pause)"])
        guard control.pause(for: pause) else { throw .stopped }
    }

    /// From a connect to its end, which is a stop as a rule, or that there is nothing more to do.
    private mutating func cycle() throws(ConnectorError) -> StreamingSession.End {
        if position.state == nil { board.update { $0.phase = .starting } }
        let replication = try connectReplication()
        let system = try postgres { () throws(PostgresError) in try replication.identifySystem() }
        board.update { $0.serverLSN = max($0.serverLSN, system.flushLSN) }
        let catalog = try postgres { () throws(PostgresError) in try options.connect() }
        control.watch(catalog)
        let slot = try postgres { () throws(PostgresError) in try Slot.find(options.slotName, catalog) }
        let mode = hasLoaded && options.snapshotMode == .always ? SnapshotMode.initial : options.snapshotMode
        let plan = try SourceStartPlan.decide(mode: mode, position: position, slot: slot, system: system) {
            () throws(ConnectorError) in
            try postgres { () throws(PostgresError) in try replication.timelineHistory(system.timeline) }
        }
        switch plan {
        case .nothing:
            board.update { $0.phase = .finished }
            return .stopped
        case .resume(let from):
            try ensurePublication(catalog)
            try keepTimeline(system)
            return try stream(replication, from: from)
        case .streamOnly(let from):
            try ensurePublication(catalog)
            let start = try beginStreamOnly(from: from, system)
            return try stream(replication, from: start)
        case .load(let loadSlot, let dropsSlot):
            guard control.pause(for: options.snapshotDelay) else { throw .stopped }
            try ensurePublication(catalog)
            let start = try load(loadSlot, dropsSlot: dropsSlot, system, catalog)
            guard loadSlot != .none else {
                board.update { $0.phase = .finished }
                return .stopped
            }
            guard control.pause(for: options.streamingDelay) else { throw .stopped }
            // The load may have taken hours: a fresh connection, for which nobody has counted idle time.
            return try stream(try connectReplication(), from: start)
        }
    }

    // MARK: Streaming

    private mutating func stream(
        _ replication: ReplicationConnection, from begin: LSN
    ) throws(ConnectorError) -> StreamingSession.End {
        let start = try catchUp(replication, from: begin)
        let serverEnd = try postgres { () throws(PostgresError) in try replication.identifySystem().flushLSN }
        guard let state = position.state else { return .stopped }
        let timeout = try postgres { () throws(PostgresError) in try replication.senderTimeout() }
        let interval = timeout.map { min(options.statusUpdateInterval, $0 / 3) } ?? options.statusUpdateInterval
        do {
            try replication.startStreaming(
                slot: options.slotName, publication: options.publicationName, from: start,
                wholeTransactions: needsWholeTransactions)
            // Another session may meet the same again, and will come here again.
            needsWholeTransactions = false
        } catch {
            throw error.streamingFailure(options, position: start)
        }
        slotRetries = 0
        let link = ReplicationLink(
            replication,
            StandbyFeedback(
                interval: interval, receiveTimeout: options.receiveTimeout, start: start, now: monotonicNanoseconds()))
        feed.link = link
        defer { feed.link = nil }
        board.update { status in
            status.phase = .streaming
            status.lastError = nil
        }
        logger.info("streaming", metadata: ["slot": "\(options.slotName)", "from": "\(start)"])
        let describer = RelationDescriber(options, didConnect: { [control] in control.watch($0) })
        var assembler = makeAssembler { (message, previous) throws(ConnectorError) in
            try describer.describe(message, previous: previous)
        }
        assembler.decodedFrom = start
        var session = StreamingSession(
            options: options, link: link, output: output, control: control, board: board,
            backlog: makeBacklog(start, serverEnd: max(serverEnd, start)), assembler: assembler, state: state)
        let end: StreamingSession.End
        do {
            end = try session.run()
        } catch {
            if session.hasReceived { backoff = Backoff() }
            let state = session.state
            try keep(&session.assembler, state)
            throw error
        }
        try session.close()
        let last = session.state
        try keep(&session.assembler, last)
        if end == .stopped && options.slotDropOnStop { try dropSlotOnStop() }
        return end
    }

    func makeAssembler(
        _ describe: @escaping (PgOutputRelation, CapturedRelation?) throws(ConnectorError) -> CapturedRelation
    ) -> TransactionAssembler {
        TransactionAssembler(
            feed: feed, lastCommitLSN: lastCommitLSN, table: table, counts: counts,
            messagePrefixes: options.messagePrefixes, heartbeatPrefix: options.heartbeatPrefix ?? "",
            skipped: options.skippedOperations, describe: describe)
    }

    /// After the end of a session, good or bad: forgets what the server will send again, and goes on behind what is
    /// durable.
    mutating func keep(_ assembler: inout TransactionAssembler, _ state: SourceState) throws(ConnectorError) {
        try assembler.rollBack()
        table = assembler.table
        counts = assembler.counts
        board.set(counts)
        while !(try output.waitUntilDrained(timeout: .seconds(1))) {
            // A stop does not wait for a stuck disk: nothing that is not durable was acknowledged.
            if control.isStopped { break }
        }
        lastCommitLSN = assembler.lastCommitLSN
        position.state = state
        position.logEndLSN = max(output.durableLSN, position.logEndLSN ?? .zero)
    }

    /// `slot.drop.on.stop`: what comes after this stop will be missing, so the next start must load again. Noted before
    /// the slot goes.
    private mutating func dropSlotOnStop() throws(ConnectorError) {
        guard var state = position.state else { return }
        state.phase = .snapshot
        state.slotIsOurs = false
        try store(state)
        try postgres { () throws(PostgresError) in
            let connection = try ReplicationConnection(options.connection)
            try connection.dropSlot(options.slotName)
        }
        logger.warning("dropped the slot", metadata: ["slot": "\(options.slotName)"])
    }

    private mutating func keepTimeline(_ system: SystemIdentity) throws(ConnectorError) {
        guard var state = position.state, state.timeline != system.timeline || state.slotName != options.slotName
        else { return }
        if state.timeline != system.timeline {
            logger.notice(
                "the server was promoted",
                metadata: ["before": "\(state.timeline)", "timeline": "\(system.timeline)"])
        }
        state.timeline = system.timeline
        if state.slotName != options.slotName {
            state.slotName = options.slotName
            state.slotIsOurs = false
        }
        state.publicationName = options.publicationName
        try store(state)
    }

    // MARK: Steps

    private mutating func ensurePublication(_ catalog: PostgresConnection) throws(ConnectorError) {
        guard !hasEnsuredPublication else { return }
        let publication = try Publication.ensure(options, catalog)
        hasEnsuredPublication = true
        for warning in publication.warnings { logger.warning("publication", metadata: ["warning": "\(warning)"]) }
    }

    func connectReplication() throws(ConnectorError) -> ReplicationConnection {
        guard !control.isStopped else { throw .stopped }
        let replication = try postgres { () throws(PostgresError) in try ReplicationConnection(options.connection) }
        control.watch(replication.connection)
        return replication
    }

    /// Writes the source's state and waits until it is durable.
    mutating func store(_ state: SourceState) throws(ConnectorError) {
        let buffer = output.makeBuffer()
        var state = state
        state.stale = counts.stale
        table.state = state
        state.encoded().withUnsafeBytes { buffer.sourceState($0) }
        while !(try output.submit(buffer, timeout: .milliseconds(200))) {
            if control.isStopped { throw .stopped }
        }
        while !(try output.waitUntilDrained(timeout: .milliseconds(200))) {
            if control.isStopped { throw .stopped }
        }
        position.state = state
    }

    /// Empties the log, if there is anything in it.
    mutating func resetLog() throws(ConnectorError) {
        if position.state != nil || position.logEndLSN != nil { try output.reset() }
        position = SourcePosition()
        lastCommitLSN = .zero
        table = RelationTable()
        counts = SourceCounts()
        board.set(counts)
    }

    func postgres<Result: ~Copyable>(
        _ body: () throws(PostgresError) -> Result
    ) throws(ConnectorError) -> Result {
        do {
            return try body()
        } catch {
            throw error.connectorError
        }
    }
}

/// Growing pauses between attempts: doubled each time, with a random part so that many sources do not come back at once.
struct Backoff {
    private var milliseconds = 250.0

    mutating func next() -> Duration {
        milliseconds = min(milliseconds * 2, 30_000)
        return .milliseconds(Int64(milliseconds * Double.random(in: 0.5...1)))
    }
}
