import CRDKafka
import Envelope
import Logging
import MillraceCore

/// The topic in which the cursor is committed together with the events: one key for each connector and source, of which
/// the newest committed record counts.
struct CursorTopic {
    let topic: String
    let key: String

    init(_ transactions: KafkaSinkOptions.Transactions, connector: String, source: String) {
        topic = transactions.offsetsTopic
        // Names have no control characters.
        key = "\(connector)\t\(source)"
    }

    /// `<cursor> <end of the last commit>`
    static func text(_ boundary: EncodedBoundary) -> String {
        "\(boundary.cursor) \((boundary.lastCommitEnd ?? .zero).description)"
    }

    static func boundary(_ text: String) -> EncodedBoundary? {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 2, let cursor = Cursor(parts[0]), let end = LSN(parts[1]) else { return nil }
        return EncodedBoundary(cursor: cursor, lastCommitEnd: end == .zero ? nil : end)
    }

    /// Reads the topic to its end. Nil: no cursor there.
    func read(
        _ properties: [ProducerProperty], logger: Logger, isCancelled: () -> Bool
    ) throws(ConnectorError) -> EncodedBoundary? {
        let shared = properties.filter { property in
            ["bootstrap.servers", "client.id"].contains(property.name)
                || ["security.", "sasl.", "ssl.", "socket.", "broker.address."].contains {
                    property.name.hasPrefix($0)
                }
        }
        let client = try KafkaClient(
            .consumer,
            shared + [
                ProducerProperty("isolation.level", "read_committed"), ProducerProperty("enable.partition.eof", "true"),
            ],
            logger: logger)
        let deadline = ContinuousClock.now + .seconds(60)
        let range = try offsets(client, deadline, isCancelled)
        guard range.lowerBound < range.upperBound else { return nil }
        guard let handle = rd_kafka_topic_new(client.handle, topic, nil) else { throw unreadable("no such topic") }
        defer { rd_kafka_topic_destroy(handle) }
        guard rd_kafka_consume_start(handle, 0, range.lowerBound) == 0 else { throw unreadable("cannot begin") }
        defer { rd_kafka_consume_stop(handle, 0) }
        var last: EncodedBoundary?
        while ContinuousClock.now < deadline {
            if isCancelled() { throw .stopped }
            guard let message = rd_kafka_consume(handle, 0, 500) else { continue }
            defer { rd_kafka_message_destroy(message) }
            if message.pointee.err == RD_KAFKA_RESP_ERR__PARTITION_EOF { return last }
            guard message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else { continue }
            let bytes = UnsafeRawBufferPointer(start: message.pointee.key, count: message.pointee.key_len)
            guard bytes.elementsEqual(key.utf8) else { continue }
            last = try cursor(in: message.pointee)
        }
        throw unreadable("no answer within a minute")
    }

    private func cursor(in message: rd_kafka_message_t) throws(ConnectorError) -> EncodedBoundary? {
        guard let payload = message.payload else { return nil }
        let text = String(decoding: UnsafeRawBufferPointer(start: payload, count: message.len), as: UTF8.self)
        guard let boundary = Self.boundary(text) else {
            throw ConnectorError(
                .consistency, code: "cursor_damaged", "the cursor in topic \(topic) cannot be read",
                hint: "give the sink a topic of its own in offsets.storage.topic, or set its offsets anew")
        }
        return boundary
    }

    /// Where partition 0 begins and ends.
    private func offsets(
        _ client: KafkaClient, _ deadline: ContinuousClock.Instant, _ isCancelled: () -> Bool
    ) throws(ConnectorError) -> Range<Int64> {
        while true {
            if isCancelled() { throw .stopped }
            var low: Int64 = 0
            var high: Int64 = 0
            let code = rd_kafka_query_watermark_offsets(client.handle, topic, 0, &low, &high, 1000)
            if code == RD_KAFKA_RESP_ERR_NO_ERROR { return low..<max(low, high) }
            client.serve(0)
            guard ContinuousClock.now < deadline else { throw unreadable(code.message) }
            if code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED {
                throw KafkaFailure.record(code, topic: topic, position: "")
            }
        }
    }

    private func unreadable(_ reason: String) -> ConnectorError {
        ConnectorError(
            .transient, code: "cursor_unreadable", "the cursor in topic \(topic) cannot be read: \(reason)",
            hint: "create the topic with one partition and cleanup.policy=compact, and let the user read and write it")
    }
}
