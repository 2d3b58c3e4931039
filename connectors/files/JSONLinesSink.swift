package import Envelope
package import Logging
package import MillraceCore

/// Writes Debezium events as JSON lines: one file after the other, each complete when it has its name.
// SAFETY: used by its task's thread; what others may call (`interrupt`, `status`) goes through the monitors of `counters`.
package final class JSONLinesSink: Sink, @unchecked Sendable {
    private let options: FileSinkOptions
    private let form: EventForm
    private let headers: EventHeaders
    private let prefix: String
    private let isWanted: (String) -> Bool
    private let storage: any FileStorage
    private let logger: Logger
    private let now: () -> ContinuousClock.Instant

    private var directory: SinkDirectory
    private var pipeline: EventPipeline
    private let events = EncodedEvents()
    private var line: EventLine
    private var file: OutputFile
    private let counters = SinkCounters()
    /// Events per topic since the status was last brought up to date.
    private var newEvents: [UInt64] = []
    private var newTransactions: UInt64 = 0

    private var sequence: UInt32 = 1
    private var logID: UInt64 = 0
    /// Everything before is in finished files, or was not for us.
    private var durable: Cursor?
    /// Newest place that the open file may end at, and whether it has anything behind that.
    private var boundary: EncodedBoundary?
    private var isBehindBoundary = false
    private var firstEvent: (lsn: LSN, ordinal: UInt64)?
    private var openedAt: ContinuousClock.Instant?
    private var hasFailed = false

    /// `now`: what rotation by time goes by. Throws where a converter or a transform cannot be made.
    package init(
        _ options: FileSinkOptions, _ form: EventForm, prefix: String,
        isWanted: @escaping (String) -> Bool, storage: any FileStorage, logger: Logger,
        now: @escaping () -> ContinuousClock.Instant = { .now }
    ) throws(ConnectorError) {
        self.options = options
        self.form = form
        headers = EventHeaders(form.options)
        self.prefix = prefix
        self.isWanted = isWanted
        self.storage = storage
        self.logger = logger
        self.now = now
        directory = SinkDirectory(storage, path: options.path, prefix: prefix)
        file = OutputFile(storage, temporaryPath: Self.temporaryPath(options, prefix))
        pipeline = try EventPipeline(form, headers: headers, isWanted: isWanted)
        line = EventLine(headers, key: pipeline.keyForm, value: pipeline.valueForm)
        for (name, form) in [("key.converter", pipeline.keyForm), ("value.converter", pipeline.valueForm)] {
            guard form == .binary else { continue }
            throw ConnectorError(
                .configuration, code: "unsupported_property",
                "\(name): a line of JSON cannot hold what this converter writes",
                hint: "set \(name)=org.apache.kafka.connect.json.JsonConverter at the sink")
        }
    }

    private static func temporaryPath(_ options: FileSinkOptions, _ prefix: String) -> String {
        "\(options.path)/.\(PathText.encode(prefix)).jsonl.tmp"
    }

    package func start(after stored: Cursor?, logID: UInt64) throws(ConnectorError) -> Cursor? {
        counters.clearInterruption()
        try directory.open()
        // What was not finished is written again from the log.
        try storage.remove(file.temporaryPath)
        let names = try storage.list(options.path).compactMap {
            SealedFileName($0, prefix: prefix, pathExtension: "jsonl")
        }
        let resumption = directory.resumption(names, stored: stored, logID: logID)
        sequence = resumption.sequence
        durable = resumption.cursor
        boundary = nil
        self.logID = logID
        pipeline = try EventPipeline(
            form, headers: headers, resumedAt: durable, lastCommitEnd: resumption.lastCommitEnd, isWanted: isWanted)
        return durable
    }

    package func write(_ batch: ChangeBatch) throws(ConnectorError) -> Delivery {
        do throws(ConnectorError) {
            let before = durable
            try encode(batch)
            try rotateIfDue()
            updateStatus(batch)
            return durable == before ? .accepted : durable.map { .durable(through: $0) } ?? .accepted
        } catch {
            hasFailed = true
            throw error
        }
    }

    package func flush() throws(ConnectorError) -> Cursor? { try tick() }

    package func tick() throws(ConnectorError) -> Cursor? {
        do {
            try rotateIfDue()
        } catch {
            hasFailed = true
            throw error
        }
        return durable
    }

    /// Finishes the open file where it ends with a whole transaction; otherwise the rest comes again from the log.
    package func stop() {
        if !hasFailed, !file.isEmpty, !isBehindBoundary {
            do {
                try seal()
            } catch {
                logger.warning("the last file could not be finished and will be written again: \(error)")
            }
        }
        // Whoever does not hold the lock leaves the temporary file to who does.
        if directory.isOpen { file.discard() }
        directory.close()
    }

    package func interrupt() { counters.interrupt() }

    package func status() -> SinkStatus { counters.read() }

    // MARK: Writing

    /// Events are taken out of the pipeline whenever this much has gathered.
    private static let drainLimit = 1 << 18

    private func encode(_ batch: ChangeBatch) throws(ConnectorError) {
        var records = batch.records()
        while true {
            let record: Record?
            do {
                record = try records.next()
            } catch {
                throw ConnectorError(.protocolViolation, code: "malformed_record", error.description)
            }
            guard let record else { break }
            if case .commit = record { newTransactions += 1 }
            try pipeline.encode(record, endingAt: records.offset, of: batch, into: events)
            if events.json.count >= Self.drainLimit { try drain() }
        }
        try pipeline.finish(batch, into: events)
        try drain()
        for warning in pipeline.warnings { logger.warning("\(warning)") }
        pipeline.warnings.removeAll()
    }

    private func drain() throws(ConnectorError) {
        try counters.checkInterruption()
        for item in events.items {
            switch item {
            case .event(let event): try append(event)
            case .boundary(let place):
                boundary = place
                isBehindBoundary = false
                if file.isEmpty {
                    durable = place.cursor
                } else if file.byteCount >= options.rotateBytes {
                    try seal()
                }
            }
        }
        events.removeAll()
    }

    private func append(_ event: EncodedEvent) throws(ConnectorError) {
        if file.isEmpty {
            firstEvent = (event.commitLSN, event.ordinal)
            openedAt = now()
        }
        line.append(event, of: events, topics: pipeline.topics, to: file.buffer)
        isBehindBoundary = true
        while newEvents.count < pipeline.topics.count { newEvents.append(0) }
        newEvents[event.topic] += 1
        if file.buffer.count >= OutputFile.bufferLimit { try file.spill() }
    }

    // MARK: Rotation

    private func rotateIfDue() throws(ConnectorError) {
        guard !file.isEmpty, !isBehindBoundary, let openedAt else { return }
        if file.byteCount >= options.rotateBytes || now() - openedAt >= options.rotateInterval { try seal() }
    }

    private func seal() throws(ConnectorError) {
        guard let boundary, let firstEvent else { return }
        let name = SealedFileName(
            prefix: prefix, sequence: sequence, startOffset: durable?.offset ?? 0, firstLSN: firstEvent.lsn,
            firstOrdinal: firstEvent.ordinal, cursor: boundary.cursor, lastCommitEnd: boundary.lastCommitEnd ?? .zero)
        try file.seal(as: name.text("jsonl"), in: options.path)
        durable = boundary.cursor
        openedAt = nil
    }

    private func updateStatus(_ batch: ChangeBatch) {
        let topics = pipeline.topics
        counters.add { status in
            status.bytes += UInt64(batch.bytes.count)
            for (index, count) in newEvents.enumerated() where count > 0 {
                status.changes += count
                // A transform may have given the topic another name.
                let topic = topics[index]
                let table = topic.hasPrefix(prefix + ".") ? String(topic.dropFirst(prefix.count + 1)) : topic
                status.changesByTable[table, default: 0] += count
            }
            status.transactions += newTransactions
        }
        newTransactions = 0
        for index in newEvents.indices { newEvents[index] = 0 }
    }
}
