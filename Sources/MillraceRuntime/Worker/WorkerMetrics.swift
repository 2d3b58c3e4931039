package import MillraceCore

/// Everything that `/metrics` and the pages of single connectors show, at one moment.
package struct WorkerMetrics: Sendable {
    package var sources: [SourceDetails] = []
    package var sinks: [SinkDetails] = []
    package var connectors: [ConnectorStatus] = []
}

package struct SourceDetails: Sendable {
    package var connector: String
    package var topicPrefix: String
    /// What the source last said; nil while it has never run since the server started.
    package var source: SourceStatus?
    /// Nil while the log could not be opened.
    package var log: LogDetails?
    /// End LSN of the last transaction that is fsynced here; nil for none.
    package var durableLSN: LSN?
    /// WAL bytes at the server that are not durable here yet; nil while the server's end is not known.
    package var lagBytes: UInt64?
    /// Seconds since the commit of the last transaction received, while something is behind; 0 when nothing is.
    package var lagSeconds: Double?
    /// Times that the task was started again after an error, since the connector was started.
    package var retries: UInt64
    package var errors: UInt64
    package var lastError: ConnectorError?
}

package struct LogDetails: Sendable {
    package var id: UInt64
    package var start: Cursor
    package var durable: Cursor
    package var byteCount: UInt64
    package var segmentCount: Int
    package var directory: String
    /// Why the log takes nothing at the moment (disk full, `log.max.bytes`), or never will again (failed).
    package var trouble: ConnectorError?
}

package struct SinkDetails: Sendable {
    package var connector: String
    package var task: Int
    /// Name of the source connector.
    package var source: String
    package var state: TaskStateInfo
    /// Nil: nothing delivered durably yet.
    package var cursor: Cursor?
    /// Bytes of log between the durable cursor and the log's durable end.
    package var lagBytes: UInt64
    /// Age of the newest transaction delivered while something is waiting, 0 when nothing is.
    package var lagSeconds: Double
    package var status: SinkStatus
    package var errors: UInt64
    package var retries: UInt64
}
