import Envelope
import Logging
import MillraceCore

/// Writes the events of one source to Kafka.
// SAFETY: used by its task's thread; what others may call (`interrupt`, `status`) goes through the monitor of `shared`.
final class KafkaSink: Sink, @unchecked Sendable {
    private struct Shared {
        var status = SinkStatus()
        var isInterrupted = false
    }

    private let options: KafkaSinkOptions
    private let form: EventForm
    private let headers: EventHeaders
    private let source: SourceDescription
    private let isWanted: (String) -> Bool
    private let context: TaskContext
    private let shared = Monitor(Shared())

    private var producer: EventProducer?
    private var pipeline: EventPipeline
    private let events = EncodedEvents()
    /// Events per topic since the status was last brought up to date.
    private var newEvents: [UInt64] = []
    private var newTransactions: UInt64 = 0
    /// What is told to the runtime: acknowledged, and committed where there are transactions.
    private var durable: Cursor?
    private var transaction = TransactionPace()

    init(
        _ options: KafkaSinkOptions, _ form: EventForm, source: SourceDescription,
        isWanted: @escaping (String) -> Bool, context: TaskContext
    ) throws(ConnectorError) {
        self.options = options
        self.form = form
        headers = EventHeaders(form.options)
        self.source = source
        self.isWanted = isWanted
        self.context = context
        pipeline = try EventPipeline(form, headers: headers, isWanted: isWanted)
    }

    func start(after stored: Cursor?, logID: UInt64) throws(ConnectorError) -> Cursor? {
        shared.update { $0.isInterrupted = false }
        for warning in options.warnings { context.logger.warning("\(warning.message)") }
        let producer = try EventProducer(
            options, headers, context, tell: { [shared] trouble in shared.update { $0.status.trouble = trouble } },
            isInterrupted: { [shared] in shared.read { $0.isInterrupted } })
        self.producer = producer
        try producer.connect()
        durable = stored.flatMap { $0.logID == logID ? $0 : nil }
        var lastCommitEnd = durable?.commitLSN
        if let transactions = options.transactions {
            let cursors = CursorTopic(transactions, connector: context.connectorName, source: source.connectorName)
            if let place = try producer.takeOver(cursors), place.cursor.logID == logID {
                durable = place.cursor
                lastCommitEnd = place.lastCommitEnd
            }
        }
        pipeline = try EventPipeline(
            form, headers: headers, resumedAt: durable, lastCommitEnd: lastCommitEnd, isWanted: isWanted)
        return durable
    }

    func write(_ batch: ChangeBatch) throws(ConnectorError) -> Delivery {
        let before = durable
        let producer = try running()
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
            if events.json.count >= Self.sendLimit { try send(producer) }
        }
        try pipeline.finish(batch, into: events)
        try send(producer)
        for warning in pipeline.warnings { context.logger.warning("\(warning)") }
        pipeline.warnings.removeAll()
        updateStatus(batch)
        return durable == before ? .accepted : durable.map { .durable(through: $0) } ?? .accepted
    }

    /// Waits for every acknowledgement: for as long as the brokers are away, unless interrupted.
    func flush() throws(ConnectorError) -> Cursor? {
        let producer = try running()
        try producer.drain()
        if options.transactions != nil, !producer.ledger.isInsideTransaction { try commit(producer) }
        noteDurable(producer)
        return durable
    }

    func tick() throws(ConnectorError) -> Cursor? {
        let producer = try running()
        try producer.serve(0)
        noteDurable(producer)
        return durable
    }

    func stop() {
        producer?.abandonTransaction()
        producer = nil
        shared.update { $0.status.trouble = nil }
    }

    func interrupt() { shared.update { $0.isInterrupted = true } }

    func status() -> SinkStatus { shared.read { $0.status } }

    private func running() throws(ConnectorError) -> EventProducer {
        guard let producer else { throw ConnectorError(.bug, code: "not_started", "the sink was not started") }
        return producer
    }

    // MARK: Sending

    /// Bytes of events that are taken out of the pipeline at a time.
    private static let sendLimit = 1 << 18

    private func send(_ producer: EventProducer) throws(ConnectorError) {
        let topics = pipeline.topics
        while newEvents.count < topics.count { newEvents.append(0) }
        for item in events.items {
            switch item {
            case .event(let event):
                if options.transactions != nil { try transaction.noteEvent(producer) }
                try producer.send(event, of: events, topics: topics)
                newEvents[event.topic] &+= 1
            case .boundary(let boundary):
                producer.ledger.reach(boundary)
                if transaction.isLongEnough { try commit(producer) }
            }
        }
        events.removeAll()
        try producer.serve(0)
        noteDurable(producer)
    }

    /// In transactions only what is committed counts, and that is noted by `commit`; but for what had no events.
    private func noteDurable(_ producer: EventProducer) {
        guard !producer.isInTransaction, let boundary = producer.ledger.durable else { return }
        durable = boundary.cursor
    }

    private func commit(_ producer: EventProducer) throws(ConnectorError) {
        guard producer.isInTransaction, let transactions = options.transactions else { return }
        try producer.commit(
            CursorTopic(transactions, connector: context.connectorName, source: source.connectorName))
        transaction = TransactionPace()
        noteDurable(producer)
    }

    private func updateStatus(_ batch: ChangeBatch) {
        let topics = pipeline.topics
        let prefix = source.topicPrefix + "."
        shared.update { shared in
            shared.status.bytes += UInt64(batch.bytes.count)
            shared.status.transactions += newTransactions
            for (index, count) in newEvents.enumerated() where count > 0 {
                shared.status.changes += count
                // Transforms may have given another name.
                let topic = topics[index]
                let table = topic.hasPrefix(prefix) ? String(topic.dropFirst(prefix.count)) : topic
                shared.status.changesByTable[table, default: 0] += count
            }
        }
        newTransactions = 0
        for index in newEvents.indices { newEvents[index] = 0 }
    }
}

/// Says when a Kafka transaction has held enough, so that readers do not wait long and the commits cost little.
struct TransactionPace {
    private var count = 0
    private var begun: ContinuousClock.Instant?

    mutating func noteEvent(_ producer: EventProducer) throws(ConnectorError) {
        if count == 0 {
            try producer.beginTransaction()
            begun = .now
        }
        count += 1
    }

    /// Asked at the ends of the source's transactions.
    var isLongEnough: Bool {
        guard count > 0, let begun else { return false }
        return count >= 20_000 || (count >= 100 && ContinuousClock.now - begun >= .milliseconds(200))
    }
}
