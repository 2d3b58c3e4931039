internal import MillraceCore

/// What we owe the walsender: standby status updates (section 55.4), when and with which LSNs.
///
/// Pure: told what came and what time it is, it says whether to send what. Times are nanoseconds of a clock that never
/// goes back.
struct StandbyFeedback {
    /// Longest time between two updates.
    let interval: UInt64
    /// Shortest time between two updates that only tell of progress, so that a busy log does not answer every fsync.
    static let progressInterval: UInt64 = 100_000_000
    /// A server that has been silent for half of this is asked for a reply, and given up after the whole.
    let receiveTimeout: UInt64

    /// How far the server's messages have been received.
    private(set) var received: LSN
    /// Durable at our side: what may be acknowledged.
    private(set) var durable: LSN
    /// What was last acknowledged.
    private(set) var acknowledged: LSN
    /// End of WAL at the server, as it last said.
    private(set) var serverEnd: LSN
    private var lastSent: UInt64
    private var lastReceived: UInt64
    private var owesReply = false
    private var hasAskedForReply = false

    /// `start`: where streaming begins, all of which is durable.
    init(interval: Duration, receiveTimeout: Duration, start: LSN, now: UInt64) {
        self.interval = max(interval.nanoseconds, 1_000_000)
        self.receiveTimeout = receiveTimeout.nanoseconds
        received = start
        durable = start
        acknowledged = .zero
        serverEnd = start
        // The first update goes out at once: it tells the server where we stand.
        lastSent = now &- min(self.interval, now)
        lastReceived = now
    }

    // MARK: What came

    @inline(__always)
    mutating func didReceive(walStart: LSN) {
        if walStart > received { received = walStart }
    }

    /// The end of WAL, said in each message that carries data.
    @inline(__always)
    mutating func didReceive(serverEnd end: LSN) {
        if end > serverEnd { serverEnd = end }
    }

    mutating func didReceiveKeepalive(walEnd: LSN, replyRequested: Bool) {
        didReceive(walStart: walEnd)
        didReceive(serverEnd: walEnd)
        if replyRequested { owesReply = true }
    }

    /// Something arrived, whatever it was.
    mutating func didHear(_ now: UInt64) {
        lastReceived = now
        hasAskedForReply = false
    }

    /// Never moves backwards: after a crash of the server or of ours, what was durable stays durable.
    mutating func didBecomeDurable(_ lsn: LSN) {
        if lsn > durable { durable = lsn }
        if durable > received { received = durable }
    }

    // MARK: What to do

    enum Silence {
        case no
        case ask
        case giveUp
    }

    func silence(_ now: UInt64) -> Silence {
        let silent = now &- min(lastReceived, now)
        if silent >= receiveTimeout { return .giveUp }
        return silent >= receiveTimeout / 2 && !hasAskedForReply ? .ask : .no
    }

    func isDue(_ now: UInt64) -> Bool {
        if owesReply { return true }
        let elapsed = now &- min(lastSent, now)
        return elapsed >= (durable > acknowledged ? min(Self.progressInterval, interval) : interval)
    }

    /// Time until something may be due, for the wait on the socket.
    func timeUntilDue(_ now: UInt64) -> UInt64 {
        if owesReply { return 0 }
        let limit = durable > acknowledged ? min(Self.progressInterval, interval) : interval
        let elapsed = now &- min(lastSent, now)
        return elapsed >= limit ? 0 : limit - elapsed
    }

    /// The message to send now (34 bytes): written, flushed and applied LSN, our clock, whether a reply is wanted.
    mutating func update(_ now: UInt64, clock: Timestamp, askForReply: Bool = false) -> [UInt8] {
        lastSent = now
        owesReply = false
        acknowledged = durable
        if askForReply { hasAskedForReply = true }
        var writer = ByteWriter()
        writer.append(UInt8(ascii: "r"))
        writer.append(received.value)
        writer.append(durable.value)
        writer.append(durable.value)
        writer.append(clock.microsecondsSince2000)
        writer.append(UInt8(askForReply ? 1 : 0))
        return writer.bytes
    }
}

extension Duration {
    /// Whole nanoseconds; zero for what is negative, the largest number for what is too long.
    var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (product, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : product &+ UInt64(attoseconds / 1_000_000_000)
    }
}
