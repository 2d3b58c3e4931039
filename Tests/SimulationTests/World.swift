import Logging
import MillraceCore
import MillraceLog
import MillraceTesting

@testable import MillraceRuntime

/// One run: a server, a process of ours with its disk, targets, and everything that goes wrong with them, under one
/// scheduler. The same seed makes the same run.
final class World {
    enum Actor: Hashable {
        case source
        case writer
        case sink(Int)
        case housekeeper
    }

    enum Moment {
        case start
        case write
        case flush
    }

    enum SinkFault {
        case none
        case failAfterWork
        case partial
    }

    let seed: UInt64
    var random: SeededGenerator
    var server: SimulatedServer
    let targets: [SimulatedTarget]
    var storage: SimulatedStorage
    private(set) var store: SimulatedCursorStore?
    let clock = ManualClock()
    let options: LogOptions
    let settings: LogSettings
    let queueByteLimit: Int
    let checkpointInterval: Duration
    /// Faults in a hundred steps.
    let severity: Int

    var process: Process?
    /// Those who are inside a call that takes long.
    var blocked: Set<Actor> = []
    /// Steps inside of the current one.
    private var inside = 0
    /// Nothing goes wrong any more.
    var isQuiet = false
    /// A bit was flipped. From then on the log may refuse, but not lie.
    var isDamaged = false
    var isRefused = false
    /// What readers of the log have been promised: number of transactions in the log of this id.
    var promised: (logID: UInt64, count: Int) = (0, 0)
    var isResetting = false
    var counts = Counts()
    private(set) var failed: Failure?
    private(set) var trace: UInt64 = 0xCBF2_9CE4_8422_2325
    /// Of the last steps, if they are kept.
    private(set) var lines: [String] = []
    let keepsLines: Bool

    init(seed: UInt64, keepsLines: Bool = false) {
        self.seed = seed
        self.keepsLines = keepsLines
        var random = SeededGenerator(seed: seed)
        server = SimulatedServer(seed: random.next())
        storage = SimulatedStorage(seed: random.next())
        options = LogOptions(
            segmentByteLimit: [500, 1500, 6000].randomElement(using: &random) ?? 500,
            frameByteLimit: [1, 150, 600].randomElement(using: &random) ?? 150,
            spoolMemoryByteLimit: [0, 200, 1000].randomElement(using: &random) ?? 0)
        var settings = LogSettings()
        settings.retention.byteLimit = [0, 3000, -1].randomElement(using: &random) ?? 0
        settings.retention.ageLimit = [.seconds(-1), .seconds(5)].randomElement(using: &random) ?? .zero
        if random.percent(20) { settings.maxByteCount = UInt64(options.segmentByteLimit * 4 + 30_000) }
        self.settings = settings
        queueByteLimit = [300, 2000, 1 << 20].randomElement(using: &random) ?? 300
        checkpointInterval = [.zero, .milliseconds(500)].randomElement(using: &random) ?? .zero
        severity = [2, 5, 12].randomElement(using: &random) ?? 5
        let count = Int(random.next() % 3) + 1
        targets = (0..<count).map { _ in
            SimulatedTarget(SimulatedTarget.Kind.allCases.randomElement(using: &random) ?? .flushing)
        }
        self.random = random
        store = SimulatedCursorStore(self)
    }

    // MARK: Dice

