internal import MillraceCore

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Streaming over one connection, from START_REPLICATION to its end. Runs on the source's thread.
struct StreamingSession: ~Copyable {
    let options: SourceOptions
    let link: ReplicationLink
    let output: any SourceOutput
    let control: SourceControl
    let board: SourceStatusBoard
    let interval: UInt64
    var assembler: TransactionAssembler
    var backlog: StreamingBacklog
    /// What was last stored of the source; its `confirmedLSN` is what idle WAL may be acknowledged to.
    var state: SourceState

    /// Stored, but not known to be durable yet.
    private var pendingConfirmation: LSN?
    private var lastConfirmation: UInt64 = 0
    private var isAskedForReply = false
    private(set) var hasReceived = false
    private var lastHandOver: UInt64 = 0
    private var lastPublished: UInt64 = 0
    private var lastProgress: UInt64 = 0

    /// Data that keeps coming is handed over at least so often.
    private static let handOverInterval: UInt64 = 2_000_000
    /// A transaction whose rest does not come is handed over in part after this.
    private static let stallInterval: UInt64 = 20_000_000
    private static let publishInterval: UInt64 = 200_000_000
    /// Least time between two states stored for idle WAL when the server asks again and again, as it does at its shutdown.
    private static let confirmationInterval: UInt64 = 50_000_000
    /// The walsender sends each message by itself, and waking for each of them costs more than the messages. A short pause
    /// lets some collect. Measured with 1.5 M changes waiting, on two cores shared with other work, medians of three: over
    /// TCP without a pause 1.7 s of our CPU and 6.0 s in all, with 120 µs 0.5 and 5.4 (200 µs: 0.4 and 6.2); over a Unix
    /// socket without 1.7 and 8.7, with 30 µs 0.9 and 5.8. There 200 µs are too many (0.9 and 11.1): its buffer holds few
    /// messages, and the sender has to wait. `pg_recvlogical`: 1.9 and 6.0 over TCP, 2.3 and 7.0 over the socket.
    private static let tcpPauseNanoseconds = 120_000
    private static let localPauseNanoseconds = 30_000
    /// With so many messages in one go, they have collected already.
    private static let coalescedMessages = 128

    /// Why `run` returned.
    enum End {
        case stopped
        case fellBehind
    }

    init(
        options: SourceOptions, link: ReplicationLink, output: any SourceOutput, control: SourceControl,
        board: SourceStatusBoard, backlog: StreamingBacklog,
        assembler: consuming TransactionAssembler, state: SourceState
    ) {
        self.options = options
        self.link = link
        self.output = output
        self.control = control
        self.board = board
        self.backlog = backlog
        interval = link.feedback.interval
        self.assembler = assembler
        self.state = state
    }

    /// Receives until `stop`, or until so much waits that it is better drained in another way (returns), or until
    /// something breaks (throws).
    mutating func run() throws(ConnectorError) -> End {
        lastProgress = monotonicNanoseconds()
        while !control.isStopped {
            if backlog.isLarge && assembler.isBetweenTransactions { return .fellBehind }
            let count = try receiveAll()
            let now = monotonicNanoseconds()
            if count > 0 {
                link.feedback.didHear(now)
                lastProgress = now
                hasReceived = true
            }
            try keepUp(now, isDry: count == 0)
            if count > 0 && count < Self.coalescedMessages {
                // Not in place of a condition: the messages that it waits for may be more of a flood or none at all.
                var pause = timespec(
                    tv_sec: 0,
                    tv_nsec: link.connection.isLocal ? Self.localPauseNanoseconds : Self.tcpPauseNanoseconds)
                nanosleep(&pause, nil)
            } else if count == 0 {
                try wait(now)
            }
        }
        return .stopped
    }

    // MARK: Receiving

    /// Reads what has come; returns how many messages that were.
    private mutating func receiveAll() throws(ConnectorError) -> Int {
        var count = 0
        do {
            try link.connection.consumeInput()
            while let message = try link.connection.next() {
                defer { message.free() }
                count += 1
                try take(message.content)
            }
        } catch let error as ConnectorError {
            throw error
        } catch let error as PostgresError {
            throw error.streamingFailure(options, position: link.feedback.durable)
        } catch {
            throw ConnectorError(.bug, code: "unexpected_error", "\(error)")
        }
        return count
    }

    @inline(__always)
    private mutating func take(_ message: StreamMessage) throws(ConnectorError) {
        switch message {
        case .data(let walStart, let bytes):
            try assembler.take(bytes, lsn: walStart)
            link.feedback.didReceive(walStart: walStart)
        case .keepalive(let walEnd, let replyRequested):
            link.feedback.didReceiveKeepalive(walEnd: walEnd, replyRequested: replyRequested)
            assembler.noteIdle(walEnd)
            if replyRequested { isAskedForReply = true }
        case .unknown(let kind):
            throw ConnectorError(
                .protocolViolation, code: "malformed_message",
                "the server sent a replication message of the unknown kind \(kind)")
        }
    }

