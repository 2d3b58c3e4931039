package import MillraceCore

/// A foreign system that a sink writes to, which keeps the sink's cursor with its data.
package final class RecordingTarget: Sendable {
    private let state: Monitor<State>

    private struct State {
        var tables = TestTables()
        var cursor: Cursor?
        /// `<commit LSN>:<ordinal>` of every change, in the order in which they were applied.
        var history: [String] = []
        var faults: [SinkFault] = []
        var isHeld = false
        var starts = 0
        var keepsCursor: Bool
    }

    /// `keepsCursor: false`: a system that stores data only, so that a crash repeats changes.
    package init(keepsCursor: Bool = true) {
        state = Monitor(State(keepsCursor: keepsCursor))
    }

    package var tables: TestTables { state.read { $0.tables } }
    package var history: [String] { state.read { $0.history } }
    package var cursor: Cursor? { state.read { $0.cursor } }
    package var starts: Int { state.read { $0.starts } }
    package var keepsCursor: Bool { state.read { $0.keepsCursor } }

    package func wait(for timeout: Duration = .seconds(10), until tables: TestTables) -> Bool {
        state.wait(for: timeout) { $0.tables == tables ? true : nil } ?? false
    }

    package func waitForStarts(_ count: Int, timeout: Duration = .seconds(10)) -> Bool {
        state.wait(for: timeout) { $0.starts >= count ? true : nil } ?? false
    }

    package func waitForHistory(_ count: Int, timeout: Duration = .seconds(10)) -> Bool {
        state.wait(for: timeout) { $0.history.count >= count ? true : nil } ?? false
    }

    /// Goes back to an older cursor, as if the newest writes had been made but not noted.
    package func setCursor(_ cursor: Cursor?) {
        state.update { $0.cursor = cursor }
    }

    // MARK: Faults

    /// Faults of the next writes, in order.
    package func plan(_ faults: [SinkFault]) {
        state.update { $0.faults += faults }
    }

    /// Writes do not return until `release` or an interrupt.
    package func hold() { state.update { $0.isHeld = true } }
    package func release() { state.update { $0.isHeld = false } }

    func takeFault() -> SinkFault? {
        state.update { $0.faults.isEmpty ? nil : $0.faults.removeFirst() }
    }

    /// False when interrupted first.
    func waitWhileHeld(_ isInterrupted: Monitor<Bool>) -> Bool {
        while true {
            if isInterrupted.read({ $0 }) { return false }
            if state.wait(for: .milliseconds(5), until: { $0.isHeld ? nil : true }) == true { return true }
        }
    }

    // MARK: The sink's side

    func begin() { state.update { $0.starts += 1 } }

    func apply(_ changes: [(relation: Relation, change: AppliedChange)], through cursor: Cursor) {
        state.update { state in
            for (relation, applied) in changes {
                switch applied.change {
                case .loadBegin: state.tables.beginLoad(of: relation)
                case .change(let change):
                    state.tables.apply(change, to: relation)
                    state.history.append(applied.position)
                }
            }
            if state.keepsCursor { state.cursor = cursor }
        }
    }

    struct AppliedChange {
        enum Kind {
            case loadBegin
            case change(TestChange)
        }

        var change: Kind
        var position: String
    }
}

