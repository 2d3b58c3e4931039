import Logging
import MillraceCore
import MillraceLog
import MillraceTesting
import Testing

@testable import MillraceRuntime

@Suite(.timeLimit(.minutes(1))) struct SinkTaskTests {
    private let customers = Relation.table(1, "customers", [.int4("id", key: true), .text("name")])

    /// A log, what a source has committed to it, and a sink task that reads it.
    private final class Bench: Sendable {
        let log = MemoryLog()
        let host: LogHost
        let store = MemoryCursorStore()
        let plugin = RecordingSinkPlugin()
        let oracle = Monitor(TestTables())
        let nextLSN = Monitor<UInt64>(100)

        init() {
            host = LogHost(
                connector: "src", directory: "/dev/null", log: log, settings: LogSettings(),
                logger: .quiet)
        }

        func target(keepsCursor: Bool = true) -> RecordingTarget { plugin.target("t", keepsCursor: keepsCursor) }

        func commit(_ relation: Relation, _ changes: [TestChange]) throws {
            let lsn = nextLSN.update { lsn in
                defer { lsn += 100 }
                return lsn
            }
            let buffer = RecordBuffer()
            let info = TransactionInfo(
                flags: [], xid: 1, commitLSN: LSN(lsn), endLSN: LSN(lsn + 8),
                commitTime: Timestamp(microsecondsSince2000: 0))
            let transaction = TransactionBuilder(info, into: buffer)
            transaction.relation(relation)
            for change in changes {
                switch change {
                case .insert(let values): transaction.insert(relation, values)
                case .update(let values, let key): transaction.update(relation, key: key, new: values)
                case .delete(let key): transaction.delete(relation, key: key)
                case .truncate: transaction.truncate([relation])
                }
                oracle.update { $0.apply(change, to: relation) }
            }
            transaction.commit()
            try log.append(buffer)
            _ = try log.flush()
        }

        func makeTask(config: [String: String] = [:], topics: TopicSelection = .all) -> SinkTask {
            var config = config
            config["target"] = "t"
            config["retriable.restart.connector.wait.ms"] = config["retriable.restart.connector.wait.ms"] ?? "1"
            let setup = SinkTask.Setup(
                connector: "snk", plugin: plugin, config: ConnectorConfig(config),
                source: SourceDescription(connectorName: "src", topicPrefix: "srv", config: ConnectorConfig([:])),
                topics: topics, store: store, stored: store.cursor, logger: .quiet,
                checkpointInterval: .zero, tickInterval: .milliseconds(2))
            return SinkTask(setup, id: 0, host: host)
        }

        func waitForEquality() -> Bool { target().wait(until: oracle.read { $0 }) }

        func waitForState(_ task: SinkTask, _ phase: TaskRunner.Phase) -> Bool {
            for _ in 0..<5000 {
                if task.runner.snapshot.phase == phase { return true }
                _ = Monitor(0).wait(for: .milliseconds(1)) { _ -> Bool? in nil }
            }
            return false
        }
    }

    @Test func whatIsCommittedArrivesOnceAndInOrder() throws {
        let bench = Bench()
        for id in 0..<50 {
            try bench.commit(customers, [.insert([.text("\(id)"), "x"]), .insert([.text("-\(id)"), "y"])])
        }
        let task = bench.makeTask()
        task.start()
        try bench.commit(customers, [.update(["3", .unchanged]), .delete(["4", nil])])
        #expect(bench.waitForEquality())
        #expect(TaskStopping.stop([task]).isEmpty)
        let history = bench.target().history
        #expect(history.count == 102)
        #expect(history == history.sorted { position($0) < position($1) })
        #expect(Set(history).count == history.count)
        #expect(bench.store.cursor == bench.log.durable)
    }

    private func position(_ text: String) -> UInt64 {
        let parts = text.split(separator: ":")
        return (parts.first.flatMap { LSN($0)?.value } ?? 0) * 1000 + (parts.last.flatMap { UInt64($0) } ?? 0)
    }

    @Test(arguments: [true, false])
    func errorsOfTheSinkLoseAndRepeatNothing(keepsCursor: Bool) throws {
        let bench = Bench()
        let target = bench.target(keepsCursor: keepsCursor)
        let trouble = ConnectorError(.transient, code: "gone", "the server went away")
        target.plan([.reject(trouble), .failAfterWork(trouble), .none, .reject(trouble), .failAfterWork(trouble)])
        let task = bench.makeTask()
        task.start()
        for id in 0..<40 {
            try bench.commit(customers, [.insert([.text("\(id)"), "a"])])
            try bench.commit(customers, [.update([.text("\(id)"), "b"])])
            // Each of the first comes in a write of its own, so that every fault has its turn.
            if id < 5 { #expect(bench.waitForEquality()) }
        }
        #expect(bench.waitForEquality())
        #expect(TaskStopping.stop([task]).isEmpty)
        #expect(task.details.retries == 4)
        if keepsCursor { #expect(Set(target.history).count == target.history.count) }
    }

    @Test func aSinkThatOnlyAcceptsIsFlushedWhenTheLogIsIdle() throws {
        let bench = Bench()
        try bench.commit(customers, [.insert(["1", "a"])])
        let task = bench.makeTask(config: ["flushes": "true"])
        task.start()
        #expect(bench.waitForEquality())
        #expect(TaskStopping.stop([task]).isEmpty)
        #expect(bench.store.cursor == bench.log.durable)
    }

    @Test func refusedDataFailsTheTaskAndKeepsWhatWasDurable() throws {
        let bench = Bench()
        try bench.commit(customers, [.insert(["1", "a"])])
        let task = bench.makeTask()
        task.start()
        #expect(bench.waitForEquality())
        let durable = bench.log.durable
        bench.target().plan([.reject(ConnectorError(.data, code: "refused", "value out of range", hint: "ALTER TABLE"))]
        )
        try bench.commit(customers, [.insert(["2", "b"])])
        #expect(bench.waitForState(task, .failed))
        #expect(task.info.state == "FAILED")
        #expect(task.info.trace?.contains("refused: value out of range") == true)
        #expect(task.info.trace?.contains("ALTER TABLE") == true)
        #expect(bench.store.cursor == durable)
        #expect(TaskStopping.stop([task]).isEmpty)
    }

    @Test func aRetryingTaskRunsWithTheTraceOfItsError() throws {
        let bench = Bench()
        let error = ConnectorError(.transient, code: "gone", "the server went away")
        bench.target().plan(Array(repeating: .reject(error), count: 1))
        try bench.commit(customers, [.insert(["1", "a"])])
        let task = bench.makeTask(config: ["retriable.restart.connector.wait.ms": "60000"])
        task.start()
        let seen = (0..<5000).contains { _ in
            _ = Monitor(0).wait(for: .milliseconds(1)) { _ -> Bool? in nil }
            return task.info.trace?.contains("gone") == true
        }
        #expect(seen)
        #expect(task.info.state == "RUNNING")
        // It waits for a minute, but a stop is a stop.
        #expect(TaskStopping.stop([task], within: .seconds(5)).isEmpty)
    }

    @Test func retriesCanBeLimited() throws {
        let bench = Bench()
        let error = ConnectorError(.transient, code: "gone", "the server went away")
        bench.target().plan(Array(repeating: .reject(error), count: 100))
        try bench.commit(customers, [.insert(["1", "a"])])
        let task = bench.makeTask(config: ["errors.max.retries": "0"])
        task.start()
        #expect(bench.waitForState(task, .failed))
        #expect(TaskStopping.stop([task]).isEmpty)
    }

    @Test func aSinkThatConnectsButNeverWritesIsGivenUp() throws {
        let bench = Bench()
        let error = ConnectorError(.transient, code: "gone", "the server went away")
        bench.target().plan(Array(repeating: .reject(error), count: 100))
        try bench.commit(customers, [.insert(["1", "a"])])
        let task = bench.makeTask(config: ["errors.max.retries": "3"])
        task.start()
        #expect(bench.waitForState(task, .failed))
        #expect(bench.target().starts == 4)
        #expect(TaskStopping.stop([task]).isEmpty)
    }

    @Test func aSinkThatHangsIsInterrupted() throws {
        let bench = Bench()
        bench.target().hold()
        try bench.commit(customers, [.insert(["1", "a"])])
        let task = bench.makeTask()
        task.start()
        #expect(bench.target().waitForStarts(1))
        #expect(TaskStopping.stop([task], within: .milliseconds(200)).isEmpty)
        bench.target().release()
        let again = bench.makeTask()
        again.start()
        #expect(bench.waitForEquality())
        #expect(TaskStopping.stop([again]).isEmpty)
    }

    @Test func anOlderStoredCursorRepeatsNothingInASinkThatKeepsItsOwn() throws {
        let bench = Bench()
        try bench.commit(customers, [.insert(["1", "a"])])
        let task = bench.makeTask()
        task.start()
        #expect(bench.waitForEquality())
        #expect(TaskStopping.stop([task]).isEmpty)
        bench.store.set(nil)
        let again = bench.makeTask()
        again.start()
        try bench.commit(customers, [.insert(["2", "b"])])
        #expect(bench.waitForEquality())
        #expect(TaskStopping.stop([again]).isEmpty)
        #expect(bench.target().history.count == 2)
    }

    @Test func onlyStoredCursorsLetTheLogGo() throws {
        let bench = Bench()
        bench.host.settings = LogSettings(ConnectorConfig(["log.retention.bytes": "0", "log.retention.ms": "-1"]))
        for id in 0..<5 { try bench.commit(customers, [.insert([.text("\(id)"), "a"])]) }
        bench.store.refuse(true)
        let task = bench.makeTask()
        task.start()
        #expect(bench.waitForEquality())
        bench.host.trim()
        #expect(bench.log.start.offset == 0)
        bench.store.refuse(false)
        #expect(bench.store.wait(for: bench.log.durable))
        #expect(TaskStopping.stop([task]).isEmpty)
        bench.host.trim()
        #expect(bench.log.start.offset > 0)
        bench.host.removeReader("snk")
    }

    @Test func aNewSinkOfATrimmedLogIsRefused() throws {
        let bench = Bench()
        for id in 0..<5 { try bench.commit(customers, [.insert([.text("\(id)"), "a"])]) }
        _ = try bench.log.trim(before: bench.log.durable.offset)
        let task = bench.makeTask()
        task.start()
        #expect(bench.waitForState(task, .failed))
        #expect(task.info.trace?.hasPrefix("log_trimmed") == true)
        #expect(bench.target().history.isEmpty)
        #expect(TaskStopping.stop([task]).isEmpty)
    }

    @Test func aSinkAheadOfTheLogIsRefused() throws {
        let bench = Bench()
        try bench.commit(customers, [.insert(["1", "a"])])
        bench.target().setCursor(Cursor(logID: 1, offset: 1 << 40, commitLSN: LSN(1), ordinal: 0))
        let task = bench.makeTask()
        task.start()
        #expect(bench.waitForState(task, .failed))
        #expect(task.info.trace?.hasPrefix("cursor_ahead") == true)
        #expect(TaskStopping.stop([task]).isEmpty)
    }

    @Test func aLogThatBeginsAnewIsReadFromItsBeginning() throws {
        let bench = Bench()
        try bench.commit(customers, [.insert(["1", "a"])])
        let task = bench.makeTask()
        task.start()
        #expect(bench.waitForEquality())
        try bench.log.reset()
        bench.oracle.update { $0.apply(.truncate, to: customers) }
        try bench.commit(customers, [.truncate, .insert(["9", "z"])])
        #expect(bench.waitForEquality())
        #expect(TaskStopping.stop([task]).isEmpty)
        #expect(bench.store.cursor?.logID == 2)
    }

    /// Everything between a sink's start and its first batch may belong to a log that is gone.
    @Test(arguments: [true, false])
    func aLogThatIsDiscardedWhileTheSinkStartsIsReadAnew(hasCursor: Bool) throws {
        let bench = Bench()
        try bench.commit(customers, [.insert(["1", "a"])])
        let task = bench.makeTask()
        let sink = DiscardingSink(log: bench.log, cursor: hasCursor ? bench.log.start : nil)
        let error = #expect(throws: ConnectorError.self) { try task.begin(sink) }
        #expect(error?.code == "log_discarded" && error?.kind == .transient)
    }

    @Test func tasksOnAFailedLogFail() throws {
        let bench = Bench()
        let task = bench.makeTask()
        task.start()
        bench.host.note(LogTrouble.failed(.failed(reason: "fsync")))
        #expect(bench.waitForState(task, .failed))
        #expect(TaskStopping.stop([task]).isEmpty)
    }

    @Test func onlyTheTopicsThatAreWantedArrive() throws {
        let bench = Bench()
        let orders = Relation.table(2, "orders", [.int4("id", key: true)])
        let task = bench.makeTask(topics: .names(["srv.public.orders"]))
        task.start()
        try bench.commit(customers, [.insert(["1", "a"])])
        bench.oracle.update { $0 = TestTables() }
        try bench.commit(orders, [.insert(["7"])])
        #expect(bench.waitForEquality())
        #expect(TaskStopping.stop([task]).isEmpty)
    }
}

/// Stores one cursor, or refuses to.
final class MemoryCursorStore: CursorStore {
    private let state = Monitor<(cursor: Cursor?, refuses: Bool)>((nil, false))

    var cursor: Cursor? { state.read { $0.cursor } }
    func set(_ cursor: Cursor?) { state.update { $0.cursor = cursor } }
    func refuse(_ refuses: Bool) { state.update { $0.refuses = refuses } }

    func wait(for cursor: Cursor) -> Bool {
        state.wait(for: .seconds(10)) { $0.cursor == cursor ? true : nil } ?? false
    }

    func setCursor(_ cursor: Cursor?, sink: String, source: String) throws(ConnectorError) {
        try state.update { state throws(ConnectorError) in
            if state.refuses { throw ConnectorError(.transient, code: "catalog_unavailable", "the disk is full") }
            state.cursor = cursor
        }
    }
}

/// The source begins its load anew while this sink starts.
private final class DiscardingSink: Sink {
    private let log: MemoryLog
    private let cursor: Cursor?

    init(log: MemoryLog, cursor: Cursor?) {
        self.log = log
        self.cursor = cursor
    }

    func start(after stored: Cursor?, logID: UInt64) throws(ConnectorError) -> Cursor? {
        do { try log.reset() } catch { throw error.connectorError }
        log.state.update { $0.start = 1000 }
        return cursor
    }

    func write(_ batch: ChangeBatch) throws(ConnectorError) -> Delivery { .accepted }
    func flush() throws(ConnectorError) -> Cursor? { nil }
    func tick() throws(ConnectorError) -> Cursor? { nil }
    func stop() {}
    func interrupt() {}
    func status() -> SinkStatus { SinkStatus() }
}
