import MillraceCore
import MillraceLog

/// What the task's thread does, one step at a time. Nothing waits but the reader, for as long as it is told to, so that a
/// simulation can take the steps itself.
extension SinkTask {
    /// A sink at work, from its start to its end.
    struct Run {
        let sink: any Sink
        let reader: any BatchReader
        var checkpoint: CheckpointClock
        /// Whether something was accepted that a flush might make durable.
        var isDirty = false
    }

    func runOnce() throws(ConnectorError) {
        let sink = try makeSink()
        defer { end(sink) }
        guard !runner.isStopping else { return }
        var run = try begin(sink)
        do {
            while !runner.isStopping { try step(&run, patience: setup.tickInterval) }
            try finish(&run)
        } catch {
            abandon()
            throw error
        }
    }

    func makeSink() throws(ConnectorError) -> any Sink {
        if let failure = host.failure { throw failure }
        let sink = try setup.plugin.makeSink(
            setup.config, source: setup.source, topics: setup.topics,
            TaskContext(connectorName: setup.connector, taskID: id, logger: setup.logger))
        state.update { state in
            state.statusBefore = state.statusBefore.adding(state.lastStatus)
            state.lastStatus = SinkStatus()
            state.sink = sink
        }
        return sink
    }

    /// The last step of every sink that was made.
    func end(_ sink: any Sink) {
        sink.stop()
        let status = sink.status()
        state.update {
            $0.lastStatus = status
            $0.sink = nil
            $0.reader = nil
        }
    }

    func begin(_ sink: any Sink) throws(ConnectorError) -> Run {
        let logID = host.log.id
        let stored = state.read { $0.durable }
        let begun = try sink.start(after: stored.flatMap { $0.logID == logID ? $0 : nil }, logID: logID)
        let reader = try makeReader(after: begun, logID: logID)
        state.update {
            $0.reader = reader
            $0.durable = begun?.logID == logID ? begun : nil
        }
        let checkpoint = CheckpointClock(interval: setup.checkpointInterval, now: setup.clock.elapsed())
        try storeCursor()
        return Run(sink: sink, reader: reader, checkpoint: checkpoint)
    }

    /// Brings one batch to the sink, or, where there is none, does what a sink does when it is idle. `patience`: how long
    /// to wait for a batch.
    func step(_ run: inout Run, patience: Duration) throws(ConnectorError) {
        if let failure = host.failure { throw failure }
        let timeout: Duration = run.isDirty ? min(run.sink.flushPause, patience) : patience
        if let batch = try next(run.reader, run.sink.batchByteLimit, timeout) {
            run.isDirty = try write(batch, to: run.sink)
        } else if runner.isStopping {
            return
        } else if run.isDirty {
            note(try run.sink.flush())
            run.isDirty = false
        } else {
            note(try run.sink.tick())
            // Everything there is was taken: whatever went wrong before is over.
            runner.noteProgress()
        }
        if run.checkpoint.isDue(setup.clock.elapsed()) { try storeCursor() }
    }

    /// An orderly end.
    func finish(_ run: inout Run) throws(ConnectorError) {
        note(try run.sink.flush())
        run.isDirty = false
        try storeCursor()
    }

    /// After an error: what is durable is worth storing whatever happened. That error is the one to tell.
    func abandon() {
        try? storeCursor()
    }

    /// Returns whether a flush could still make something of it durable.
    private func write(_ batch: ChangeBatch, to sink: any Sink) throws(ConnectorError) -> Bool {
        let delivery = try sink.write(batch)
        if let time = batch.lastCommitTime { state.update { $0.lastDelivered = time } }
        guard case .durable(let cursor) = delivery else { return true }
        note(cursor)
        return cursor < batch.end
    }

    private func note(_ cursor: Cursor?) {
        guard let cursor else { return }
        let isNews = state.read { state in state.durable.map { $0.logID == cursor.logID && $0 < cursor } ?? true }
        guard isNews else { return }
        state.update { $0.durable = cursor }
        runner.noteProgress()
    }

    private func storeCursor() throws(ConnectorError) {
        let (durable, stored) = state.read { ($0.durable, $0.stored) }
        guard let durable, durable != stored else { return }
        try setup.store.setCursor(durable, sink: setup.connector, source: source)
        state.update { $0.stored = durable }
        // Only what is stored lets the log go: after a crash the sink starts from there.
        host.setReader(setup.connector, durable)
    }

    // MARK: Reading

    private func makeReader(after cursor: Cursor?, logID: UInt64) throws(ConnectorError) -> any BatchReader {
        let log = host.log
        let start = log.start
        let durable = log.durable
        // While the sink started, the log was discarded: its cursors say nothing about the new one.
        guard start.logID == logID else { throw LogError.discarded.connectorError }
        guard let cursor, cursor.logID == logID else {
            // A log that was trimmed lacks its beginning, the full load: what is left would be taken for the whole.
            guard !log.isTrimmed else {
                throw LogTrouble.trimmed(connector: setup.connector, source: source, from: nil, start: start)
            }
            return try reader(after: nil, logID)
        }
        guard cursor.offset >= start.offset else {
            throw LogTrouble.trimmed(connector: setup.connector, source: source, from: cursor, start: start)
        }
        guard cursor.offset <= durable.offset || log.id != logID else {
            throw LogTrouble.ahead(connector: setup.connector, source: source, cursor: cursor, durable: durable)
        }
        return try reader(after: cursor, logID)
    }

    private func reader(after cursor: Cursor?, _ logID: UInt64) throws(ConnectorError) -> any BatchReader {
        let reader: any BatchReader
        do {
            reader = try host.log.makeReader(after: cursor)
        } catch {
            // The log was discarded in between: start over with the new one.
            throw host.log.id == logID ? error.connectorError : LogError.discarded.connectorError
        }
        guard host.log.id == logID else { throw LogError.discarded.connectorError }
        return reader
    }

    private func next(
        _ reader: any BatchReader, _ byteLimit: Int, _ timeout: Duration
    ) throws(ConnectorError) -> ChangeBatch? {
        do { return try reader.next(byteLimit: byteLimit, timeout: timeout) } catch { throw error.connectorError }
    }
}