/// Applies batches to a `RecordingTarget`, transaction by transaction.
package final class RecordingSink: Sink {
    private let target: RecordingTarget
    private let topics: @Sendable (String) -> Bool
    private let isInterrupted = Monitor(false)
    private let state = Monitor(State())
    package let batchByteLimit: Int

    private struct State {
        var status = SinkStatus()
        var relations: [RelationID: Relation] = [:]
        var pending: [(relation: Relation, change: RecordingTarget.AppliedChange)] = []
        var commitLSN = LSN.zero
        var ordinal: UInt64 = 0
        var accepted: Cursor?
        var unflushed: [(relation: Relation, change: RecordingTarget.AppliedChange)] = []
    }

    /// `flushes`: writes are accepted only, and applied by `flush`.
    private let flushes: Bool

    package init(
        _ target: RecordingTarget, topics: @escaping @Sendable (String) -> Bool = { _ in true }, flushes: Bool = false,
        batchByteLimit: Int = 1 << 16
    ) {
        self.target = target
        self.topics = topics
        self.flushes = flushes
        self.batchByteLimit = batchByteLimit
    }

    package func start(after stored: Cursor?, logID: UInt64) throws(ConnectorError) -> Cursor? {
        target.begin()
        guard target.keepsCursor else { return stored }
        return target.cursor.flatMap { $0.logID == logID ? $0 : nil }
    }

    package func write(_ batch: ChangeBatch) throws(ConnectorError) -> Delivery {
        guard target.waitWhileHeld(isInterrupted) else {
            throw ConnectorError(.transient, code: "interrupted", "the write was interrupted")
        }
        let fault = target.takeFault()
        if case .reject(let error)? = fault { throw error }
        do { try read(batch) } catch {
            throw ConnectorError(.protocolViolation, code: "malformed", error.description)
        }
        if flushes {
            if case .failAfterWork(let error)? = fault {
                _ = try flush()
                throw error
            }
            return .accepted
        }
        let cursor = try flush()
        if case .failAfterWork(let error)? = fault { throw error }
        return cursor.map { .durable(through: $0) } ?? .accepted
    }

    package func flush() throws(ConnectorError) -> Cursor? {
        let (changes, cursor) = state.update { state in
            defer { state.unflushed = [] }
            return (state.unflushed, state.accepted)
        }
        if let cursor { target.apply(changes, through: cursor) }
        return cursor
    }

    package func tick() throws(ConnectorError) -> Cursor? { nil }
    package func stop() {}
    package func interrupt() { isInterrupted.update { $0 = true } }
    package func status() -> SinkStatus { state.read { $0.status } }

    private func read(_ batch: ChangeBatch) throws(MalformedRecord) {
        try state.update { state throws(MalformedRecord) in
            state.relations.merge(batch.relations) { $1 }
            var reader = batch.records()
            while let record = try reader.next() {
                try note(record, &state)
                if case .commit = record {
                    state.unflushed += state.pending
                    state.pending = []
                    state.status.transactions += 1
                    state.accepted = batch.cursor(
                        behind: reader.offset, commitLSN: state.commitLSN, ordinal: state.ordinal)
                }
            }
        }
    }

    private func note(_ record: Record, _ state: inout State) throws(MalformedRecord) {
        switch record {
        case .begin(let info):
            state.commitLSN = info.commitLSN
            state.ordinal = info.firstOrdinal
        case .commit, .sourceState, .message: break
        case .relation(let bytes):
            var reader = ByteReader(bytes)
            let relation = try Relation.decode(&reader)
            state.relations[relation.id] = relation
        case .insert(let id, _, let new): add(.insert(new.testValues), id, &state)
        case .update(let id, _, let old, let new):
            add(.update(new.testValues, key: old?.tuple.testValues), id, &state)
        case .delete(let id, _, let old): add(.delete(old.tuple.testValues), id, &state)
        case .truncate(_, let view): for id in view.relations { add(.truncate, id, &state) }
        case .load(let id, let phase):
            if phase == .begin, let relation = state.relations[id], topics(relation.topic) {
                state.pending.append((relation, .init(change: .loadBegin, position: "")))
            }
        }
    }

    private func add(_ change: TestChange, _ id: RelationID, _ state: inout State) {
        let position = "\(state.commitLSN):\(state.ordinal)"
        state.ordinal += 1
        guard let relation = state.relations[id], topics(relation.topic) else { return }
        state.pending.append((relation, .init(change: .change(change), position: position)))
        state.status.changes += 1
        state.status.changesByTable[relation.qualifiedName, default: 0] += 1
    }
}

/// The class `recording-sink`: writes to a `RecordingTarget` named by its property `target`.
package final class RecordingSinkPlugin: SinkPlugin {
    private let targets = Monitor<[String: RecordingTarget]>([:])

    package init() {}

    /// Made on first use. `keepsCursor` counts then.
    package func target(_ name: String, keepsCursor: Bool = true) -> RecordingTarget {
        targets.update { targets in
            if let target = targets[name] { return target }
            let target = RecordingTarget(keepsCursor: keepsCursor)
            targets[name] = target
            return target
        }
    }

    package var className: String { "recording-sink" }
    package var aliases: [String] { ["org.example.RecordingSinkConnector"] }
    package var definition: ConfigDefinition {
        ConfigDefinition(keys: [
            ConfigKey("target", .string, required: true, importance: .high, "Name of the target."),
            ConfigKey("source", .string, "Name of a source connector."),
            ConfigKey("topics", .list, "Topics to read."),
            ConfigKey("topics.regex", .string, "Topics to read, as a regular expression."),
        ])
    }

    package func preflight(_ config: ConnectorConfig) -> [ConfigFinding] { [] }

    package func makeSink(
        _ config: ConnectorConfig, source: SourceDescription, topics: TopicSelection, _ context: TaskContext
    ) throws(ConnectorError) -> any Sink {
        let matches: @Sendable (String) -> Bool
        switch topics {
        case .all: matches = { _ in true }
        case .names(let names): matches = { names.contains($0) }
        case .pattern(let pattern): matches = { (try? Regex(pattern).wholeMatch(in: $0)) != nil }
        }
        let name = config["target"] ?? ""
        let target = target(config["target.per.source"] == "true" ? "\(name).\(source.topicPrefix)" : name)
        return RecordingSink(target, topics: matches, flushes: config["flushes"] == "true")
    }
}
