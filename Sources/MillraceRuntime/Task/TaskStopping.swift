import MillraceCore

/// A task that can be told to stop.
protocol StoppableTask: Sendable {
    var runner: TaskRunner { get }
    func requestStop()
    /// Cuts short a call that does not return by itself.
    func interrupt()
}

extension SourceTask: StoppableTask {
    func interrupt() { requestStop() }
}

extension SinkTask: StoppableTask {}

enum TaskStopping {
    /// What an orderly stop may take before its caller gives up.
    static let limit: Duration = .seconds(10)

    /// Stops tasks side by side: each may finish what it is at for half of `limit`, then its call is cut short. Returns
    /// those that still run at the end.
    @discardableResult
    static func stop(_ tasks: [any StoppableTask], within limit: Duration = limit) -> [any StoppableTask] {
        for task in tasks { task.requestStop() }
        let start = ContinuousClock.now
        let slow = tasks.filter { !$0.runner.join(for: remaining(limit / 2, since: start)) }
        for task in slow { task.interrupt() }
        return slow.filter { !$0.runner.join(for: remaining(limit, since: start)) }
    }

    private static func remaining(_ limit: Duration, since start: ContinuousClock.Instant) -> Duration {
        max(.zero, limit - start.duration(to: .now))
    }
}
