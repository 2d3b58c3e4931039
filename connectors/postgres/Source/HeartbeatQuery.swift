internal import Logging
internal import MillraceCore

/// `heartbeat.action.query`: run on a connection of its own every `heartbeat.interval.ms`, so that a published table
/// changes even when nothing else does.
final class HeartbeatQuery: Sendable {
    private let isStopped = Monitor(false)

    init?(_ options: SourceOptions, _ logger: Logger) {
        guard options.heartbeatInterval > .zero, let query = options.heartbeatActionQuery else { return nil }
        let isStopped = isStopped
        _ = WorkerThread("pg heartbeat") {
            var connection: PostgresConnection?
            while isStopped.wait(for: options.heartbeatInterval, until: { $0 ? true : nil }) == nil {
                do throws(PostgresError) {
                    if connection == nil { connection = try options.connect() }
                    try connection?.execute(query, "run heartbeat.action.query")
                } catch {
                    if connection?.isBroken != false { connection = nil }
                    logger.warning(
                        "the heartbeat query failed", metadata: ["error": "\(error.connectorError.description)"])
                }
            }
        }
    }

    func stop() {
        isStopped.update { $0 = true }
    }
}
