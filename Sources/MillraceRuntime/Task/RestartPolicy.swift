import MillraceCore

/// What becomes of a task after an error: the one place that decides.
struct RestartPolicy: Sendable {
    enum Decision: Hashable, Sendable {
        /// Run again after this pause.
        case retry(after: Duration)
        /// Failed until somebody restarts it.
        case fail
        /// It was asked to stop, and did.
        case end
    }

    static let firstPause: Duration = .milliseconds(500)
    static let longestPause: Duration = .seconds(60)

    /// `errors.max.retries`: retries without progress in between; negative for no limit.
    let maxRetries: Int
    /// `retriable.restart.connector.wait.ms`: a fixed pause in place of the growing one.
    let fixedPause: Duration?
    private(set) var retriesWithoutProgress = 0

    init(maxRetries: Int = -1, fixedPause: Duration? = nil) {
        self.maxRetries = maxRetries
        self.fixedPause = fixedPause
    }

    init(_ config: ConnectorConfig) {
        let number = { (name: String) in config[name].flatMap { Int($0.trimmed) } }
        self.init(
            maxRetries: number("errors.max.retries") ?? -1,
            fixedPause: number("retriable.restart.connector.wait.ms").map { .milliseconds(max($0, 0)) })
    }

    /// Something was durably done since the last error: the next one starts with the shortest pause again.
    mutating func noteProgress() {
        retriesWithoutProgress = 0
    }

    /// A run that lasted ended in a new trouble, not in the old one, even if there was nothing to do meanwhile.
    mutating func noteRun(lasting duration: Duration) {
        if duration >= Self.longestPause { noteProgress() }
    }

    /// `random`: from 0 up to 1. Half of the pause is fixed, half is drawn, so that tasks that lost the same server
    /// do not come back in step.
    mutating func decide(after error: ConnectorError, random: Double) -> Decision {
        switch error.kind {
        case .stopped:
            return .end
        case .configuration, .consistency, .data, .protocolViolation, .bug:
            return .fail
        case .transient:
            guard maxRetries < 0 || retriesWithoutProgress < maxRetries else { return .fail }
            let pause = fixedPause ?? Self.pause(attempt: retriesWithoutProgress, random: random)
            retriesWithoutProgress += 1
            return .retry(after: pause)
        }
    }

    private static func pause(attempt: Int, random: Double) -> Duration {
        // 2^7 × 0.5 s is above the cap already.
        let full = min(firstPause * (1 << min(attempt, 7)), longestPause)
        return full / 2 + full * (min(max(random, 0), 1) / 2)
    }
}
