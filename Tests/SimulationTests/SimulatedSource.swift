import MillraceCore

@testable import MillraceRuntime
@testable import PostgresConnector

/// What the PostgreSQL source does, around its own `TransactionAssembler`, a step at a time: loads, streams, reconnects.
// SAFETY: one thread runs a simulation.
final class SimulatedSource: Source, @unchecked Sendable {
    private enum Phase {
        case start
        case resetting(UInt64)
        case noting
        case loading(Epoch, Int)
        case connecting
        case streaming
    }

    /// What is stored in the log with the changes.
    struct Stored {
        var isLoading: Bool
        var confirmed: UInt64

        init?(_ bytes: [UInt8]) {
            let text = String(decoding: bytes, as: UTF8.self)
            if text == "loading" {
                self.init(isLoading: true)
            } else if let lsn = UInt64(text) {
                self.init(isLoading: false, confirmed: lsn)
            } else {
                return nil
            }
        }

        init(isLoading: Bool, confirmed: UInt64 = 0) {
            self.isLoading = isLoading
            self.confirmed = confirmed
        }

        var bytes: [UInt8] { Array((isLoading ? "loading" : String(confirmed)).utf8) }
    }

    private unowned let world: World
    private(set) var isStopped = false
    private var phase = Phase.start
    private var feed: Feed?
    private var session: Session?
    private var stored: Stored?
    /// Where the log ends, as far as we know.
    private var position: UInt64 = 0
    private var lastCommitLSN = LSN.zero
    private var table = RelationTable()
    private var counts = SourceCounts()

    init(_ world: World) { self.world = world }

    /// Never called: the simulation takes the steps.
    func run(into output: any SourceOutput) throws(ConnectorError) { throw .stopped }
    func stop() { isStopped = true }
    func status() -> SourceStatus { SourceStatus(phase: .streaming) }

    /// Whether the session before has been wound up.
    var canReconnect: Bool {
        if case .connecting = phase { return true }
        return false
    }

    /// Whether everything that the server has was received and handed over.
    var isAtRest: Bool {
        guard case .streaming = phase, let session else { return false }
        return session.isDry && session.assembler.buffer.isEmpty && session.assembler.isBetweenTransactions
    }

    func step(_ output: LogWriter) throws(ConnectorError) {
        switch phase {
        case .start: try start(output)
        case .resetting(let target):
            guard try output.wait(until: target, timeout: .zero) else { return }
            try note(output)
        case .noting:
            guard try output.waitUntilDrained(timeout: .zero) else { return }
            phase = .loading(world.beginLoad(output.recovered.logID), 0)
        case .loading(let epoch, let part): try load(epoch, part, output)
        case .connecting: try connect(output)
        case .streaming: try stream(output)
        }
    }

    // MARK: Start and load

    private func start(_ output: LogWriter) throws(ConnectorError) {
        let recovered = output.recovered
        stored = Stored(recovered.sourceState)
        position = max(recovered.lastEndLSN?.value ?? 0, stored?.confirmed ?? 0)
        lastCommitLSN = recovered.lastCommitLSN ?? .zero
        feed = Feed(world, output)
        if let stored, !stored.isLoading {
            phase = .connecting
        } else if stored != nil || recovered.lastCommitLSN != nil {
            world.count(\.resets)
            world.isResetting = true
            phase = .resetting(try output.requestReset())
        } else {
            try note(output)
        }
    }

    /// A load is begun when the log says so.
    private func note(_ output: LogWriter) throws(ConnectorError) {
        let buffer = output.makeBuffer()
        Stored(isLoading: true).bytes.withUnsafeBytes { buffer.sourceState($0) }
        try feed?.submit(buffer)
        phase = .noting
    }

