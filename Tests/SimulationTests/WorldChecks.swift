import MillraceCore
import MillraceLog
import MillraceTesting

@testable import MillraceRuntime

/// What must hold.
extension World {
    // MARK: After every step

    func checkInvariants() {
        guard let process, failed == nil, !storage.isDown else { return }
        let log = process.log
        let durable = log.durable
        let start = log.start
        for actor in process.sinks {
            let stored = store?.cursors["sink\(actor.number)"].flatMap { $0.logID == durable.logID ? $0 : nil }
            let kept = targets[actor.number].cursor.flatMap { $0.logID == durable.logID ? $0 : nil }
            for cursor in [stored, kept].compactMap({ $0 }) where !isDamaged && cursor.offset > durable.offset {
                fail("sink \(actor.number) is at \(cursor), the log ends at \(durable)")
            }
            if stored == nil ? log.isTrimmed : start.offset > stored?.offset ?? 0 {
                fail("the log begins at \(start), sink \(actor.number) is at \(stored.map { "\($0)" } ?? "its start")")
            }
        }
        promise(durable)
    }

    /// What readers may see now must never be missing again.
    private func promise(_ durable: Cursor) {
        let count = server.oracle.count(upTo: durable.commitLSN.value, durable.ordinal, in: durable.logID)
        if durable.logID != promised.logID {
            promised = (durable.logID, count)
            isResetting = false
        } else if count < promised.count && !isDamaged {
            fail("the log showed \(promised.count) transactions, now it shows \(count)")
        } else {
            promised.count = max(count, promised.count)
        }
    }

    // MARK: After every start

    /// The log is a prefix of what was committed, each transaction once, and holds all that was promised.
    func check(_ log: DiskLog<SimulatedStorage>) throws(LogError) {
        let id = log.id
        let oracle = server.oracle
        var follower = LogFollower()
        let start = log.start
        var next = oracle.count(upTo: start.commitLSN.value, start.ordinal, in: id)
        // A log that begins inside a transaction is read from the next one on.
        var mayBeginInside = log.isTrimmed
        let reader = try log.makeReader(after: nil)
        while let batch = try reader.next(byteLimit: 1500, timeout: .zero) {
            do {
                for transaction in try follower.take(batch) {
                    if mayBeginInside, let expected = oracle.expected(next, in: id),
                        expected.commitLSN != transaction.commitLSN || expected.firstOrdinal != transaction.firstOrdinal
                    {
                        next += 1
                    }
                    mayBeginInside = false
                    guard let expected = oracle.expected(next, in: id) else {
                        throw Failure("the transaction at \(transaction.commitLSN) was never committed")
                    }
                    if let difference = expected.difference(from: transaction) { throw Failure(difference) }
                    next += 1
                }
            } catch {
                return fail("in the log: \(error)")
            }
        }
        // Its only transaction may begin before it.
        if mayBeginInside { next = max(next, count(log.durable)) }
        checkEnd(log, next)
    }

    func count(_ place: Cursor) -> Int {
        server.oracle.count(upTo: place.commitLSN.value, place.ordinal, in: place.logID)
    }

    private func checkEnd(_ log: DiskLog<SimulatedStorage>, _ count: Int) {
        let durable = log.durable
        let said = self.count(durable)
        if said != count {
            fail(
                "the log says that it holds \(said) transactions, it holds \(count); it begins at \(log.start) and ends at \(durable)"
            )
        }
        if promised.logID != 0 && durable.logID != promised.logID {
            // A reset that was under way has come through.
            if !isResetting || server.oracle.epochs[durable.logID] != nil { fail("the log's id has changed") }
            promised = (durable.logID, count)
        }
        isResetting = false
        guard !isDamaged else { return }
        if count < promised.count { fail("the log showed \(promised.count) transactions, after the start \(count)") }
        promised = (durable.logID, count)
        guard let stored = SimulatedSource.Stored(log.recovered.sourceState), !stored.isLoading else { return }
        let end = max(stored.confirmed, log.recovered.lastEndLSN?.value ?? 0)
        if server.confirmed > end { fail("\(server.confirmed) was acknowledged, the log ends at \(end)") }
    }

    // MARK: At rest

    /// Nothing goes wrong any more: everybody has to arrive where the oracle is.
    func rest() {
        isQuiet = true
        storage.faults = SimulatedStorage.Faults()
        server.endStreams()
        for _ in 0..<1500 {
            guard failed == nil, !isRefused, let process else { return }
            counts.steps += 1
            take(.source)
            take(.writer)
            for number in targets.indices { take(.sink(number)) }
            take(.housekeeper)
            clock.advance(.seconds(1))
            restartFailedTasks(process)
            if storage.isDown { goDown(power: true) }
            guard failed == nil, !isRefused else { return }
            checkInvariants()
            forgetInside()
            if isAtRest { return checkContents() }
        }
        fail("it does not come to rest: \(standing)")
    }

    private var isAtRest: Bool {
        guard let process, case .running(let run) = process.source, let source = run.source as? SimulatedSource,
            source.isAtRest, run.writer.isDrained
        else { return false }
        let id = process.log.id
        let count = server.oracle.count(in: id)
        if server.oracle.count(endingAt: server.confirmed, in: id) < (server.oracle.epochs[id].map { _ in count } ?? 0)
        {
            guard server.oracle.epochs[id]?.first == server.oracle.committed.count else { return false }
        }
        return targets.indices.allSatisfy { number in
            guard let cursor = store?.cursors["sink\(number)"], cursor.logID == id else { return false }
            return server.oracle.count(upTo: cursor.commitLSN.value, cursor.ordinal, in: id) == count
        }
    }

    private func checkContents() {
        for (number, target) in targets.enumerated() where target.contents != server.oracle.contents {
            fail("sink \(number) holds \(target.contents.rows), the source \(server.oracle.contents.rows)")
        }
    }

    private var standing: String {
        guard let process else { return "there is no process" }
        let id = process.log.id
        return
            "\(server.oracle.count(in: id)) transactions, acknowledged \(server.confirmed), log \(process.log.durable), "
            + "source \(process.source), sinks \(process.sinks.map(\.phase)), cursors \(store?.cursors ?? [:])"
    }

    /// At the end the power fails once more, and everything must be there.
    func lastCrash() {
        let count = process.map { server.oracle.count(in: $0.log.id) } ?? 0
        storage.goDown()
        goDown(power: true)
        guard failed == nil, !isRefused else { return }
        if promised.count != count { fail("\(count) transactions were committed, the log holds \(promised.count)") }
        guard chance(10) && !isDamaged else { return }
        var lines: [String] = []
        do {
            let report = try LogVerify.run(directory: "/log", storage: storage) { lines.append($0) }
            if report.findings > 0 { fail(lines.joined(separator: "; ")) }
        } catch {
            fail("\(error)")
        }
    }
}
