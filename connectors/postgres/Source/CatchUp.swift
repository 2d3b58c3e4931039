internal import Logging
internal import MillraceCore

/// When and how large backlogs are drained by calls instead of through the walsender.
package struct CatchUpOptions: Hashable, Sendable {
    /// Backlogs of at least so many bytes of WAL.
    package var thresholdBytes: UInt64
    /// Temporary disk that all sessions together may use on the server.
    package var temporaryBytes: UInt64
    /// Sessions that decode at the same time; none: everything comes through the walsender.
    package var sessions: Int

    package init(thresholdBytes: UInt64, temporaryBytes: UInt64, sessions: Int) {
        self.thresholdBytes = thresholdBytes
        self.temporaryBytes = temporaryBytes
        self.sessions = sessions
    }

    /// What is left for the walsender: what it sends faster than a call is set up.
    var leaveBytes: UInt64 { min(thresholdBytes / 4, 16 << 20) }
}

/// What catching up has learnt in this run, over reconnects.
struct CatchUpLimits {
    /// Less than the options say, once the server's `temp_file_limit` was in the way.
    var temporaryBytes: UInt64
    /// Not before this place: what lies before it has to come through the walsender.
    var notBefore = LSN.zero

    /// With less than this a call is not worth its while.
    static let leastTemporaryBytes: UInt64 = 2 << 20

    init(_ options: CatchUpOptions) {
        temporaryBytes = options.temporaryBytes
    }
}

extension SourceRun {
    /// Drains the backlog, if it is large; returns where streaming begins. Whatever the server refuses is left to the
    /// walsender, which can either do it or says what is wrong in the way that everybody knows.
    mutating func catchUp(_ replication: ReplicationConnection, from start: LSN) throws(ConnectorError) -> LSN {
        guard let state = position.state, options.catchUp.sessions > 0, !needsWholeTransactions else { return start }
        guard catchUpLimits.temporaryBytes >= CatchUpLimits.leastTemporaryBytes else { return start }
        let look = { () throws(PostgresError) in try replication.identifySystem().flushLSN }
        let horizon = try postgres(look)
        guard start >= catchUpLimits.notBefore, horizon.distance(from: start) >= options.catchUp.thresholdBytes
        else { return start }
        let readers: [CatchUpReader]
        let slotConnection: PostgresConnection
        do throws(PostgresError) {
            slotConnection = try options.connect()
            control.watch(slotConnection)
            // Its reader waits for the standbys that it is to survive on; readers of copies would not.
            guard try !isFailoverSlot(slotConnection) else { return start }
            readers = try makeReaders()
        } catch {
            try leaveToWalsender(error, start)
            return start
        }
        board.update { status in
            status.phase = .catchingUp
            status.lastError = nil
        }
        logger.info(
            "catching up",
            metadata: [
                "from": "\(start)", "to": "\(horizon)", "bytes": "\(horizon.distance(from: start))",
                "sessions": "\(readers.count)",
            ])
        let begun = monotonicNanoseconds()
        let relations = CatchUpRelations(
            RelationDescriber(options, didConnect: { [control] in control.watch($0) }), horizon: horizon)
        var session = CatchUpSession(
            options: options, output: output, control: control, board: board, logger: logger, readers: readers,
            advance: SlotAdvance(slotConnection, slot: options.slotName), relations: relations, start: start,
            horizon: horizon, budget: catchUpLimits.temporaryBytes, look: look,
            assembler: makeAssembler { (message, previous) throws(ConnectorError) in
                try relations.describe(message, previous: previous)
            }, state: state)
        try drain(&session)
        let seconds = Double(monotonicNanoseconds() &- begun) / 1e9
        logger.info(
            "caught up",
            metadata: [
                "lsn": "\(position.end)", "rows": "\(session.counts.rows)", "bytes": "\(session.counts.bytes)",
                "calls": "\(session.counts.calls)", "seconds": "\(seconds)",
            ])
        return max(position.end, start)
    }

    /// Watches how much waits while we stream; the connection for it is opened when there is something to ask.
    func makeBacklog(_ start: LSN, serverEnd: LSN) -> StreamingBacklog {
        let options = options
        var connection: PostgresConnection?
        let notBefore =
            catchUpLimits.temporaryBytes < CatchUpLimits.leastTemporaryBytes
            ? LSN(UInt64.max) : max(catchUpLimits.notBefore, LSN(start.value &+ options.catchUp.thresholdBytes))
        return StreamingBacklog(
            options.catchUp, start: start, serverEnd: serverEnd, notBefore: notBefore, now: monotonicNanoseconds()
        ) {
            // No answer is no reason to end the stream: if the server is gone, that will show itself.
            if connection?.isBroken ?? true { connection = try? options.connect() }
            let end = try? connection?.execute(
                "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn() "
                    + "ELSE pg_catalog.pg_current_wal_flush_lsn() END", "look up the end of WAL")
            return end?.scalar.flatMap { LSN($0) }
        }
    }

