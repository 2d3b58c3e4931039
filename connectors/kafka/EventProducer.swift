import CRDKafka
import Envelope
import Logging
import MillraceCore

/// Sends events and keeps account of their acknowledgements. Used by one thread.
final class EventProducer {
    let client: KafkaClient
    let options: KafkaSinkOptions
    let context: TaskContext
    private let isInterrupted: () -> Bool
    /// Told when acknowledgements are kept back by trouble with the brokers, and when (nil) they no longer are.
    private let tell: (ConnectorError?) -> Void
    private var told: String?
    var ledger = DeliveryLedger()
    private var headers: RecordHeaders
    /// librdkafka's handles, by the encoder's number of a topic.
    private var topics: [OpaquePointer] = []
    private var namedTopics: [String: OpaquePointer] = [:]
    /// Topics that are known to exist, where the sink makes those that do not.
    private var existing: Set<String> = []
    private var deadLetters: [DeadLetter] = []
    private var leftOut: UInt64 = 0
    private var failure: ConnectorError?
    /// Whether a Kafka transaction is open.
    var isInTransaction = false

    init(
        _ options: KafkaSinkOptions, _ headers: EventHeaders, _ context: TaskContext,
        tell: @escaping (ConnectorError?) -> Void = { _ in }, isInterrupted: @escaping () -> Bool
    ) throws(ConnectorError) {
        self.options = options
        self.context = context
        self.isInterrupted = isInterrupted
        self.tell = tell
        self.headers = RecordHeaders(headers, writesPosition: options.writesPosition)
        client = try KafkaClient(.producer, options.producer, logger: context.logger)
    }

    deinit {
        // What is still waiting comes again from the log.
        rd_kafka_purge(
            client.handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING)
        for topic in namedTopics.values { rd_kafka_topic_destroy(topic) }
    }

    /// Waits for the brokers.
    func connect() throws(ConnectorError) {
        try client.awaitBrokers(for: .seconds(30), isCancelled: isInterrupted)
        if options.topicCreation != nil { existing = client.topics(timeout: 10_000) ?? [] }
    }

    func checkInterruption() throws(ConnectorError) {
        if isInterrupted() { throw .stopped }
    }

    // MARK: Sending

    /// Takes one event; waits for acknowledgements while the queue is full. `names`: the encoder's topics.
    func send(_ event: EncodedEvent, of events: EncodedEvents, topics names: [String]) throws(ConnectorError) {
        while topics.count <= event.topic { topics.append(try topic(named: names[topics.count])) }
        let topic = topics[event.topic]
        let number = ledger.send()
        let headers = headers.make(event, of: events)
        let key = event.key.map { events.json[$0] }
        let value = event.value.map { events.json[$0] }
        let partition = event.partition.map { Int32(clamping: $0) } ?? RD_KAFKA_PARTITION_UA
        let timestamp = event.commitTime.microsecondsSince1970 / 1000
        while true {
            let code = millrace_produce(
                client.handle, topic, partition, key?.baseAddress, key?.count ?? 0, value?.baseAddress,
                value?.count ?? 0,
                timestamp, headers, Self.opaque(number))
            if code == RD_KAFKA_RESP_ERR_NO_ERROR { return }
            do throws(ConnectorError) {
                if code == RD_KAFKA_RESP_ERR__QUEUE_FULL {
                    try serve(100)
                    continue
                }
                // The reports of what was sent before say more than that nothing can be sent now.
                if code == RD_KAFKA_RESP_ERR__FATAL { for _ in 0..<10 { try serve(100) } }
                try refuse(
                    DeadLetter(
                        number: number, topic: names[event.topic], partition: partition, code: code, key: key,
                        value: value,
                        headers: headers, timestamp: timestamp))
            } catch {
                if let headers { rd_kafka_headers_destroy(headers) }
                throw error
            }
            if let headers { rd_kafka_headers_destroy(headers) }
            return
        }
    }

    /// librdkafka's handle of a topic, which is created first where that is the sink's affair.
    func topic(named name: String) throws(ConnectorError) -> OpaquePointer {
        if let topic = namedTopics[name] { return topic }
        if let creation = options.topicCreation, !existing.contains(name) {
            var settings = creation.settings(for: name)
            if name == options.errors.deadLetterTopic {
                settings = .init(partitions: 1, replicationFactor: options.errors.replicationFactor, config: [:])
            } else if name == options.transactions?.offsetsTopic {
                settings.partitions = 1
                settings.config = ["cleanup.policy": "compact"]
            }
            try TopicAdmin.create(name, settings, client, timeout: options.requestTimeout)
            existing.insert(name)
            context.logger.info("created topic \(name)")
        }
        guard let topic = rd_kafka_topic_new(client.handle, name, nil) else {
            throw KafkaFailure.record(RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, topic: name, position: "")
        }
        namedTopics[name] = topic
        return topic
    }

