internal import MillraceCore

/// How much waits at the server while we stream, and whether that is better drained in another way. The walsender says
/// where the server's WAL ends only when it has nothing else to say, so that under load somebody has to ask.
struct StreamingBacklog {
    /// End of WAL at the server, as last seen.
    private(set) var serverEnd: LSN
    private(set) var isLarge = false

    private let options: CatchUpOptions
    private let look: () -> LSN?
    /// Streaming gets at least this far before it ends: what sent us here lies before it.
    private let notBefore: LSN
    private var received: LSN
    private var lastLook: UInt64
    private var receivedAtLook: LSN

    /// Least time between two looks.
    static let lookInterval: UInt64 = 5_000_000_000

    /// `look`: asks the server for the end of its WAL; nil if it does not say.
    init(
        _ options: CatchUpOptions, start: LSN, serverEnd: LSN, notBefore: LSN, now: UInt64,
        look: @escaping () -> LSN?
    ) {
        self.options = options
        self.serverEnd = serverEnd
        self.notBefore = notBefore
        self.look = look
        received = start
        receivedAtLook = start
        lastLook = now
    }

    mutating func note(received now: LSN, _ time: UInt64) {
        received = now
        guard options.sessions > 0 else { return }
        // Who has got little in a long time has little to get, or waits for something else than the walsender.
        if time &- lastLook >= Self.lookInterval {
            lastLook = time
            if received.distance(from: receivedAtLook) >= options.thresholdBytes / 4, let end = look() {
                serverEnd = max(serverEnd, end)
            }
            receivedAtLook = received
        }
        isLarge = received >= notBefore && serverEnd.distance(from: received) >= 2 &* options.thresholdBytes
    }
}