    private func load(_ epoch: Epoch, _ part: Int, _ output: LogWriter) throws(ConnectorError) {
        guard part < epoch.load.count else {
            guard try output.waitUntilDrained(timeout: .zero) else { return }
            lastCommitLSN = LSN(epoch.consistentLSN)
            position = epoch.consistentLSN
            phase = .connecting
            return
        }
        let rows = epoch.load[part]
        let buffer = output.makeBuffer()
        buffer.begin(
            TransactionInfo(
                flags: .snapshot, xid: 0, commitLSN: LSN(rows.commitLSN), endLSN: LSN(rows.endLSN),
                commitTime: Timestamp(microsecondsSince2000: Int64(rows.commitLSN)), firstOrdinal: rows.firstOrdinal))
        for id in rows.loads {
            buffer.relation(try describe(id, epoch.versions[id] ?? 0))
            buffer.load(RelationID(id), .begin)
            for change in rows.changes where change.table == id {
                // Behind the message's kind and the relation's id.
                PgOutput.change(change).dropFirst(5).withUnsafeBytes {
                    buffer.row(RecordKind.insert, relation: RelationID(id), lsn: LSN(rows.commitLSN), body: $0)
                }
            }
            buffer.load(RelationID(id), .end)
        }
        if part == epoch.load.count - 1 {
            let state = Stored(isLoading: false, confirmed: epoch.consistentLSN)
            state.bytes.withUnsafeBytes { buffer.sourceState($0) }
            stored = state
        }
        buffer.commit(changeCount: rows.firstOrdinal + UInt64(rows.changes.count))
        try feed?.submit(buffer)
        phase = .loading(epoch, part + 1)
    }

    private func describe(_ id: UInt32, _ version: Int) throws(ConnectorError) -> Relation {
        do {
            let message = try PgOutput.relation(id, version).withUnsafeBytes { bytes throws(MalformedRecord) in
                try PgOutputDecoder.relation(bytes, inStream: false)
            }
            return Session.describe(message).relation
        } catch {
            throw world.failure("\(error)")
        }
    }

    // MARK: Streaming

    private func connect(_ output: LogWriter) throws(ConnectorError) {
        guard let feed else { return }
        guard world.server.confirmed <= position else {
            throw ConnectorError(.consistency, code: "slot_ahead", "the slot stands further than the log")
        }
        // The server begins where the slot stands if that is behind what is asked for; it may even be asked for less.
        let from = world.chance(30) ? world.server.confirmed : position
        session = Session(
            world, feed, Walsender(from: from),
            TransactionAssembler(
                feed: feed, lastCommitLSN: lastCommitLSN, table: table, counts: counts,
                messagePrefixes: NameFilter(included: nil, excluded: nil),
                describe: { (message, _) throws(ConnectorError) in Session.describe(message) }),
            confirmed: stored?.confirmed ?? 0)
        phase = .streaming
    }

    private func stream(_ output: LogWriter) throws(ConnectorError) {
        guard let session else { return }
        do throws(ConnectorError) {
            if world.breaksConnection(insideTransaction: session.assembler.hasSubmittedPart) {
                throw world.trouble("connection_lost")
            }
            try session.step(output)
        } catch {
            try keep(output)
            throw error
        }
    }

    /// After the end of a session: forgets what the server will send again.
    private func keep(_ output: LogWriter) throws(ConnectorError) {
        guard let session else { return }
        try session.assembler.rollBack()
        table = session.assembler.table
        counts = session.assembler.counts
        lastCommitLSN = session.assembler.lastCommitLSN
        while !(try output.waitUntilDrained(timeout: .zero)) { try world.whileBlocked(.source) }
        stored?.confirmed = session.confirmed
        position = max(position, output.durableLSN.value, session.confirmed)
        self.session = nil
        phase = .connecting
    }

    /// An orderly end.
    func close(_ output: LogWriter) throws(ConnectorError) {
        guard let session else { return }
        if session.assembler.open == nil { try session.assembler.handOver() }
        try keep(output)
        world.acknowledge(position)
    }
}

/// One connection of a `SimulatedSource`: takes messages, hands over, acknowledges.
final class Session {
    private let world: World
    private let feed: Feed
    private var walsender: Walsender
    var assembler: TransactionAssembler
    /// The place that was last stored for WAL that holds nothing of ours.
    private(set) var confirmed: UInt64
    private var pending: UInt64?
    private(set) var isDry = false

    init(
        _ world: World, _ feed: Feed, _ walsender: Walsender, _ assembler: consuming TransactionAssembler,
        confirmed: UInt64
    ) {
        self.world = world
        self.feed = feed
        self.walsender = walsender
        self.assembler = assembler
        self.confirmed = confirmed
    }

