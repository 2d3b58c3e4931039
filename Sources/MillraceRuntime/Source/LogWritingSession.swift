import MillraceCore

/// What one writing thread knows of its log: where it stands, when to fsync, and what it could not do yet.
struct LogWritingSession {
    static let flushByteLimit: UInt64 = 32 << 20
    static let flushDelay: Duration = .milliseconds(50)

    /// One thing to do.
    enum Work {
        case item(LogWriterState.Item)
        case flush
        /// Takes back what is unfinished and makes the rest durable.
        case end
    }

    var progress: SourceProgress
    /// What there was no space for. It is tried again before anything else.
    private(set) var stalled: Work?
    private var nextPause: Duration?
    private var unsyncedBytes: UInt64 = 0
    private var unsyncedItems: UInt64 = 0
    private var firstUnsynced: Duration?

    init(progress: SourceProgress) {
        self.progress = progress
    }

    var hasUnsynced: Bool { unsyncedItems > 0 }

    mutating func noteAppended(_ byteCount: UInt64, at now: Duration) {
        unsyncedBytes += byteCount
        unsyncedItems += 1
        if firstUnsynced == nil { firstUnsynced = now }
    }

    /// With nothing more queued there is no reason to wait; with more, an fsync is shared until it gets late.
    func shouldFlush(isIdle: Bool, at now: Duration) -> Bool {
        guard let first = firstUnsynced else { return false }
        return isIdle || unsyncedBytes >= Self.flushByteLimit || now - first >= Self.flushDelay
    }

    /// Forgets what was not synced: it is now. Returns how many items that were.
    mutating func takeUnsynced() -> UInt64 {
        defer {
            unsyncedBytes = 0
            unsyncedItems = 0
            firstUnsynced = nil
        }
        return unsyncedItems
    }

    // MARK: Waiting for space

    /// Keeps `work` for later; returns how long to wait before it is tried again.
    mutating func stall(_ work: Work, firstPause: Duration) -> Duration {
        let pause = nextPause ?? firstPause
        nextPause = min(pause * 2, .seconds(5))
        stalled = work
        return pause
    }

    mutating func takeStalled() -> Work? {
        defer { stalled = nil }
        return stalled
    }

    /// What had stalled was done, or given up.
    mutating func endStall() {
        nextPause = nil
    }
}
