import MillraceCore
import MillraceLog
import MillraceTesting

@testable import MillraceRuntime

/// What goes wrong.
extension World {
    /// May happen at any time, inside of calls too.
    func misfortune() {
        guard below(20) < severity + 4 else { return }
        switch below(16) {
        case 0..<4: storage.faults.crashAtCall = storage.calls + 1 + below(pick([4, 40, 200]))
        case 4: storage.faults.failNextSync = true
        case 5: storage.faults.failNextDirectorySync = true
        case 6: storage.faults.failNextWrite = true
        case 7..<9: storage.faults.failNextRead = true
        case 9..<12: storage.faults.spaceLeft = storage.faults.spaceLeft == nil ? below(900) : nil
        case 12:
            count(\.slotsMovedBack)
            server.forget(to: server.confirmed - min(server.confirmed, UInt64(below(500))))
        case 13 where process?.run?.writer.isDrained == true: storage.goDown()
        default: storage.faults.spaceLeft = nil
        }
        note("misfortune", 20)
    }

    /// What happens between the steps only: the process goes, or somebody does something.
    func intervene() {
        guard let process else { return }
        switch below(24) {
        case 0..<3:
            storage.goDown()
            goDown(power: true)
        case 3..<5:
            storage.goDown()
            goDown(power: false)
        case 5..<7: restart()
        case 7..<14: restartFailedTasks(process)
        case 14 where chance(20): beginAnew(process)
        case 15 where chance(15): flipBit()
        default: break
        }
    }

    // MARK: Crash and restart

    /// `power`: the machine goes down, and not only the process.
    func goDown(power: Bool) {
        note(power ? "power loss" : "kill", 21)
        count(power ? \.powerLosses : \.kills)
        process = nil
        takeDiskCounts()
        storage = power ? storage.crash() : storage.kill()
        open()
    }

    /// Opens the log, through any number of crashes while it opens, and checks what is in it.
    func open() {
        for _ in 0..<60 {
            storage.faults = SimulatedStorage.Faults()
            if !isQuiet && chance(30) { storage.faults.crashAtCall = storage.calls + 1 + below(pick([10, 100])) }
            do {
                let storage = storage
                let log = try DiskLog(directory: "/log", options: options, storage: storage) { count in
                    storage.faults.spaceLeft.map { $0 < count + 100 } ?? false
                }
                try check(log)
                process = makeProcess(log)
                note("open", 22)
                return
            } catch {
                if case .corrupt = error, isDamaged { return refuse(error.description) }
                guard storage.isDown else { return fail("the log does not open: \(error)") }
                count(\.powerLosses)
                takeDiskCounts()
                self.storage = chance(70) ? storage.crash() : storage.kill()
            }
        }
        fail("the log did not open in 60 attempts")
    }

    /// An orderly stop and a start; the disk stays as it is.
    func restart() {
        guard let process else { return }
        note("restart", 23)
        count(\.restarts)
        stop(process)
        if storage.isDown { return goDown(power: chance(50)) }
        self.process = nil
        guard failed == nil, !isRefused else { return }
        open()
    }

    /// Stops all tasks in order. Errors end a task as well.
    private func stop(_ process: Process) {
        process.isStopping = true
        for actor in process.sinks {
            switch actor.phase {
            case .running(var run):
                do { try actor.task.finish(&run) } catch { actor.task.abandon() }
                actor.task.end(run.sink)
            case .made(let sink): actor.task.end(sink)
            default: break
            }
            actor.phase = .failed
        }
        stopSource(process)
    }

    private func stopSource(_ process: Process) {
        if let run = process.run {
            if case .running = process.source, let source = run.source as? SimulatedSource {
                try? source.close(run.writer)
            }
            run.writer.requestStop()
            for _ in 0..<1000 where !process.writerHasEnded { writerStep(process) }
            if !process.writerHasEnded { fail("the writer does not stop") }
            if !storage.isDown { process.task.end(run) }
        }
        process.session = nil
        process.source = .failed
    }

    /// Somebody looks after tasks that have failed. A log that failed is opened anew.
    func restartFailedTasks(_ process: Process) {
        if process.host.failure != nil { return restart() }
        if case .failed = process.source {
            process.task = makeSourceTask(process.host)
            process.source = .waiting(.zero)
        }
        for actor in process.sinks {
            guard case .failed = actor.phase else { continue }
            actor.task = makeSinkTask(actor.number, process.host)
            actor.phase = .waiting(.zero)
        }
        note("failed tasks restarted", 24)
    }

    /// `DELETE /connectors/src/offsets`: the log is discarded, everything is loaded again.
    private func beginAnew(_ process: Process) {
        note("begin anew", 25)
        process.isStopping = true
        stopSource(process)
        process.isStopping = false
        guard !storage.isDown, process.host.failure == nil else { return }
        count(\.resets)
        isResetting = true
        do {
            try process.host.reset()
        } catch {
            // Tried again, or undone by the next start.
            return
        }
        process.task = makeSourceTask(process.host)
        process.source = .waiting(.zero)
    }

    /// Damage that no power loss explains. Everybody has to read the file again.
    private func flipBit() {
        let names = storage.names.filter { $0.hasSuffix(".seg") }
        guard let name = names.randomElement(using: &random), let size = storage.content(of: name)?.count, size > 0
        else { return }
        isDamaged = true
        count(\.bitFlips)
        storage.flipBit(below(size * 8), of: name)
        note("bit flip in \(name)", 26)
        if chance(50) {
            storage.goDown()
            goDown(power: false)
        }
    }

    func takeDiskCounts() {
        counts.disk.merge(storage.fired, uniquingKeysWith: +)
        storage.forgetFired()
    }
}