    /// The number and what kind of record it is, as librdkafka carries it.
    private static func opaque(_ number: Int, isDeadLetter: Bool = false) -> UnsafeMutableRawPointer? {
        UnsafeMutableRawPointer(bitPattern: number << 1 | (isDeadLetter ? 1 : 0))
    }

    // MARK: Acknowledgements

    /// Takes in what has been acknowledged; waits up to `timeout` milliseconds for the first of it.
    func serve(_ timeout: Int32) throws(ConnectorError) {
        try checkInterruption()
        var hasNews = false
        client.serve(timeout) { message in
            let tag = Int(bitPattern: message.pointee._private)
            if message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR {
                hasNews = true
                ledger.acknowledge(tag >> 1)
            } else {
                take(message, tag)
            }
        }
        if hasNews { client.forgetTrouble() }
        tellOfTrouble()
        if let failure { throw failure }
        try sendDeadLetters()
    }

    /// A connection that breaks while nothing is waited for holds nobody up.
    private func tellOfTrouble() {
        let trouble = ledger.isDrained ? nil : client.lastTrouble
        guard trouble?.code != told else { return }
        told = trouble?.code
        tell(trouble)
    }

    /// Waits until everything that was sent is acknowledged.
    func drain() throws(ConnectorError) {
        try serve(0)
        while !ledger.isDrained { try serve(100) }
    }

    private func take(_ message: UnsafePointer<rd_kafka_message_t>, _ tag: Int) {
        guard failure == nil else { return }
        let record = message.pointee
        let topic = rd_kafka_topic_name(record.rkt).map { String(cString: $0) } ?? ""
        if tag & 1 == 1 {
            failure = Self.deadLetterFailure(topic, record.err)
            return
        }
        guard KafkaFailure.isOfOneRecord(record.err) else {
            let fatal = client.fatalError
            if let fatal, let cause = KafkaFailure.causeOfGap(fatal.code, fatal.text) {
                // The first record of the batch is the first to be reported.
                failure = KafkaFailure.record(cause, topic: topic, position: RecordHeaders.position(of: message))
                return
            }
            failure = KafkaFailure.producer(fatal?.code ?? record.err, fatal?.text ?? record.err.message)
            return
        }
        var headers: OpaquePointer?
        _ = rd_kafka_message_headers(message, &headers)
        let letter = DeadLetter(
            number: tag >> 1, topic: topic, partition: record.partition, code: record.err,
            key: record.key.map { UnsafeRawBufferPointer(start: $0, count: record.key_len) },
            value: record.payload.map { UnsafeRawBufferPointer(start: $0, count: record.len) }, headers: headers,
            timestamp: rd_kafka_message_timestamp(message, nil))
        do {
            try refuse(letter)
        } catch {
            failure = error
        }
    }

    // MARK: Records that are refused

    /// Puts a refused record aside, or throws why the task must stop.
    private func refuse(_ letter: DeadLetter) throws(ConnectorError) {
        guard KafkaFailure.isOfOneRecord(letter.code) else {
            let fatal = client.fatalError
            throw KafkaFailure.producer(fatal?.code ?? letter.code, fatal?.text ?? letter.code.message)
        }
        let failure = KafkaFailure.record(letter.code, topic: letter.topic, position: letter.position)
        guard options.errors.toleratesAll else { throw failure }
        leftOut &+= 1
        // At the 1st, 2nd, 4th, 8th …: a topic that is closed refuses every record.
        if leftOut & (leftOut &- 1) == 0 {
            let what = options.errors.deadLetterTopic.map { "goes to \($0)" } ?? "is left out"
            context.logger.warning("\(leftOut) refused so far; \(failure.message); it \(what)")
        }
        if options.errors.deadLetterTopic == nil {
            ledger.acknowledge(letter.number)
        } else {
            deadLetters.append(letter)
        }
    }

    private func sendDeadLetters() throws(ConnectorError) {
        guard !deadLetters.isEmpty, let name = options.errors.deadLetterTopic else { return }
        let topic = try topic(named: name)
        var sent = 0
        defer { deadLetters.removeFirst(sent) }
        for letter in deadLetters {
            let errors =
                options.errors.writesContextHeaders
                ? letter.errorContext(connector: context.connectorName, task: context.taskID) : []
            let code = letter.send(
                to: topic, client, context: errors, opaque: Self.opaque(letter.number, isDeadLetter: true))
            // The rest when there is room.
            if code == RD_KAFKA_RESP_ERR__QUEUE_FULL { return }
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw Self.deadLetterFailure(name, code) }
            sent += 1
        }
    }

    private static func deadLetterFailure(_ topic: String, _ code: rd_kafka_resp_err_t) -> ConnectorError {
        guard KafkaFailure.isOfOneRecord(code) else { return KafkaFailure.producer(code, code.message) }
        let failure = KafkaFailure.record(code, topic: topic, position: "")
        return ConnectorError(
            .configuration, code: "dead_letter_refused", "a dead letter is refused: \(failure.message)",
            hint: "mend topic \(topic), or errors.deadletterqueue.topic.name", foreignCode: code.name)
    }
}
