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

    /// How long to wait for the log between two looks at what is due.
    private static let patience = Duration.milliseconds(100)

    init(output: any SourceOutput, control: SourceControl, board: SourceStatusBoard) {
        self.output = output
        self.control = control
        self.board = board
    }

    func makeBuffer() -> RecordBuffer { output.makeBuffer() }

    func submit(_ buffer: RecordBuffer) throws(ConnectorError) {
        while !(try output.submit(buffer, timeout: Self.patience)) { try whileBusy() }
    }

    func offer(_ buffer: RecordBuffer) throws(ConnectorError) -> Bool {
        try output.submit(buffer, timeout: .zero)
    }

    func makeSpool(xid: UInt32) throws(ConnectorError) -> any TransactionSpool {
        try output.makeSpool(xid: xid)
    }

    func submit(_ spool: any TransactionSpool, _ info: TransactionInfo) throws(ConnectorError) {
        while !(try output.submit(spool, info, timeout: Self.patience)) { try whileBusy() }
    }

    func rollBackOpenTransaction() throws(ConnectorError) {
        try output.rollBackOpenTransaction()
    }

    private func whileBusy() throws(ConnectorError) {
        if control.isStopped { throw .stopped }
        guard let link else { return }
        let now = monotonicNanoseconds()
        // We do not listen meanwhile: silence is ours, not the server's.
        link.feedback.didHear(now)
        link.feedback.didBecomeDurable(output.durableLSN)
        try link.answer(now)
        board.update { $0.acknowledgedLSN = link.feedback.acknowledged }
    }
}
