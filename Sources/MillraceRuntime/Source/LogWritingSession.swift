import MillraceCore

/// When to fsync: what one writing thread knows of its log since the last time.
struct LogWritingSession {
    static let flushByteLimit: UInt64 = 32 << 20
    static let flushDelay: Duration = .milliseconds(50)

    var progress: SourceProgress
    private var unsyncedBytes: UInt64 = 0
    private var unsyncedItems: UInt64 = 0
    private var firstUnsynced: ContinuousClock.Instant?

    init(progress: SourceProgress) {
        self.progress = progress
    }

    var hasUnsynced: Bool { unsyncedItems > 0 }

    mutating func noteAppended(_ byteCount: UInt64) {
        unsyncedBytes += byteCount
        unsyncedItems += 1
        if firstUnsynced == nil { firstUnsynced = .now }
    }

    /// With nothing more queued there is no reason to wait; with more, an fsync is shared until it gets late.
    func shouldFlush(isIdle: Bool) -> Bool {
        guard let first = firstUnsynced else { return false }
        return isIdle || unsyncedBytes >= Self.flushByteLimit || first.duration(to: .now) >= Self.flushDelay
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
}