    func step(_ output: LogWriter) throws(ConnectorError) {
        isDry = false
        for _ in 0...world.below(12) {
            guard let message = walsender.next(world.server) else {
                isDry = true
                assembler.noteIdle(LSN(world.server.lsn))
                break
            }
            let outcome = message.bytes.withUnsafeBytes { bytes -> ConnectorError? in
                do throws(ConnectorError) {
                    try assembler.take(bytes, lsn: LSN(message.lsn))
                    return nil
                } catch {
                    return error
                }
            }
            if let error = outcome {
                guard error.kind == .transient || error.kind == .stopped || error.code.hasPrefix("log_") else {
                    throw world.failure("the assembler refused a message: \(error)")
                }
                throw error
            }
        }
        if isDry || world.chance(50) {
            let isDone = try assembler.handOverIfReady()
            if !isDone && world.chance(60) {
                if assembler.open?.isBegun == true { world.count(\.parts) }
                try assembler.handOver()
            }
        }
        try confirmIdle()
        if world.chance(50) { acknowledge(output) }
    }

    /// As `StreamingSession` does: what is acknowledged is stored first.
    private func confirmIdle() throws(ConnectorError) {
        let idle = assembler.idleLSN.value
        guard idle > max(assembler.submittedEndLSN.value, confirmed), pending == nil,
            assembler.isBetweenTransactions, world.chance(20)
        else { return }
        assembler.append(state: SimulatedSource.Stored(isLoading: false, confirmed: idle).bytes)
        pending = idle
        try assembler.handOver()
    }

    private func acknowledge(_ output: LogWriter) {
        if let lsn = pending, output.isDrained {
            confirmed = lsn
            pending = nil
            world.acknowledge(lsn)
        }
        world.acknowledge(output.durableLSN.value)
    }

    static func describe(_ message: PgOutputRelation) -> CapturedRelation {
        let columns = message.columns.enumerated().map { index, column in
            Column(
                name: column.name, attributeNumber: Int16(index + 1), typeOID: column.typeOID, typeName: "text",
                isNotNull: column.isKey, isReplicaIdentity: column.isKey)
        }
        return CapturedRelation(
            relation: Relation(
                id: RelationID(message.oid), namespace: message.namespace, name: message.name,
                topic: "srv.public.\(message.name)", replicaIdentity: .primaryKey, columns: columns, primaryKey: [0]),
            isCaptured: true)
    }
}

/// The way from the assembler to the log. Where the real one waits for a busy log, everybody else goes on.
final class Feed: LogFeeding {
    private let world: World
    private let output: LogWriter

    init(_ world: World, _ output: LogWriter) {
        self.world = world
        self.output = output
    }

    func makeBuffer() -> RecordBuffer { output.makeBuffer() }

    func submit(_ buffer: RecordBuffer) throws(ConnectorError) {
        while !(try output.submit(buffer, timeout: .zero)) { try world.whileBlocked(.source) }
    }

    func offer(_ buffer: RecordBuffer) throws(ConnectorError) -> Bool {
        try output.submit(buffer, timeout: .zero)
    }

    func makeSpool(xid: UInt32) throws(ConnectorError) -> any TransactionSpool { try output.makeSpool(xid: xid) }

    func submit(_ spool: any TransactionSpool, _ info: TransactionInfo) throws(ConnectorError) {
        while !(try output.submit(spool, info, timeout: .zero)) { try world.whileBlocked(.source) }
    }

    func rollBackOpenTransaction() throws(ConnectorError) { try output.rollBackOpenTransaction() }
}

/// Makes `SimulatedSource`s.
// SAFETY: one thread runs a simulation.
final class SimulatedSourcePlugin: SourcePlugin, @unchecked Sendable {
    private unowned let world: World

    init(_ world: World) { self.world = world }

    let className = "simulated-source"
    let aliases: [String] = []
    let definition = ConfigDefinition(keys: [])
    func preflight(_ config: ConnectorConfig) -> [ConfigFinding] { [] }
    func topicPrefix(_ config: ConnectorConfig) -> String { "srv" }

    func makeSource(_ config: ConnectorConfig, _ context: TaskContext) throws(ConnectorError) -> any Source {
        SimulatedSource(world)
    }
}
