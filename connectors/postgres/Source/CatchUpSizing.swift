internal import MillraceCore

/// How much of a backlog one call on the server may decode, so that what it keeps in temporary files stays within bounds.
///
/// Pure. The server is told two limits: an LSN to read up to, and a number of rows. How many bytes they make depends on the
/// rows, so the first calls are small, and no call is allowed much more than the ones before have shown to be safe.
struct CatchUpSizing {
    /// Most bytes of temporary disk for one call.
    private(set) var budget: UInt64
    /// Most bytes of WAL that the next call may read.
    private(set) var walLimit: UInt64
    /// Most rows that the next call may return.
    private(set) var rowLimit: Int

    private static let firstWAL: UInt64 = 16 << 20
    /// Beyond this, a call saves nothing more, and takes long.
    private static let largestWAL: UInt64 = 1 << 30
    /// A row takes so many bytes in the server's tuple store besides its data: header of a tuple, LSN, xid, lengths.
    static let rowOverhead: UInt64 = 64
    /// Large calls cost less in all: each reads again from where the slot began. But no row of a call comes before it has been
    /// decoded whole, and sinks that have applied the calls before it wait.
    private static let growth: UInt64 = 4
    /// Rows may be larger in the next call than they were in this one.
    private static let margin = 1.25

    init(budget: UInt64) {
        self.budget = max(budget, 1 << 20)
        walLimit = min(Self.firstWAL, self.budget / 8)
        rowLimit = Int(clamping: max(self.budget / 2_048, 500))
    }

    /// What a call brought.
    mutating func note(rows: Int, bytes: UInt64, wal: UInt64) {
        guard rows > 0, wal > 0 else {
            walLimit = min(walLimit &* Self.growth, Self.largestWAL)
            return
        }
        let stored = Double(bytes) + Double(rows) * Double(Self.rowOverhead)
        let allowed = Double(budget) / Self.margin
        let rowsAllowed = allowed / (stored / Double(rows))
        let walAllowed = allowed / (stored / Double(wal))
        rowLimit = max(Int(min(rowsAllowed, Double(rowLimit) * Double(Self.growth), 1e9)), 500)
        walLimit = max(
            UInt64(min(walAllowed, Double(walLimit) * Double(Self.growth), Double(Self.largestWAL))), 1 << 20)
    }

    /// Where a call that begins at `start` ends, with `end` in sight and `readers` to share the way.
    func rangeEnd(from start: LSN, to end: LSN, readers: Int) -> LSN {
        let rest = end.value > start.value ? end.value - start.value : 0
        let share = max(rest / UInt64(max(readers, 1)) &+ 1, Self.firstWAL)
        return LSN(start.value &+ min(share, walLimit, rest))
    }
}
