import Logging
import MillraceCore
import MillraceLog

/// The open change log of one source connector, for as long as the connector exists: the source's task comes and goes,
/// sinks read on.
final class LogHost: Sendable {
    let connector: String
    let directory: String
    let log: any ReplicationLog
    let clock: TaskClock
    private let logger: Logger
    private let state: Monitor<State>

    private struct State {
        var settings: LogSettings
        /// What the log holds, as of the end of the last run of the source.
        var recovered: RecoveredLog
        var stall: ConnectorError?
        var failure: ConnectorError?
        /// Stored cursors of the sinks that read this log, whatever state they are in; nil: from the beginning.
        var readers: [String: Cursor?] = [:]
        var warnedOfTrimming = false
    }

    init(
        connector: String, directory: String, log: any ReplicationLog, settings: LogSettings,
        clock: TaskClock = .system,
        logger: Logger
    ) {
        self.connector = connector
        self.directory = directory
        self.log = log
        self.clock = clock
        self.logger = logger
        state = Monitor(State(settings: settings, recovered: log.recovered))
    }

    /// Opens (and so recovers) the log of a connector.
    static func open(
        connector: String, directory: String, settings: LogSettings, logger: Logger
    ) throws(ConnectorError) -> LogHost {
        do {
            let log = try DiskLog(directory: directory, options: settings.logOptions, storage: FileStorage()) {
                DiskReserve.isReached(on: directory, adding: $0)
            }
            return LogHost(
                connector: connector, directory: directory, log: log, settings: settings, logger: logger)
        } catch {
            throw error.connectorError
        }
    }

    /// Sizes and ages count from now on; the size of segments from the next opening on.
    var settings: LogSettings {
        get { state.read { $0.settings } }
        set { state.update { $0.settings = newValue } }
    }

    var recovered: RecoveredLog {
        get { state.read { $0.recovered } }
        set { state.update { $0.recovered = newValue } }
    }

    /// Set when a write or an fsync failed: the log must be opened anew.
    var failure: ConnectorError? { state.read { $0.failure } }
    /// Why nothing can be written just now or any more.
    var trouble: ConnectorError? { state.read { $0.failure ?? $0.stall } }

    /// What the writer reports: nil when a stall is over.
    func note(_ trouble: ConnectorError?) {
        switch trouble {
        case nil: logger.notice("change log takes changes again")
        case let error?: logger.error("change log: \(error)")
        }
        state.update { state in
            if let trouble, trouble.kind != .transient { state.failure = trouble }
            state.stall = trouble
        }
    }

    /// The writer that waited for space has gone: the next one will find out for itself.
    func forgetStall() {
        state.update { $0.stall = nil }
    }

    // MARK: Sinks

    func setReader(_ sink: String, _ cursor: Cursor?) {
        state.update { $0.readers[sink] = .some(cursor) }
    }

    func removeReader(_ sink: String) {
        _ = state.update { $0.readers.removeValue(forKey: sink) }
    }

    // MARK: Retention

    /// Removes what retention lets go. Blocks for as long as the log is being written.
    func trim(isUnderPressure: Bool = false) {
        let (retention, readers, isFailed) = state.read { ($0.settings.retention, $0.readers, $0.failure != nil) }
        guard !isFailed else { return }
        let logID = log.id
        let start = log.start.offset
        let needed = readers.values.map { cursor in
            cursor.flatMap { $0.logID == logID ? $0.offset : nil } ?? start
        }.min()
        let segments = log.segments(now: clock.secondsSince1970())
        guard
            let offset = retention.trimOffset(segments, needed: needed, isUnderPressure: isUnderPressure)
        else { return }
        do {
            let freed = try log.trim(before: offset)
            if freed > 0 { logger.debug("retention removed \(freed) bytes of log before offset \(offset)") }
            state.update { $0.warnedOfTrimming = false }
        } catch {
            let isNew = state.update { state in
                defer { state.warnedOfTrimming = true }
                return !state.warnedOfTrimming
            }
            if isNew { logger.warning("retention cannot remove old segments: \(error)") }
        }
    }

    /// Discards everything in the log. Only while the source's task does not run.
    func reset() throws(ConnectorError) {
        do {
            try log.reset()
        } catch {
            throw error.connectorError
        }
        recovered = log.recovered
    }

    var details: LogDetails {
        LogDetails(
            id: log.id, start: log.start, durable: log.durable, byteCount: log.byteCount,
            segmentCount: log.segmentCount, directory: directory, trouble: trouble)
    }
}
