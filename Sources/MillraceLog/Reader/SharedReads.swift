import MillraceCore

/// What the readers of one log hand on to each other: a stretch that one of them has read and checked serves all that come
/// to the same place, so that a log with many sinks is read from disk about once.
///
/// A stretch is kept only while another reader is about to come to it. No lock is held while something is read.
final class SharedReads<Storage: LogStorage>: Sendable {
    /// Where a reader stands and what it asks for.
    struct Request: Hashable {
        var logID: UInt64
        var offset: UInt64
        var skipsToBoundary: Bool
        /// How many relations the reader knows. Of two readers at one place the one that began earlier in the log knows
        /// all that the other one knows, and the same of it: the larger number is that of the one whose batch is good
        /// for both.
        var relationCount: Int
        var byteLimit: Int
        /// Log offset up to which there is something to read in the segment.
        var end: UInt64

        /// Whether what this one is about to read will do for `other`.
        func willServe(_ other: Request) -> Bool {
            isAtPlace(of: other) && byteLimit == other.byteLimit
                && (end >= other.end || end - offset > UInt64(clamping: byteLimit))
        }

        func isAtPlace(of other: Request) -> Bool {
            logID == other.logID && offset == other.offset && skipsToBoundary == other.skipsToBoundary
                && relationCount >= other.relationCount
        }
    }

    /// What was read, and how it left the reader.
    struct Outcome {
        var batch: ChangeBatch?
        var position: Cursor
        var skipsToBoundary: Bool
        var book: RelationBook
        var segment: SegmentFile<Storage>
    }

    enum Answer {
        /// Another reader has read it.
        case shared(Outcome)
        /// The reader is to read it, and to call `finish` whatever comes of it.
        case unread
        /// There is no other reader.
        case alone
    }

    private struct Kept {
        var request: Request
        var outcome: Outcome
        /// Readers that are expected to ask for it.
        var awaited: Int
        var byteCount: Int

        /// Whether the reading ended because there was no more, not because of a limit.
        var isToEnd: Bool { outcome.position.offset >= request.end }

        func serves(_ other: Request) -> Bool {
            guard request.isAtPlace(of: other) else { return false }
            // Less than there is by now would keep a reader that is behind from getting much at once.
            if !isToEnd { return request.byteLimit == other.byteLimit }
            return request.end >= other.end
                && (request.byteLimit == other.byteLimit
                    || outcome.position.offset - request.offset <= UInt64(clamping: other.byteLimit))
        }
    }

    /// What a reader asks for next. `byteLimit`: nil where it has not asked yet.
    private struct Standing {
        var offset: UInt64
        var byteLimit: Int?
    }

    private struct State {
        var readers: [UInt64: Standing] = [:]
        var underWay: [Request] = []
        /// Least recently used first.
        var kept: [Kept] = []
        /// What begins before this log offset is gone.
        var floor: UInt64 = 0
    }

    /// So that looking for a batch stays cheap where batches are small.
    private static var countLimit: Int { 64 }

    private let state = Monitor(State())
    private let byteLimit: Int

    init(byteLimit: Int) {
        self.byteLimit = byteLimit
    }

    // MARK: Readers

    func enter(_ reader: UInt64, at offset: UInt64) {
        state.update { $0.readers[reader] = Standing(offset: offset) }
    }

    func leave(_ reader: UInt64) {
        // What is removed is freed behind the lock, here and below.
        _ = state.update { state -> [Kept] in
            state.readers[reader] = nil
            return state.readers.count < 2 ? Self.remove(from: &state) { _ in true } : []
        }
    }

    /// Waits for a reader that is reading the same.
    func ask(_ request: Request, by reader: UInt64) -> Answer {
        let answer: Answer? = state.wait { state in
            state.readers[reader] = Standing(offset: request.offset, byteLimit: request.byteLimit)
            if state.readers.count < 2 { return .alone }
            if let index = state.kept.lastIndex(where: { $0.serves(request) }) {
                var kept = state.kept.remove(at: index)
                kept.awaited -= 1
                if kept.awaited > 0 { state.kept.append(kept) }
                state.readers[reader]?.offset = kept.outcome.position.offset
                return .shared(kept.outcome)
            }
            if state.underWay.contains(where: { $0.willServe(request) }) { return nil }
            state.underWay.append(request)
            return .unread
        }
        return answer ?? .alone
    }

    /// `outcome`: nil if reading failed; those who waited then read for themselves.
    func finish(_ request: Request, by reader: UInt64, _ outcome: Outcome?) {
        _ = state.update { state -> [Kept] in
            if let index = state.underWay.firstIndex(of: request) { state.underWay.remove(at: index) }
            guard let outcome else { return [] }
            state.readers[reader]?.offset = outcome.position.offset
            var kept = Kept(request: request, outcome: outcome, awaited: 0, byteCount: Self.size(request, outcome))
            kept.awaited = awaited(kept, by: reader, state)
            guard kept.awaited > 0, request.offset >= state.floor else { return [] }
            var removed = Self.remove(from: &state) {
                $0.request.isAtPlace(of: request) && $0.request.byteLimit == request.byteLimit
            }
            state.kept.append(kept)
            var total = state.kept.reduce(0) { $0 + $1.byteCount }
            // One at least, however large: others may have waited for it.
            while state.kept.count > 1, total > byteLimit || state.kept.count > Self.countLimit {
                let oldest = state.kept.removeFirst()
                total -= oldest.byteCount
                removed.append(oldest)
            }
            return removed
        }
    }

    /// Lets go of what lies before `offset`, files included: it has been trimmed or discarded.
    func forget(before offset: UInt64) {
        _ = state.update { state -> [Kept] in
            state.floor = max(state.floor, offset)
            return Self.remove(from: &state) { $0.request.offset < offset }
        }
    }

    // MARK: What is kept

    /// How many other readers are at the place or come to it before it would have made room for others.
    private func awaited(_ kept: Kept, by reader: UInt64, _ state: State) -> Int {
        let offset = kept.request.offset
        return state.readers.count { number, standing in
            number != reader && standing.offset <= offset && offset - standing.offset <= UInt64(clamping: byteLimit)
                && (standing.byteLimit ?? kept.request.byteLimit == kept.request.byteLimit || kept.isToEnd)
        }
    }

    /// At least what the batch has allocated.
    private static func size(_ request: Request, _ outcome: Outcome) -> Int {
        let asked = min(max(request.byteLimit, FrameHeader.size), Int(clamping: request.end - request.offset))
        return max(asked, outcome.batch?.bytes.count ?? 0)
    }

    private static func remove(from state: inout State, _ condition: (Kept) -> Bool) -> [Kept] {
        let removed = state.kept.filter(condition)
        if !removed.isEmpty { state.kept.removeAll(where: condition) }
        return removed
    }
}
