import Logging
import MillraceCore
import MillraceLog
import MillraceTesting

@testable import MillraceRuntime

/// What one process of ours holds in memory: gone with a crash.
final class Process {
    enum SourcePhase {
        case waiting(Duration)
        case running(SourceTask.Run)
        /// The writer writes what is queued, then the run is over.
        case ending(SourceTask.Run, ConnectorError)
        case failed
    }

    let log: DiskLog<SimulatedStorage>
    let host: LogHost
    var task: SourceTask
    var source = SourcePhase.waiting(.zero)
    var session: LogWritingSession?
    var writerHasEnded = false
    var sinks: [SinkActor] = []
    var isStopping = false

    init(_ log: DiskLog<SimulatedStorage>, _ host: LogHost, _ task: SourceTask) {
        self.log = log
        self.host = host
        self.task = task
    }

    var run: SourceTask.Run? {
        switch source {
        case .running(let run), .ending(let run, _): run
        default: nil
        }
    }
}

/// One sink task and where it stands.
final class SinkActor {
    enum Phase {
        case waiting(Duration)
        case made(any Sink)
        case running(SinkTask.Run)
        case failed
    }

    let number: Int
    var task: SinkTask
    var phase = Phase.waiting(.zero)

    init(_ number: Int, _ task: SinkTask) {
        self.number = number
        self.task = task
    }
}

extension World {
    static let quiet = Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() }

    func makeProcess(_ log: DiskLog<SimulatedStorage>) -> Process {
        let host = LogHost(
            connector: "src", directory: "/log", log: log, settings: settings, clock: clock.taskClock,
            logger: Self.quiet)
        let process = Process(log, host, makeSourceTask(host))
        // Sinks first: the log must know what is still needed before it may free anything.
        process.sinks = targets.indices.map { SinkActor($0, makeSinkTask($0, host)) }
        return process
    }

    func makeSourceTask(_ host: LogHost) -> SourceTask {
        SourceTask(
            connector: "src", host: host, plugin: SimulatedSourcePlugin(self), config: ConnectorConfig([:]),
            queueByteLimit: queueByteLimit, logger: Self.quiet)
    }

    func makeSinkTask(_ number: Int, _ host: LogHost) -> SinkTask {
        let name = "sink\(number)"
        let setup = SinkTask.Setup(
            connector: name, plugin: SimulatedSinkPlugin(self), config: ConnectorConfig(["number": "\(number)"]),
            source: SourceDescription(connectorName: "src", topicPrefix: "srv", config: ConnectorConfig([:])),
            topics: .all, store: store ?? SimulatedCursorStore(self), stored: store?.cursors[name],
            logger: Self.quiet, checkpointInterval: checkpointInterval, clock: clock.taskClock)
        return SinkTask(setup, id: 0, host: host)
    }

    // MARK: Source and writer

    func sourceStep(_ process: Process) {
        switch process.source {
        case .failed: return
        case .waiting(let time):
            guard clock.elapsed >= time else { return }
            process.task.runner.beginRun()
            do {
                let run = try process.task.begin()
                process.session = run.writer.makeSession()
                process.writerHasEnded = false
                process.source = .running(run)
                note("source begins", 1)
            } catch {
                settleSource(error, process)
            }
        case .running(let run): sourceStep(run, process)
        case .ending(let run, let error):
            guard process.writerHasEnded else { return }
            process.task.end(run)
            process.session = nil
            settleSource(error, process)
        }
    }

    private func sourceStep(_ run: SourceTask.Run, _ process: Process) {
        guard let source = run.source as? SimulatedSource else { return }
        var error: ConnectorError?
        if source.isStopped {
            error = process.host.failure ?? .stopped
        } else {
            do { try source.step(run.writer) } catch let thrown {
                note("source: \(thrown.code)", 3)
                // The real one connects anew by itself, or is started anew.
                if thrown.kind == .transient && source.canReconnect && (isQuiet || chance(60)) { return }
                error = process.host.failure ?? thrown
            }
        }
        note("source", 2)
        guard let error else { return }
        run.writer.requestStop()
        process.source = .ending(run, error)
    }

    private func settleSource(_ error: ConnectorError, _ process: Process) {
        note("source ended: \(error.code)", 4)
        guard isPlausible(error) else { return }
        if let pause = process.task.runner.endRun(error, lasting: .zero, random: Double(below(1000)) / 1000) {
            process.source = .waiting(clock.elapsed + pause)
        } else {
            count(\.taskFailures)
            process.source = .failed
        }
    }

    func writerStep(_ process: Process) {
        guard let run = process.run, !process.writerHasEnded, var session = process.session else { return }
        let step = run.writer.step(&session)
        process.session = session
        switch step {
        case .ended: process.writerHasEnded = true
        case .stalled: count(\.stalls)
        default: break
        }
        note("writer: \(step)", 5)
    }

    // MARK: Sinks

    func sinkStep(_ actor: SinkActor, _ process: Process) {
        let task = actor.task
        do {
            switch actor.phase {
            case .failed: return
            case .waiting(let time):
                guard clock.elapsed >= time else { return }
                task.runner.beginRun()
                actor.phase = .made(try task.makeSink())
            case .made(let sink):
                blocked.insert(.sink(actor.number))
                defer { blocked.remove(.sink(actor.number)) }
                actor.phase = .running(try task.begin(sink))
            case .running(var run):
                try task.step(&run, patience: .zero)
                actor.phase = .running(run)
            }
            note("sink \(actor.number)", 6, UInt64(actor.number), UInt64(targets[actor.number].applied))
        } catch {
            endSink(actor, after: error)
        }
    }

    private func endSink(_ actor: SinkActor, after error: ConnectorError) {
        note("sink \(actor.number): \(error.code)", 7, UInt64(actor.number))
        switch actor.phase {
        case .running(let run):
            actor.task.abandon()
            actor.task.end(run.sink)
        case .made(let sink): actor.task.end(sink)
        default: break
        }
        guard isPlausible(error) else { return }
        if let pause = actor.task.runner.endRun(error, lasting: .zero, random: Double(below(1000)) / 1000) {
            actor.phase = .waiting(clock.elapsed + pause)
        } else {
            count(\.taskFailures)
            actor.phase = .failed
        }
    }

    /// Whether a task may end so. What says that something is lost or damaged may be said of a damaged log only.
    private func isPlausible(_ error: ConnectorError) -> Bool {
        if storage.isDown || failed != nil { return false }
        switch error.code {
        case "log_corrupt", "log_position_gone", "cursor_ahead", "log_trimmed", "slot_ahead":
            if isDamaged { refuse(error.description) } else { fail("\(error)") }
            return false
        default:
            // The log refuses what makes no sense: then somebody has asked for it.
            if error.message.contains("used wrongly") { fail("\(error)") }
            guard error.kind == .transient || error.kind == .stopped || error.code == "log_failed" else {
                fail("\(error)")
                return false
            }
            // A failed log may say why it failed.
            if isDamaged && error.message.contains("is damaged at byte") { refuse(error.message) }
            return !isRefused
        }
    }

    func refuse(_ message: String) {
        guard !isRefused else { return }
        note("refused: \(message)", 8)
        isRefused = true
        count(\.refusals)
    }
}
