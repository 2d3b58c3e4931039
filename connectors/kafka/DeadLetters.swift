import CRDKafka
import MillraceCore

/// A record that Kafka refused, on its way to the dead letter topic.
struct DeadLetter {
    /// What the ledger waits for.
    let number: Int
    let topic: String
    let partition: Int32
    let code: rd_kafka_resp_err_t
    let position: String
    private let key: [UInt8]?
    private let value: [UInt8]?
    private let headers: [(name: String, value: [UInt8])]
    let timestamp: Int64

    /// Copies the record. One that is too large leaves its value behind: the dead letter topic could not take it either.
    init(
        number: Int, topic: String, partition: Int32, code: rd_kafka_resp_err_t, key: UnsafeRawBufferPointer?,
        value: UnsafeRawBufferPointer?, headers: OpaquePointer?, timestamp: Int64
    ) {
        self.number = number
        self.topic = topic
        self.partition = partition
        self.code = code
        self.key = key.map { Array($0) }
        self.value = KafkaFailure.isTooLarge(code) ? nil : value.map { Array($0) }
        self.headers = headers.map(Self.list) ?? []
        self.timestamp = timestamp
        position =
            self.headers.first { $0.name == RecordHeaders.positionName }
            .map { String(decoding: $0.value, as: UTF8.self) } ?? ""
    }

    private static func list(_ headers: OpaquePointer) -> [(name: String, value: [UInt8])] {
        var list: [(String, [UInt8])] = []
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var count = 0
        while rd_kafka_header_get_all(headers, list.count, &name, &value, &count) == RD_KAFKA_RESP_ERR_NO_ERROR,
            let text = name
        {
            list.append((String(cString: text), Array(UnsafeRawBufferPointer(start: value, count: count))))
        }
        return list
    }

    /// Kafka Connect's headers for dead letters.
    func errorContext(connector: String, task: Int) -> [(name: String, value: String)] {
        let failure = KafkaFailure.record(code, topic: topic, position: position)
        return [
            ("__connect.errors.topic", topic),
            ("__connect.errors.partition", String(partition)),
            ("__connect.errors.offset", position),
            ("__connect.errors.connector.name", connector),
            ("__connect.errors.task.id", String(task)),
            ("__connect.errors.stage", "KAFKA_PRODUCE"),
            ("__connect.errors.class.name", "kafka-sink"),
            ("__connect.errors.exception.class.name", Self.exceptionName(code)),
            ("__connect.errors.exception.message", failure.message),
            ("__connect.errors.exception.stacktrace", failure.description),
        ]
    }

    /// The names that the Java client has for these, which people filter by.
    private static func exceptionName(_ code: rd_kafka_resp_err_t) -> String {
        let package = "org.apache.kafka.common.errors."
        switch code {
        case _ where KafkaFailure.isTooLarge(code): return package + "RecordTooLargeException"
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED: return package + "TopicAuthorizationException"
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
            RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
            return package + "UnknownTopicOrPartitionException"
        case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION: return package + "InvalidTopicException"
        case RD_KAFKA_RESP_ERR_POLICY_VIOLATION: return package + "PolicyViolationException"
        default: return package + "InvalidRecordException"
        }
    }

    /// Gives the record to librdkafka, under `opaque`.
    func send(
        to target: OpaquePointer, _ client: KafkaClient, context: [(name: String, value: String)],
        opaque: UnsafeMutableRawPointer?
    ) -> rd_kafka_resp_err_t {
        let all = rd_kafka_headers_new(headers.count + context.count)
        for header in headers {
            rd_kafka_header_add(all, header.name, header.name.utf8.count, header.value, header.value.count)
        }
        for header in context {
            rd_kafka_header_add(all, header.name, header.name.utf8.count, header.value, header.value.utf8.count)
        }
        func withBytes<Result>(_ bytes: [UInt8]?, _ body: (UnsafeRawBufferPointer?) -> Result) -> Result {
            bytes?.withUnsafeBytes { body($0) } ?? body(nil)
        }
        let code = withBytes(key) { key in
            withBytes(value) { value in
                millrace_produce(
                    client.handle, target, RD_KAFKA_PARTITION_UA, key?.baseAddress, key?.count ?? 0, value?.baseAddress,
                    value?.count ?? 0,
                    timestamp, all, opaque)
            }
        }
        if code != RD_KAFKA_RESP_ERR_NO_ERROR, let all { rd_kafka_headers_destroy(all) }
        return code
    }
}