    // MARK: Between reads

    private mutating func keepUp(_ now: UInt64, isDry: Bool) throws(ConnectorError) {
        if isDry || now &- lastHandOver >= Self.handOverInterval {
            if try assembler.handOverIfReady() {
                lastHandOver = now
            } else if isDry && now &- lastProgress >= Self.stallInterval {
                try assembler.handOver()
            }
        }
        try confirmIdle(now)
        link.feedback.didBecomeDurable(output.durableLSN)
        if pendingConfirmation != nil && output.isDrained { confirmed() }
        try link.answer(now)
        if now &- lastPublished >= Self.publishInterval { publish(now) }
    }

    /// WAL that holds nothing of ours is acknowledged too, or an idle publication would keep it for ever. What is
    /// acknowledged is stored first: after a restart, a slot that is further than we know must have been moved by
    /// somebody else.
    private mutating func confirmIdle(_ now: UInt64) throws(ConnectorError) {
        let idle = assembler.idleLSN
        guard idle > max(assembler.submittedEndLSN, state.confirmedLSN, state.startLSN, link.feedback.durable),
            pendingConfirmation == nil, assembler.isBetweenTransactions
        else { return }
        let elapsed = now &- lastConfirmation
        guard elapsed >= (isAskedForReply ? min(Self.confirmationInterval, interval) : interval) else { return }
        state.confirmedLSN = idle
        assembler.append(state: state.encoded())
        pendingConfirmation = idle
        lastConfirmation = now
        isAskedForReply = false
        try assembler.handOver()
    }

    private mutating func confirmed() {
        guard let lsn = pendingConfirmation else { return }
        link.feedback.didBecomeDurable(lsn)
        pendingConfirmation = nil
    }

    mutating func publish(_ now: UInt64) {
        lastPublished = now
        backlog.note(received: link.feedback.received, now)
        link.feedback.didReceive(serverEnd: backlog.serverEnd)
        let feedback = link.feedback
        board.set(assembler.counts)
        board.update { status in
            status.receivedLSN = max(status.receivedLSN, feedback.received)
            status.serverLSN = max(status.serverLSN, feedback.serverEnd)
            status.acknowledgedLSN = feedback.acknowledged
        }
    }

    // MARK: Waiting

    /// Waits for the socket, the log or a stop, no longer than until something is due.
    private func wait(_ now: UInt64) throws(ConnectorError) {
        switch link.feedback.silence(now) {
        case .no: break
        case .ask: try link.send(now, askForReply: true)
        case .giveUp:
            throw ConnectorError(
                .transient, code: "receive_timeout",
                "the server has been silent for \(link.feedback.receiveTimeout / 1_000_000) ms (receive.timeout.ms)")
        }
        var timeout = min(link.feedback.timeUntilDue(now), Self.publishInterval)
        // The log says when something has become durable, but not when it has room, nor that a state alone is durable.
        if !assembler.buffer.isEmpty || pendingConfirmation != nil { timeout = min(timeout, 2_000_000) }
        let descriptors = [
            pollfd(fd: link.connection.connection.socket, events: Int16(POLLIN), revents: 0),
            pollfd(fd: output.durableEvent, events: Int16(POLLIN), revents: 0),
            pollfd(fd: control.event, events: Int16(POLLIN), revents: 0),
        ]
        // A part of a large message is a sign of life too.
        if Self.wait(descriptors, timeout) { link.feedback.didHear(now) }
    }

    /// Whether the first is readable.
    private static func wait(_ descriptors: [pollfd], _ nanoseconds: UInt64) -> Bool {
        var descriptors = descriptors
        // Rounded up: a wait that is too short would turn in circles until the time has come.
        let milliseconds = Int32(clamping: (nanoseconds &+ 999_999) / 1_000_000)
        guard poll(&descriptors, nfds_t(descriptors.count), milliseconds) > 0 else { return false }
        if descriptors[1].revents != 0 {
            var count: UInt64 = 0
            // Non-blocking or just seen readable: returns at once.
            _ = read(descriptors[1].fd, &count, 8)
        }
        return descriptors[0].revents != 0
    }

    // MARK: The end

    /// An orderly end: what is complete goes to the log, the server hears how far we are, so that the slot stands where
    /// the log ends.
    mutating func close() throws(ConnectorError) {
        // The rest of an open transaction is not ours to wait for.
        if assembler.open == nil { try assembler.handOver() }
        try assembler.rollBack()
        let isDurable = try output.waitUntilDrained(timeout: .seconds(5))
        link.feedback.didBecomeDurable(output.durableLSN)
        if isDurable { confirmed() }
        let now = monotonicNanoseconds()
        try link.send(now)
        publish(now)
        link.connection.endStreaming()
    }
}