    func below(_ limit: Int) -> Int { Int(random.next() % UInt64(limit)) }
    func chance(_ percent: Int) -> Bool { random.percent(percent) }
    func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }
    func count(_ path: WritableKeyPath<Counts, Int>) { counts[keyPath: path] += 1 }

    // MARK: What is told of the run

    func note(_ what: @autoclosure () -> String, _ numbers: UInt64...) {
        for number in numbers + [UInt64(storage.calls), UInt64(process?.log.durable.offset ?? 0)] {
            trace = (trace ^ number) &* 0x0100_0000_01B3
        }
        guard keepsLines else { return }
        lines.append("\(counts.steps): \(what()) [call \(storage.calls), durable \(process?.log.durable.offset ?? 0)]")
        if lines.count > 120 { lines.removeFirst(60) }
    }

    func fail(_ text: String) {
        if failed == nil { failed = Failure(text) }
    }

    /// An invariant is broken. The error unwinds whoever is at work.
    func failure(_ text: String) -> ConnectorError {
        // On damaged bytes that nobody has refused so far, what is decoded is the finding.
        fail(text)
        return ConnectorError(.bug, code: "simulation", text)
    }

    func trouble(_ code: String) -> ConnectorError { ConnectorError(.transient, code: code, code) }

    // MARK: The run

    func run(steps: Int) throws {
        open()
        for _ in 0..<steps where failed == nil && !isRefused {
            step()
            afterStep()
        }
        if failed == nil && !isRefused { rest() }
        if failed == nil && !isRefused { lastCrash() }
        counts.seeds = 1
        counts.transactions = server.oracle.committed.count
        for stream in server.streams where stream.decoded > 0 {
            if stream.commitLSN != nil { counts.streamsCommitted += 1 } else { counts.streamsRolledBack += 1 }
        }
        takeDiskCounts()
        note("end", storage.digest)
        process = nil
        if let failed { throw failed }
    }

    func step() {
        counts.steps += 1
        switch below(100) {
        case 0..<16: if !isQuiet { server.work() }
        case 16..<42: take(.source)
        case 42..<62: take(.writer)
        case 62..<86: take(.sink(below(targets.count)))
        case 86..<91: take(.housekeeper)
        case 91..<95: clock.advance(.milliseconds(pick([1, 60, 700, 3000])))
        default: if !isQuiet { misfortune() }
        }
    }

    /// What only happens between steps, and what must hold behind each.
    func afterStep() {
        forgetInside()
        if storage.isDown { goDown(power: chance(70)) }
        guard failed == nil, !isRefused else { return }
        if !isQuiet && below(100) < severity { intervene() }
        guard failed == nil, !isRefused else { return }
        checkInvariants()
    }

    /// Somebody waits inside a call: the others go on.
    func whileBlocked(_ who: Actor) throws(ConnectorError) {
        guard failed == nil, !isRefused, !storage.isDown, blocked.count < 6, process?.isStopping == false else {
            throw trouble("interrupted")
        }
        // Those who wait below it on the stack may be what it waits for: then its patience ends.
        inside += 1
        guard inside < 2000 else { throw trouble("interrupted") }
        blocked.insert(who)
        defer { blocked.remove(who) }
        step()
        checkInvariants()
        if counts.steps > 30_000 { fail("the run does not end") }
    }

    func forgetInside() { inside = 0 }

    func take(_ actor: Actor) {
        guard let process, !blocked.contains(actor), !storage.isDown, failed == nil else { return }
        switch actor {
        case .source: sourceStep(process)
        case .writer: writerStep(process)
        case .sink(let number): sinkStep(process.sinks[number], process)
        case .housekeeper:
            let before = process.log.segmentCount
            process.host.trim()
            counts.segmentsTrimmed += max(before - process.log.segmentCount, 0)
            note("trim")
        }
    }

    // MARK: Called by those who are simulated

    func sinkFault(_ number: Int, during moment: Moment) throws(ConnectorError) -> SinkFault {
        guard !isQuiet else { return .none }
        let dice = below(200)
        if dice < severity {
            count(\.sinkRejects)
            throw trouble("reject")
        } else if dice < 2 * severity {
            count(\.sinkFailuresAfterWork)
            return .failAfterWork
        } else if dice < 3 * severity && moment == .write {
            count(\.sinkPartialWrites)
            return .partial
        } else if dice < 6 * severity {
            count(\.sinkHolds)
            for _ in 0..<below(12) { try whileBlocked(.sink(number)) }
        }
        return .none
    }

    /// `isDone`: the cursor has been stored, but nobody has been told.
    func storeFault(isDone: Bool) throws(ConnectorError) {
        guard !storage.isDown else { throw trouble("down") }
        guard !isQuiet, below(150) < severity else { return }
        count(\.storeFailures)
        if chance(30) { storage.goDown() }
        throw trouble("catalog_unavailable")
    }

    /// `insideTransaction`: a part of it is in the log, or on its way.
    func breaksConnection(insideTransaction: Bool) -> Bool {
        guard !isQuiet, below(insideTransaction ? 25 : 100) < severity else { return false }
        count(\.connectionLosses)
        if insideTransaction { count(\.lossesInside) }
        return true
    }

    /// A full load begins: a new slot, and everything that was committed before it.
    func beginLoad(_ logID: UInt64) -> Epoch {
        let lsn = server.makeSlot()
        var ordinal: UInt64 = 0
        var load: [Expected] = []
        var loads: [UInt32] = []
        for table: UInt32 in 1...3 {
            loads.append(table)
            let rows = (server.oracle.contents.rows[table] ?? [:]).sorted { $0.key < $1.key }
            let changes = rows.map {
                Change(
                    table: table, version: server.version(of: table), operation: .insert, key: $0.key, value: $0.value)
            }
            // An empty table goes with the next that is not.
            guard !changes.isEmpty || table == 3 && load.isEmpty else { continue }
            load.append(
                Expected(commitLSN: lsn, endLSN: lsn, firstOrdinal: ordinal, loads: loads, changes: changes))
            loads = []
            ordinal += UInt64(changes.count)
        }
        load[load.count - 1].loads += loads
        let epoch = Epoch(
            consistentLSN: lsn, load: load, versions: server.versions, first: server.oracle.committed.count)
        server.oracle.begin(epoch, of: logID)
        note("load at \(lsn) into \(logID)", lsn, logID)
        return epoch
    }

    /// The source tells the server what it may forget.
    func acknowledge(_ lsn: UInt64) {
        guard let log = process?.log, lsn > server.confirmed, failed == nil else { return }
        let durable = log.durable
        let count = server.oracle.count(upTo: durable.commitLSN.value, durable.ordinal, in: log.id)
        if server.oracle.count(endingAt: lsn, in: log.id) > count {
            fail("\(lsn) is acknowledged, the log's durable end is \(durable)")
        }
        server.confirm(lsn)
        note("acknowledged \(lsn)", lsn)
    }
}

/// A clock that is moved by hand.
final class ManualClock: Sendable {
    private let now = Monitor(Duration.seconds(1))

    var elapsed: Duration { now.read { $0 } }
    func advance(_ duration: Duration) { now.update { $0 += duration } }

    var taskClock: TaskClock {
        TaskClock(
            elapsed: { self.elapsed }, secondsSince1970: { 1_700_000_000 + self.elapsed.components.seconds })
    }
}
