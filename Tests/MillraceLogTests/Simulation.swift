import MillraceCore
import MillraceLog
import MillraceTesting

/// One run of random work. Rows are texts `<transaction>.<row>.<relation version>`, transactions are numbered from 1
/// without gaps, commit LSN = number * 100, so that what is read tells by itself what is missing or doubled.
struct Simulation {
    var random: SeededGenerator
    var storage: SimulatedStorage
    var log: SimulatedLog?
    var options: LogOptions

    /// Number of the last transaction that was appended whole; what may be in the log.
    var appended = 0
    /// Number of the last transaction that a flush acknowledged; what must be in the log.
    var acknowledged = 0
    /// The first transaction that must still be there.
    var kept = 1
    /// The last that was there when the log was last reset: numbering goes on.
    var base = 0
    var logID: UInt64 = 0
    /// Definitions as the source knows them, and those it has sent in this session.
    var versions: [UInt32: Int] = [1: 1, 2: 1, 3: 1]
    var sent: Set<UInt32> = []
    /// A transaction that is being appended in parts: how many rows so far.
    var openRows: Int?
    var spool: LogSpool<SimulatedStorage>?
    var spoolRows = 0
    var marks: [(mark: SpoolMark, rows: Int)] = []
    var spoolNumber = 0
    var follower: Follower
    var crashes = 0

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
        storage = SimulatedStorage(seed: seed &* 31)
        options = LogOptions(
            segmentByteLimit: [400, 1500, 8000].randomElement(using: &random) ?? 400,
            frameByteLimit: [1, 150, 600].randomElement(using: &random) ?? 150,
            spoolMemoryByteLimit: [0, 200, 1000].randomElement(using: &random) ?? 0)
        follower = Follower()
    }

    mutating func run(steps: Int) throws {
        try reopen()
        for _ in 0..<steps {
            do {
                try step()
            } catch let error as LogError {
                try recover(from: error)
            } catch let error as ConnectorError {
                guard storage.isDown || error.code == "log_disk_full" else { throw error }
                if storage.isDown { try recover(from: .failed(reason: error.message)) }
            }
        }
        try goDown()
    }

    private mutating func recover(from error: LogError) throws {
        if storage.isDown { return try goDown() }
        switch error {
        case .io, .failed:
            // A sync was made to fail. The process starts anew on the same running machine.
            forgetSession()
            log = nil
            try reopen()
        default:
            throw error
        }
    }

    private mutating func goDown() throws {
        crashes += 1
        forgetSession()
        log = nil
        storage = storage.crash()
        try reopen()
    }

    private mutating func forgetSession() {
        openRows = nil
        spool = nil
        sent = []
        marks = []
    }

    /// Opens the log, through any number of crashes while it opens, and checks what is in it.
    private mutating func reopen() throws {
        for _ in 0..<50 {
            var faults = SimulatedStorage.Faults()
            if random.percent(80) { faults.crashAtCall = storage.calls + Int(random.next() % 120) + 1 }
            storage.faults = faults
            do {
                let log = try SimulatedLog.open(directory: "/log", options: options, storage: storage)
                self.log = log
                return try check(log)
            } catch let error as LogError {
                guard storage.isDown else { throw error }
                crashes += 1
                storage = storage.crash()
            }
        }
        throw Failure("the log could not be opened in 50 attempts")
    }

    // MARK: Checks

    private mutating func check(_ log: SimulatedLog) throws {
        let reader = try log.makeReader(after: nil)
        var seen = Follower()
        while let batch = try reader.next(byteLimit: 2000, timeout: .zero) { try seen.take(batch) }
        if log.id != logID {
            // The log is another one if it was just made, or a reset got through.
            if logID != 0 && !isResetting { throw Failure("the log's id has changed") }
            if let first = seen.first { throw Failure("a new log holds transaction \(first)") }
            logID = log.id
            base = appended
            kept = appended + 1
            acknowledged = appended
            follower = Follower()
            follower.last = appended
        } else {
            let last = seen.last ?? max(base, kept - 1)
            if last < acknowledged { throw Failure("\(acknowledged) was acknowledged, \(last) is the last in the log") }
            if last > appended { throw Failure("\(last) is in the log, \(appended) was the last appended") }
            if let first = seen.first, first > kept { throw Failure("\(kept) should be there, \(first) is the first") }
            appended = last
            acknowledged = last
        }
        isResetting = false
        if random.percent(12) {
            var lines: [String] = []
            let report = try LogVerify.run(directory: "/log", storage: storage) { lines.append($0) }
            if report.findings > 0 { throw Failure(lines.joined(separator: "; ")) }
        }
        if seen.isInside { throw Failure("the log ends inside a transaction") }
        let recovered = log.recovered
        if appended > base {
            guard recovered.lastCommitLSN == LSN(UInt64(appended) * 100) else {
                throw Failure("recovered \(recovered), expected transaction \(appended)")
            }
            // Before a spooled transaction its state is appended by itself.
            let state = String(decoding: recovered.sourceState, as: UTF8.self)
            guard state == "state \(appended)" || state == "state \(appended + 1)" else {
                throw Failure("recovered state \(String(decoding: recovered.sourceState, as: UTF8.self))")
            }
        } else if recovered.lastCommitLSN != nil {
            throw Failure("an empty log recovered \(recovered)")
        }
        follower.reader = nil
        try follow()
    }

    /// Reads on where the follower's last whole transaction ended.
    mutating func follow() throws {
        guard let log else { return }
        if follower.reader == nil {
            follower.isInside = false
            follower.reader = try log.makeReader(after: follower.cursor)
        }
        while let batch = try follower.reader?.next(byteLimit: Int(random.next() % 900), timeout: .zero) {
            try follower.take(batch)
            if random.percent(4) {
                follower.reader = try log.makeReader(after: follower.cursor)
                follower.isInside = false
            }
        }
        if let last = follower.last, last > appended { throw Failure("the follower saw \(last) of \(appended)") }
        if let last = follower.last, last < acknowledged { throw Failure("the follower stopped at \(last)") }
    }

    var isResetting = false
}
