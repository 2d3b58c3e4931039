/// What happened in a number of runs.
struct Counts: Sendable {
    var seeds = 0
    var steps = 0
    var transactions = 0
    var powerLosses = 0
    var kills = 0
    var restarts = 0
    var refusals = 0
    var bitFlips = 0
    var resets = 0
    var connectionLosses = 0
    var lossesInside = 0
    var parts = 0
    var slotsMovedBack = 0
    var stalls = 0
    var taskFailures = 0
    var segmentsTrimmed = 0
    var streamsCommitted = 0
    var streamsRolledBack = 0
    var sinkRejects = 0
    var sinkFailuresAfterWork = 0
    var sinkPartialWrites = 0
    var sinkHolds = 0
    var storeFailures = 0
    /// Of the simulated disk, by their names.
    var disk: [String: Int] = [:]

    mutating func add(_ other: Counts) {
        for path in Self.fields.map(\.path) { self[keyPath: path] += other[keyPath: path] }
        disk.merge(other.disk, uniquingKeysWith: +)
    }

    static var fields: [(name: String, path: WritableKeyPath<Counts, Int>)] {
        [
            ("seeds", \.seeds), ("steps", \.steps), ("transactions", \.transactions), ("power losses", \.powerLosses),
            ("kills", \.kills), ("orderly restarts", \.restarts), ("bit flips", \.bitFlips),
            ("bit flips refused", \.refusals), ("logs begun anew", \.resets), ("connections lost", \.connectionLosses),
            ("of them behind a part of a transaction", \.lossesInside), ("parts of transactions handed over", \.parts),
            ("slots moved back", \.slotsMovedBack), ("stalls for want of space", \.stalls),
            ("tasks failed", \.taskFailures), ("segments trimmed", \.segmentsTrimmed),
            ("streamed transactions committed", \.streamsCommitted),
            ("streamed transactions rolled back", \.streamsRolledBack), ("sink rejects", \.sinkRejects),
            ("sink fails after its work", \.sinkFailuresAfterWork), ("sink writes a part", \.sinkPartialWrites),
            ("sink holds", \.sinkHolds), ("cursor store fails", \.storeFailures),
        ]
    }

    var lines: [String] {
        Self.fields.map { "\(self[keyPath: $0.path]) \($0.name)" }
            + disk.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
    }
}
