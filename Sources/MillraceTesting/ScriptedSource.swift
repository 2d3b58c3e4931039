package import MillraceCore

/// A foreign system that a test writes to: commits in order, a position up to which it may forget, and trouble on demand.
package final class ScriptedServer: Sendable {
    package let topicPrefix: String
    private let state = Monitor(State())

    struct Commit: Sendable {
        var lsn: UInt64
        var endLSN: UInt64
        var changes: [(relation: Relation, change: TestChange)]
    }

    private struct State {
        var initial: [(relation: Relation, change: TestChange)] = []
        var commits: [Commit] = []
        var tables = TestTables()
        var nextLSN: UInt64 = 1000
        var acknowledged = LSN.zero
        var isStopRequested = false
        var errors: [ConnectorError] = []
        var breaksInsideTransaction = false
        var runs = 0
        var log: RecoveredLog?
    }

    package init(topicPrefix: String) {
        self.topicPrefix = topicPrefix
    }

    // MARK: What the test does

    /// Rows that are there before the source is.
    package func load(_ relation: Relation, _ rows: [[TestValue]]) {
        state.update { state in
            for row in rows {
                state.initial.append((relation, .insert(row)))
                state.tables.apply(.insert(row), to: relation)
            }
        }
    }

    /// Commits a transaction. Returns the LSN at its end.
    @discardableResult
    package func commit(_ changes: [(relation: Relation, change: TestChange)]) -> LSN {
        state.update { state in
            for (relation, change) in changes { state.tables.apply(change, to: relation) }
            let lsn = state.nextLSN
            state.nextLSN += 100
            state.commits.append(Commit(lsn: lsn, endLSN: lsn + 8, changes: changes))
            return LSN(lsn + 8)
        }
    }

    @discardableResult
    package func insert(_ relation: Relation, _ values: [TestValue]) -> LSN {
        commit([(relation, .insert(values))])
    }

    /// The connection breaks with this error, once the source has sent what is there.
    package func fail(_ error: ConnectorError) {
        state.update { $0.errors.append(error) }
    }

    /// The connection breaks in the middle of the next transaction that is sent.
    package func breakInsideNextTransaction() {
        state.update { $0.breaksInsideTransaction = true }
    }

    package var tables: TestTables { state.read { $0.tables } }
    package var acknowledged: LSN { state.read { $0.acknowledged } }
    package var runs: Int { state.read { $0.runs } }
    /// What the log held when the source was started last.
    package var recovered: RecoveredLog? { state.read { $0.log } }

    /// Waits until everything up to `lsn` was acknowledged.
    package func waitForAcknowledgement(of lsn: LSN, timeout: Duration = .seconds(10)) -> Bool {
        state.wait(for: timeout) { $0.acknowledged >= lsn ? true : nil } ?? false
    }

    package func waitForRuns(_ count: Int, timeout: Duration = .seconds(10)) -> Bool {
        state.wait(for: timeout) { $0.runs >= count ? true : nil } ?? false
    }

    // MARK: What the source does

    func begin(_ log: RecoveredLog) {
        state.update {
            $0.runs += 1
            $0.log = log
            // A server whose slot is read from an older place sends again what it has not been told to forget.
        }
    }

    func acknowledge(_ lsn: LSN) {
        guard state.read({ $0.acknowledged < lsn }) else { return }
        state.update { $0.acknowledged = max($0.acknowledged, lsn) }
    }

    var initialRows: [(relation: Relation, change: TestChange)] { state.read { $0.initial } }

    enum Event: Sendable {
        case commit(Commit, breaks: Bool)
        case broken(ConnectorError)
        case nothing
    }

    /// The next thing behind `lsn`; `.nothing` after a short while without any.
    func next(after lsn: LSN, isStopped: Monitor<Bool>) -> Event {
        state.wait(for: .milliseconds(2)) { state in
            if isStopped.read({ $0 }) { return .nothing }
            if let commit = state.commits.first(where: { $0.endLSN > lsn.value }) {
                defer { state.breaksInsideTransaction = false }
                return .commit(commit, breaks: state.breaksInsideTransaction)
            }
            return state.errors.isEmpty ? nil : .broken(state.errors.removeFirst())
        } ?? .nothing
    }
}

/// The class `scripted-source`: reads `ScriptedServer`s, found by `topic.prefix`.
package final class ScriptedSourcePlugin: SourcePlugin {
    private let servers = Monitor<[String: ScriptedServer]>([:])

    package init() {}

    package func server(_ topicPrefix: String) -> ScriptedServer {
        servers.update { servers in
            if let server = servers[topicPrefix] { return server }
            let server = ScriptedServer(topicPrefix: topicPrefix)
            servers[topicPrefix] = server
            return server
        }
    }

    package var className: String { "scripted-source" }
    package var aliases: [String] { ["org.example.ScriptedSourceConnector"] }

    package var definition: ConfigDefinition {
        ConfigDefinition(keys: [
            ConfigKey("topic.prefix", .string, required: true, importance: .high, "First part of every topic."),
            ConfigKey("secret", .password, "Nothing; for tests of what comes back."),
        ])
    }

    package func preflight(_ config: ConnectorConfig) -> [ConfigFinding] { [] }
    package func topicPrefix(_ config: ConnectorConfig) -> String { config["topic.prefix"] ?? "" }

    package func makeSource(_ config: ConnectorConfig, _ context: TaskContext) throws(ConnectorError) -> any Source {
        if let problem = config["scripted.error"] {
            throw ConnectorError(.configuration, code: "scripted", problem)
        }
        return ScriptedSource(server(topicPrefix(config)))
    }
}

