import MillraceCore
import MillraceLog

/// What keeps a log from taking changes, in words for the operator.
enum LogTrouble {
    static func noSpace(_ path: String, byteCount: UInt64) -> ConnectorError {
        ConnectorError(
            .transient, code: "log_disk_full",
            "no space left on the disk of \(path); the change log holds \(byteCount) bytes. The source is not "
                + "acknowledged and keeps its WAL; nothing is lost",
            hint: "free space on that disk: writing goes on by itself")
    }

    static func limitReached(_ limit: UInt64, byteCount: UInt64) -> ConnectorError {
        ConnectorError(
            .transient, code: "log_limit_reached",
            "the change log holds \(byteCount) bytes and log.max.bytes is \(limit). The source is not acknowledged and "
                + "keeps its WAL; nothing is lost",
            hint:
                "raise log.max.bytes (it must exceed the largest transaction), or let the slowest sink catch up, or delete a sink that is not needed: writing "
                + "goes on by itself when there is room")
    }

    /// Of kind `consistency`: what is on the disk is known only after opening the log anew.
    static func failed(_ error: LogError) -> ConnectorError {
        let base = error.connectorError
        return ConnectorError(
            .consistency, code: base.code == "log_corrupt" ? base.code : "log_failed",
            "the change log cannot be written: \(base.message)",
            hint: base.code == "log_corrupt"
                ? base.hint
                : "mend the disk, then restart the source connector (POST /connectors/<name>/restart?includeTasks=true): "
                    + "the log is opened and checked anew; nothing was acknowledged that is not stored",
            foreignCode: base.foreignCode)
    }

    /// A sink must start where the log does not reach back to any more.
    static func trimmed(connector: String, source: String, from cursor: Cursor?, start: Cursor) -> ConnectorError {
        ConnectorError(
            .consistency, code: "log_trimmed",
            "\(connector) has to read \(cursor.map { "from \($0)" } ?? "from the beginning"), but the log of \(source) "
                + "begins at \(start): older changes were removed by retention",
            hint: "load anew: stop \(source), DELETE /connectors/\(source)/offsets, resume it; every sink of it then "
                + "starts over. To keep more history for later sinks raise log.retention.bytes and log.retention.ms")
    }

    /// A sink says that it holds more than the log ever did.
    static func ahead(connector: String, source: String, cursor: Cursor, durable: Cursor) -> ConnectorError {
        ConnectorError(
            .consistency, code: "cursor_ahead",
            "\(connector) is at \(cursor), behind the end \(durable) of the log of \(source): the log was replaced by an "
                + "older copy, or the target belongs to another server",
            hint: "give the sink an empty target and reset its offsets (DELETE /connectors/\(connector)/offsets)")
    }
}
