internal import MillraceCore

/// The stream of one connection: what is received, and what is answered.
final class ReplicationLink {
    let connection: ReplicationConnection
    var feedback: StandbyFeedback

    init(_ connection: ReplicationConnection, _ feedback: StandbyFeedback) {
        self.connection = connection
        self.feedback = feedback
    }

    /// Sends a standby status update if one is due.
    func answer(_ now: UInt64) throws(ConnectorError) {
        guard feedback.isDue(now) else { return }
        try send(now)
    }

    func send(_ now: UInt64, askForReply: Bool = false) throws(ConnectorError) {
        do {
            try connection.send(feedback.update(now, clock: currentTimestamp(), askForReply: askForReply))
        } catch {
            throw error.connectorError
        }
    }
}

/// The log, with the patience that it needs: while it is busy, the server still gets its answers, with what was durable
/// before, so that a slow disk does not cost the connection.
final class ReplicationFeed: LogFeeding {
    private let output: any SourceOutput
    private let control: SourceControl
    private let board: SourceStatusBoard
    /// Nil while there is no connection.
    var link: ReplicationLink?

    /// How long rows that a call has decoded may wait for the log. The server holds a snapshot for them, which keeps
    /// vacuum from its work; what the walsender has to send waits as WAL only.
    static let patienceWithCalls: UInt64 = 30_000_000_000

    /// How long to wait for the log between two looks at what is due.
    private static let patience = Duration.milliseconds(100)

    init(output: any SourceOutput, control: SourceControl, board: SourceStatusBoard) {
        self.output = output
        self.control = control
        self.board = board
    }

    func makeBuffer() -> RecordBuffer { output.makeBuffer() }

    func submit(_ buffer: RecordBuffer) throws(ConnectorError) {
        let begun = monotonicNanoseconds()
        while !(try output.submit(buffer, timeout: Self.patience)) { try whileBusy(since: begun) }
    }

    func offer(_ buffer: RecordBuffer) throws(ConnectorError) -> Bool {
        try output.submit(buffer, timeout: .zero)
    }

    func makeSpool(xid: UInt32) throws(ConnectorError) -> any TransactionSpool {
        try output.makeSpool(xid: xid)
    }

    func submit(_ spool: any TransactionSpool, _ info: TransactionInfo) throws(ConnectorError) {
        let begun = monotonicNanoseconds()
        while !(try output.submit(spool, info, timeout: Self.patience)) { try whileBusy(since: begun) }
    }

    func rollBackOpenTransaction() throws(ConnectorError) {
        try output.rollBackOpenTransaction()
    }

    private func whileBusy(since begun: UInt64) throws(ConnectorError) {
        if control.isStopped { throw .stopped }
        let now = monotonicNanoseconds()
        guard let link else {
            if now &- begun >= Self.patienceWithCalls { throw .logBusy }
            return
        }
        // We do not listen meanwhile: silence is ours, not the server's.
        link.feedback.didHear(now)
        link.feedback.didBecomeDurable(output.durableLSN)
        try link.answer(now)
        board.update { $0.acknowledgedLSN = link.feedback.acknowledged }
    }
}

extension ConnectorError {
    /// Rows of a call have waited for the log for too long; the stream is the better place to wait.
    static let logBusy = ConnectorError(
        .transient, code: "log_busy", "the change log takes nothing at present, so that no more is asked of the source")
}
