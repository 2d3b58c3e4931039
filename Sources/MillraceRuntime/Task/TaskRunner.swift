import Logging
import MillraceCore

/// The thread of one task: runs its body, again after errors as `RestartPolicy` says, until it is asked to stop.
final class TaskRunner: Sendable {
    /// Kafka Connect's states of tasks.
    enum Phase: String, Sendable {
        case unassigned = "UNASSIGNED"
        case running = "RUNNING"
        case paused = "PAUSED"
        case failed = "FAILED"
        case restarting = "RESTARTING"
        case stopped = "STOPPED"
    }

    struct Snapshot: Sendable {
        var phase: Phase
        /// Of the last error: shown until the task has made progress again.
        var error: ConnectorError?
        var errors: UInt64 = 0
        var retries: UInt64 = 0
        var isStopping = false
        var madeProgress = false
    }

    private let state: Monitor<Snapshot>
    private let policy: Monitor<RestartPolicy>
    private let logger: Logger
    private let thread = Monitor<WorkerThread?>(nil)

    init(policy: RestartPolicy, phase: Phase = .unassigned, logger: Logger) {
        self.policy = Monitor(policy)
        self.logger = logger
        state = Monitor(Snapshot(phase: phase))
    }

    var snapshot: Snapshot { state.read { $0 } }
    var isStopping: Bool { state.read { $0.isStopping } }

    /// Starts the thread. `previous`: a thread of the same task that was left behind because it did not stop in time; the
    /// new one waits for it, so that two never work on the same thing.
    func start(
        name: String, after previous: WorkerThread? = nil,
        _ body: @escaping @Sendable () throws(ConnectorError) -> Void
    ) {
        state.update { $0.phase = .running }
        thread.update {
            $0 = WorkerThread(name) {
                previous?.join()
                self.run(body)
            }
        }
    }

    /// The thread, where it still runs after `stop` gave up on it.
    var leftBehind: WorkerThread? { thread.read { $0 } }

    func requestStop() {
        state.update { $0.isStopping = true }
    }

    /// False when the thread still runs after `timeout`.
    func join(for timeout: Duration) -> Bool {
        guard let running = thread.read({ $0 }) else { return true }
        guard running.join(for: timeout) else { return false }
        thread.update { $0 = nil }
        return true
    }

    /// How the task is shown once it has been stopped.
    func setPhase(_ phase: Phase) {
        state.update {
            $0.phase = phase
            $0.error = nil
        }
    }

    /// Fails the task from outside, for a reason that its own body did not see.
    func markFailed(_ error: ConnectorError) {
        state.update {
            $0.phase = .failed
            $0.error = error
            $0.errors += 1
        }
    }

    /// Something was done durably.
    func noteProgress() {
        guard state.read({ !$0.madeProgress || $0.error != nil }) else { return }
        state.update {
            $0.madeProgress = true
            $0.error = nil
        }
    }

    /// Waits for `duration`, or until the task is to stop: then true.
    func waitForStop(_ duration: Duration?) -> Bool {
        state.wait(for: duration) { $0.isStopping ? true : nil } ?? false
    }

    private func run(_ body: () throws(ConnectorError) -> Void) {
        while !isStopping {
            let start = ContinuousClock.now
            beginRun()
            do {
                try body()
                // Nothing more to do (a full load without streaming): the task stays as it is until it is stopped.
                _ = waitForStop(nil)
            } catch {
                if isStopping { return }
                let pause = endRun(error, lasting: start.duration(to: .now), random: Double.random(in: 0..<1))
                guard let pause, !waitForStop(pause) else { return }
            }
        }
    }

    // MARK: Steps

    func beginRun() {
        state.update { $0.madeProgress = false }
    }

    /// A run ended with `error`. Returns how long to wait before the next one; nil if the task has failed.
    func endRun(_ error: ConnectorError, lasting duration: Duration, random: Double) -> Duration? {
        let decision = policy.update { [madeProgress = snapshot.madeProgress] policy in
            policy.noteRun(lasting: duration)
            if madeProgress { policy.noteProgress() }
            return policy.decide(after: error, random: random)
        }
        switch decision {
        case .end, .fail:
            // `.end` too: nobody asked this task to stop, or we would not be here.
            logger.error("task failed: \(error)")
            markFailed(error)
            return nil
        case .retry(let pause):
            logger.warning("task tries again in \(pause): \(error)")
            state.update {
                $0.error = error
                $0.errors += 1
                $0.retries += 1
            }
            return pause
        }
    }
}