    private func isFailoverSlot(_ connection: PostgresConnection) throws(PostgresError) -> Bool {
        guard connection.serverVersion >= 170_000 else { return false }
        let sql = "SELECT failover FROM pg_catalog.pg_replication_slots WHERE slot_name = $1"
        return try connection.execute(sql, [options.slotName], "look up the replication slot").scalar == "t"
    }

    /// Copies of the slot need free slots: as many sessions as there are.
    private func makeReaders() throws(PostgresError) -> [CatchUpReader] {
        var readers: [CatchUpReader] = []
        for _ in 0..<options.catchUp.sessions {
            do {
                let reader = try CatchUpReader(options)
                control.watch(reader.connection)
                readers.append(reader)
            } catch {
                guard !readers.isEmpty else { throw error }
                logger.info("fewer sessions than wanted catch up", metadata: ["error": "\(error.message)"])
                break
            }
        }
        return readers
    }

    private mutating func drain(_ session: inout CatchUpSession) throws(ConnectorError) {
        let connections = session.readers.map(\.connection)
        let failure: CatchUpFailure
        do throws(CatchUpFailure) {
            let outcome = try interruptible(connections) { () throws(CatchUpFailure) in try session.run() }
            session.leaveReaders()
            keepWhole(&session)
            if outcome != .caughtUp {
                catchUpLimits.notBefore = LSN(position.end.value &+ options.catchUp.thresholdBytes)
                logger.info("the walsender goes on", metadata: ["because": "\(outcome)", "from": "\(position.end)"])
            }
            return
        } catch {
            failure = error
        }
        session.leaveReaders()
        let state = session.state
        try keep(&session.assembler, state)
        switch failure {
        case .ours(let error) where error.code == ConnectorError.logBusy.code:
            logger.warning(
                "the walsender goes on", metadata: ["because": "\(error.message)", "from": "\(position.end)"])
            catchUpLimits.notBefore = LSN(position.end.value &+ options.catchUp.thresholdBytes)
        case .ours(let error): throw error
        case .server(let error):
            if control.isStopped { throw .stopped }
            try leaveToWalsender(error, position.end)
        }
    }

    /// As `control.interruptible`, for another kind of error.
    private func interruptible<Result>(
        _ connections: [PostgresConnection], _ body: () throws(CatchUpFailure) -> Result
    ) throws(CatchUpFailure) -> Result {
        var failure: CatchUpFailure?
        do throws(ConnectorError) {
            return try control.interruptible({ for connection in connections { connection.interrupt() } }) {
                () throws(ConnectorError) in
                do throws(CatchUpFailure) {
                    return try body()
                } catch {
                    failure = error
                    throw .stopped
                }
            }
        } catch {
            throw control.isStopped ? .ours(.stopped) : failure ?? .ours(error)
        }
    }

    /// After an orderly end: everything is durable, and what is known of the relations is what the log has of them.
    private mutating func keepWhole(_ session: inout CatchUpSession) {
        table = session.assembler.table
        counts = session.assembler.counts
        board.set(counts)
        lastCommitLSN = session.assembler.lastCommitLSN
        position.state = session.state
        position.logEndLSN = max(output.durableLSN, position.logEndLSN ?? .zero)
    }

    /// Throws if the walsender would not fare better, or would hide that somebody else has moved the slot.
    private mutating func leaveToWalsender(_ error: PostgresError, _ place: LSN) throws(ConnectorError) {
        guard let sqlState = error.sqlState, !sqlState.hasPrefix("08"), !sqlState.hasPrefix("57P") else {
            throw error.connectorError
        }
        // By what was tried, not by the message, which the server may say in any language. A slot that is in use is not
        // moved yet: the walsender will not start.
        if error.operation == SlotAdvance.operation && sqlState != "55006" {
            throw ConnectorError(
                .transient, code: "slot_moved",
                "the replication slot \(options.slotName) was moved while its backlog was read: \(error.message)",
                hint: "let only one program read the slot", foreignCode: sqlState)
        }
        // temp_file_limit
        if sqlState == "53400" && error.operation == CatchUpReader.operation {
            catchUpLimits.temporaryBytes /= 4
        }
        catchUpLimits.notBefore = LSN(place.value &+ options.catchUp.thresholdBytes)
        logger.notice(
            "the backlog cannot be read by calls, the walsender goes on",
            metadata: ["error": "\(error.connectorError.description)", "from": "\(place)"])
    }
}