/// Reads a `ScriptedServer` as a careful source reads a replication slot.
package final class ScriptedSource: Source {
    private let server: ScriptedServer
    private let isStopped = Monitor(false)
    private let state = Monitor(SourceStatus(phase: .starting))

    package init(_ server: ScriptedServer) {
        self.server = server
    }

    package func stop() {
        isStopped.update { $0 = true }
    }

    package func status() -> SourceStatus { state.read { $0 } }

    package func run(into output: any SourceOutput) throws(ConnectorError) {
        var position = output.recovered.lastEndLSN ?? .zero
        server.begin(output.recovered)
        try output.rollBackOpenTransaction()
        if output.recovered.lastEndLSN == nil { position = try sendInitialRows(output) }
        state.update { $0.phase = .streaming }
        while !isStopped.read({ $0 }) {
            server.acknowledge(output.durableLSN)
            switch server.next(after: position, isStopped: isStopped) {
            case .nothing: break
            case .broken(let error):
                guard try output.waitUntilDrained(timeout: .seconds(10)) else { break }
                server.acknowledge(output.durableLSN)
                throw error
            case .commit(let commit, let breaks):
                guard try send(commit, output, breaks: breaks) else { break }
                position = LSN(commit.endLSN)
            }
        }
        server.acknowledge(output.durableLSN)
    }

    private func sendInitialRows(_ output: any SourceOutput) throws(ConnectorError) -> LSN {
        let rows = server.initialRows
        let lsn: UInt64 = 500
        state.update {
            $0.phase = .snapshot
            $0.snapshotLSN = LSN(lsn)
        }
        guard !rows.isEmpty else { return .zero }
        let buffer = output.makeBuffer()
        let info = TransactionInfo(
            flags: .snapshot, xid: 0, commitLSN: LSN(lsn), endLSN: LSN(lsn),
            commitTime: Timestamp(microsecondsSince2000: 0))
        let transaction = TransactionBuilder(info, into: buffer)
        var relations: [Relation] = []
        for (relation, _) in rows where !relations.contains(where: { $0.id == relation.id }) {
            relations.append(relation)
        }
        for relation in relations {
            transaction.relation(relation)
            transaction.load(relation, .begin)
            for (other, change) in rows where other.id == relation.id { note(relation, change, transaction) }
            transaction.load(relation, .end)
        }
        transaction.sourceState("loaded")
        transaction.commit()
        while try !output.submit(buffer, timeout: .milliseconds(20)) {
            if isStopped.read({ $0 }) { throw .stopped }
        }
        return LSN(lsn)
    }

    /// False when it was asked to stop before the log took it.
    private func send(
        _ commit: ScriptedServer.Commit, _ output: any SourceOutput, breaks: Bool
    ) throws(ConnectorError) -> Bool {
        let buffer = output.makeBuffer()
        let info = TransactionInfo(
            flags: [], xid: UInt32(commit.lsn), commitLSN: LSN(commit.lsn), endLSN: LSN(commit.endLSN),
            commitTime: Timestamp(microsecondsSince2000: Int64(commit.lsn)))
        let transaction = TransactionBuilder(info, into: buffer)
        var known: Set<RelationID> = []
        for (relation, change) in commit.changes {
            if known.insert(relation.id).inserted { transaction.relation(relation) }
            note(relation, change, transaction)
        }
        if !breaks { transaction.commit() }
        while try !output.submit(buffer, timeout: .milliseconds(20)) {
            if isStopped.read({ $0 }) { return false }
        }
        if breaks { throw ConnectorError(.transient, code: "broken", "the connection broke inside a transaction") }
        state.update {
            $0.transactions += 1
            $0.lastXID = info.xid
            $0.lastCommitTime = info.commitTime
            $0.receivedLSN = info.endLSN
            $0.serverLSN = info.endLSN
            $0.acknowledgedLSN = output.durableLSN
        }
        return true
    }

    private func note(_ relation: Relation, _ change: TestChange, _ transaction: TransactionBuilder) {
        switch change {
        case .insert(let values): transaction.insert(relation, values)
        case .update(let values, let key): transaction.update(relation, key: key, new: values)
        case .delete(let key): transaction.delete(relation, key: key)
        case .truncate: transaction.truncate([relation])
        }
        state.update { state in
            let index =
                state.tables.firstIndex { $0.topic == relation.topic }
                ?? {
                    state.tables.append(
                        .init(name: relation.qualifiedName, topic: relation.topic, state: .streaming))
                    return state.tables.count - 1
                }()
            state.tables[index].inserts += 1
        }
    }
}
