import CRDKafka
import Glibc
import MillraceTesting

/// One record as a reader of Kafka sees it.
package struct KafkaRecord {
    package var topic: String
    package var partition: Int32
    package var offset: Int64
    package var key: String?
    package var value: String?
    /// Key and value as they are, for what is no text.
    package var bytes: (key: [UInt8]?, value: [UInt8]?)
    package var headers: [(name: String, value: String)]
    /// Milliseconds since 1970.
    package var timestamp: Int64

    package func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }

    /// `<commit LSN>:<ordinal>`, empty for none.
    package var position: String { header("millrace.position") ?? "" }
}

/// Reads topics from their beginnings, by librdkafka's consumer.
package final class KafkaReader {
    private let handle: OpaquePointer

    package init(_ bootstrapServers: String) throws {
        let configuration = rd_kafka_conf_new()
        var message = [CChar](repeating: 0, count: 512)
        for (name, value) in [
            ("bootstrap.servers", bootstrapServers), ("isolation.level", "read_committed"), ("log_level", "0"),
            // Tests move leaders about; a reader must notice soon.
            ("topic.metadata.refresh.interval.ms", "500"), ("reconnect.backoff.max.ms", "500"),
        ] {
            rd_kafka_conf_set(configuration, name, value, &message, message.count)
        }
        guard let handle = rd_kafka_new(RD_KAFKA_CONSUMER, configuration, &message, message.count) else {
            throw TestFailure("no consumer")
        }
        self.handle = handle
    }

    deinit {
        rd_kafka_destroy(handle)
    }

    /// All records of a topic so far, partition by partition; none for a topic that does not exist.
    package func records(of topic: String) throws -> [KafkaRecord] {
        var records: [KafkaRecord] = []
        for partition in 0..<(try partitionCount(of: topic)) {
            records += try self.records(of: topic, partition)
        }
        return records
    }

    /// Names of all topics.
    package func topics() throws -> [String] {
        try metadata(nil) { metadata in
            (0..<Int(metadata.topic_cnt)).compactMap { metadata.topics?[$0].topic.map { String(cString: $0) } }
        }
    }

    private func partitionCount(of topic: String) throws -> Int32 {
        let known = try metadata(nil) { metadata in
            (0..<Int(metadata.topic_cnt)).compactMap { index in metadata.topics?[index] }
                .first { $0.topic.map { String(cString: $0) } == topic }?.partition_cnt
        }
        return known ?? 0
    }

    private func metadata<Result>(_ topic: OpaquePointer?, _ body: (rd_kafka_metadata) -> Result) throws -> Result {
        try eventually("the brokers tell their topics") {
            var answer: UnsafePointer<rd_kafka_metadata>?
            guard rd_kafka_metadata(handle, 1, topic, &answer, 1000) == RD_KAFKA_RESP_ERR_NO_ERROR, let answer else {
                return nil
            }
            defer { rd_kafka_metadata_destroy(answer) }
            return body(answer.pointee)
        }
    }

    private func records(of topic: String, _ partition: Int32) throws -> [KafkaRecord] {
        let range = try eventually("the ends of \(topic)/\(partition)") { () -> Range<Int64>? in
            var low: Int64 = 0
            var high: Int64 = 0
            let code = rd_kafka_query_watermark_offsets(handle, topic, partition, &low, &high, 1000)
            return code == RD_KAFKA_RESP_ERR_NO_ERROR ? low..<max(low, high) : nil
        }
        guard !range.isEmpty else { return [] }
        guard let topicHandle = rd_kafka_topic_new(handle, topic, nil) else { throw TestFailure("no topic \(topic)") }
        defer { rd_kafka_topic_destroy(topicHandle) }
        guard rd_kafka_consume_start(topicHandle, partition, range.lowerBound) == 0 else {
            throw TestFailure("cannot read \(topic)/\(partition)")
        }
        defer { rd_kafka_consume_stop(topicHandle, partition) }
        var records: [KafkaRecord] = []
        return try eventually(
            "the records of \(topic)/\(partition)", state: { "\(records.count) of \(range)" }
        ) { () -> [KafkaRecord]? in
            while let message = rd_kafka_consume(topicHandle, partition, 200) {
                defer { rd_kafka_message_destroy(message) }
                guard message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else { break }
                records.append(record(message, topic))
                if message.pointee.offset >= range.upperBound - 1 { return records }
            }
            return nil
        }
    }

    private func record(_ message: UnsafeMutablePointer<rd_kafka_message_t>, _ topic: String) -> KafkaRecord {
        func text(_ start: UnsafeMutableRawPointer?, _ count: Int) -> String? {
            start.map { String(decoding: UnsafeRawBufferPointer(start: $0, count: count), as: UTF8.self) }
        }
        func raw(_ start: UnsafeMutableRawPointer?, _ count: Int) -> [UInt8]? {
            start.map { Array(UnsafeRawBufferPointer(start: $0, count: count)) }
        }
        var headers: [(String, String)] = []
        var list: OpaquePointer?
        if rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR, let list {
            var name: UnsafePointer<CChar>?
            var value: UnsafeRawPointer?
            var count = 0
            while rd_kafka_header_get_all(list, headers.count, &name, &value, &count) == RD_KAFKA_RESP_ERR_NO_ERROR {
                let bytes = UnsafeRawBufferPointer(start: value, count: count)
                headers.append((name.map { String(cString: $0) } ?? "", String(decoding: bytes, as: UTF8.self)))
            }
        }
        let record = message.pointee
        return KafkaRecord(
            topic: topic, partition: record.partition, offset: record.offset, key: text(record.key, record.key_len),
            value: text(record.payload, record.len),
            bytes: (raw(record.key, record.key_len), raw(record.payload, record.len)), headers: headers,
            timestamp: rd_kafka_message_timestamp(message, nil))
    }
}
