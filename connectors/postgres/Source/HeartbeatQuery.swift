internal import Logging
internal import MillraceCore

/// Heartbeats, every `heartbeat.interval.ms`, on a connection of their own: a logical message that comes back through the
/// slot as an event, and `heartbeat.action.query`, so that a published table changes even when nothing else does.
final class HeartbeatQuery: Sendable {
    private let isStopped = Monitor(false)

    init?(_ options: SourceOptions, _ logger: Logger) {
        guard let prefix = options.heartbeatPrefix else { return nil }
        let isStopped = isStopped
        _ = WorkerThread("pg heartbeat") {
            var connection: PostgresConnection?
            while isStopped.wait(for: options.heartbeatInterval, until: { $0 ? true : nil }) == nil {
                do throws(PostgresError) {
                    if connection == nil { connection = try options.connect() }
                    guard let connection else { continue }
                    try Self.emit(prefix, connection)
                    if let query = options.heartbeatActionQuery {
                        try connection.execute(query, "run heartbeat.action.query")
                    }
                } catch {
                    if connection?.isBroken != false { connection = nil }
                    logger.warning(
                        "the heartbeat query failed", metadata: ["error": "\(error.connectorError.description)"])
                }
            }
        }
    }

    /// Transactional, because the commit writes the WAL out: other messages may wait there for seconds. A standby cannot
    /// write any; before PostgreSQL 14, pgoutput does not send them.
    private static func emit(_ prefix: String, _ connection: PostgresConnection) throws(PostgresError) {
        guard connection.serverVersion >= 140_000 else { return }
        try connection.execute(
            "SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_logical_emit_message(true, $1, '') END", [prefix],
            "write a heartbeat")
    }

    func stop() {
        isStopped.update { $0 = true }
    }
}
