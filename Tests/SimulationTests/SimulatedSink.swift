import MillraceCore

@testable import MillraceRuntime

/// A foreign system that a sink writes to. It outlives every crash of ours.
final class SimulatedTarget {
    enum Kind: CaseIterable {
        /// Applies each batch and keeps the cursor with its data.
        case transactional
        /// Takes batches and applies them when it is flushed.
        case flushing
        /// Keeps no cursor: goes by the runtime's, and gets some changes again after a crash.
        case forgetful
    }

    let kind: Kind
    private(set) var contents = Contents()
    private(set) var cursor: Cursor?
    private(set) var logID: UInt64 = 0
    /// Transactions of the log that have been applied.
    private(set) var applied = 0

    init(_ kind: Kind) { self.kind = kind }

    /// Another log: what comes from it replaces what there is.
    func begin(_ logID: UInt64) {
        guard logID != self.logID else { return }
        self.logID = logID
        applied = 0
        cursor = nil
    }

    /// `next`: index that the transaction must have, for a target that may be given some again.
    func apply(_ transaction: LogFollower.Transaction, at index: Int, through cursor: Cursor?) {
        for table in transaction.loads { contents.empty(table) }
        for change in transaction.changes { contents.apply(change) }
        applied = max(applied, index + 1)
        if kind != .forgetful, let cursor { self.cursor = cursor }
    }
}

/// Applies a log to a `SimulatedTarget`, checks every transaction of it against the oracle, and has trouble on demand.
// SAFETY: one thread runs a simulation.
final class SimulatedSink: Sink, @unchecked Sendable {
    private unowned let world: World
    private let target: SimulatedTarget
    private let number: Int
    private var follower = LogFollower()
    private var pending: [LogFollower.Transaction] = []
    /// Index of the next transaction that the reader must give.
    private var next = 0
    private var logID: UInt64 = 0
    let batchByteLimit: Int

    init(_ world: World, _ number: Int) {
        self.world = world
        self.number = number
        target = world.targets[number]
        batchByteLimit = world.pick([1, 300, 2000])
    }

    func start(after stored: Cursor?, logID: UInt64) throws(ConnectorError) -> Cursor? {
        _ = try world.sinkFault(number, during: .start)
        self.logID = logID
        target.begin(logID)
        let begun = target.kind == .forgetful ? stored : target.cursor
        next = begun.map { world.server.oracle.count(upTo: $0.commitLSN.value, $0.ordinal, in: logID) } ?? 0
        return begun
    }

    func write(_ batch: ChangeBatch) throws(ConnectorError) -> Delivery {
        let fault = try world.sinkFault(number, during: .write)
        do {
            for transaction in try follower.take(batch) {
                try check(transaction)
                pending.append(transaction)
            }
        } catch {
            throw world.failure("sink \(number): \(error)")
        }
        if target.kind == .flushing && fault == .none { return .accepted }
        // What a sink has been given it may lose, apply in part, or apply and then not be able to say so.
        if fault == .partial, !pending.isEmpty {
            try apply(world.below(pending.count) + 1)
            throw world.trouble("partial")
        }
        let cursor = try apply(pending.count)
        if fault == .failAfterWork { throw world.trouble("fail_after_work") }
        return cursor.map { .durable(through: $0) } ?? .accepted
    }

    func flush() throws(ConnectorError) -> Cursor? {
        let fault = try world.sinkFault(number, during: .flush)
        let cursor = try apply(pending.count)
        if fault != .none { throw world.trouble("fail_after_work") }
        return cursor
    }

    func tick() throws(ConnectorError) -> Cursor? { nil }
    func stop() {}
    func interrupt() {}
    func status() -> SinkStatus { SinkStatus() }

    private func check(_ transaction: LogFollower.Transaction) throws {
        guard let expected = world.server.oracle.expected(next, in: logID) else {
            throw Failure("the transaction at \(transaction.commitLSN) was never committed")
        }
        if let difference = expected.difference(from: transaction) { throw Failure(difference) }
        next += 1
    }

    /// Applies the first `count` of what is pending. Returns the place behind.
    @discardableResult
    private func apply(_ count: Int) throws(ConnectorError) -> Cursor? {
        var last: Cursor?
        for transaction in pending.prefix(count) {
            let index = next - pending.count
            // A transaction that was applied before is one that came twice; one that is left out is missing.
            let fits = target.kind == .forgetful ? index <= target.applied : index == target.applied
            guard target.logID == logID, fits else {
                throw world.failure(
                    "sink \(number) was given transaction \(index) of log \(logID), its target holds \(target.applied)")
            }
            target.apply(transaction, at: index, through: transaction.cursor)
            last = transaction.cursor
            pending.removeFirst()
        }
        return last
    }
}

/// Where cursors are stored: like a catalog in SQLite, each call is done wholly or not at all, and what is done is durable.
// SAFETY: one thread runs a simulation.
final class SimulatedCursorStore: CursorStore, @unchecked Sendable {
    private unowned let world: World
    private(set) var cursors: [String: Cursor] = [:]

    init(_ world: World) { self.world = world }

    func setCursor(_ cursor: Cursor?, sink: String, source: String) throws(ConnectorError) {
        try world.storeFault(isDone: false)
        cursors[sink] = cursor
        try world.storeFault(isDone: true)
    }
}

/// Makes `SimulatedSink`s; the property `number` says for which target.
// SAFETY: one thread runs a simulation.
final class SimulatedSinkPlugin: SinkPlugin, @unchecked Sendable {
    private unowned let world: World

    init(_ world: World) { self.world = world }

    let className = "simulated-sink"
    let aliases: [String] = []
    let definition = ConfigDefinition(keys: [])
    func preflight(_ config: ConnectorConfig) -> [ConfigFinding] { [] }

    func makeSink(
        _ config: ConnectorConfig, source: SourceDescription, topics: TopicSelection, _ context: TaskContext
    ) throws(ConnectorError) -> any Sink {
        SimulatedSink(world, config["number"].flatMap { Int($0) } ?? 0)
    }
}
