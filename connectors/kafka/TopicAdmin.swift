import CRDKafka
import MillraceCore

/// Makes topics, by way of the producer's own connection.
enum TopicAdmin {
    /// A topic that is there already is left as it is. Blocks for up to `timeout` milliseconds.
    static func create(
        _ topic: String, _ settings: TopicCreation.Settings, _ client: KafkaClient, timeout: Int32
    ) throws(ConnectorError) {
        var text = [CChar](repeating: 0, count: 512)
        guard
            let new = rd_kafka_NewTopic_new(
                topic, settings.partitions, settings.replicationFactor, &text, text.count)
        else { throw failure(topic, RD_KAFKA_RESP_ERR__INVALID_ARG, text.text) }
        defer { rd_kafka_NewTopic_destroy(new) }
        for (name, value) in settings.config.sorted(by: { $0.key < $1.key }) {
            rd_kafka_NewTopic_set_config(new, name, value)
        }
        guard let queue = rd_kafka_queue_new(client.handle) else {
            throw ConnectorError(.bug, code: "no_queue", "librdkafka gave no queue")
        }
        defer { rd_kafka_queue_destroy(queue) }
        var topics: [OpaquePointer?] = [new]
        rd_kafka_CreateTopics(client.handle, &topics, 1, nil, queue)
        guard let event = rd_kafka_queue_poll(queue, timeout) else {
            throw failure(topic, RD_KAFKA_RESP_ERR__TIMED_OUT, "no answer")
        }
        defer { rd_kafka_event_destroy(event) }
        let code = rd_kafka_event_error(event)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw failure(topic, code, rd_kafka_event_error_string(event).map { String(cString: $0) } ?? "")
        }
        guard let result = rd_kafka_event_CreateTopics_result(event) else { return }
        var count = 0
        guard let answers = rd_kafka_CreateTopics_result_topics(result, &count), count > 0 else { return }
        let answer = rd_kafka_topic_result_error(answers[0])
        guard answer == RD_KAFKA_RESP_ERR_NO_ERROR || answer == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS else {
            let reason = rd_kafka_topic_result_error_string(answers[0]).map { String(cString: $0) }
            throw failure(topic, answer, reason ?? answer.message)
        }
    }

    private static func failure(_ topic: String, _ code: rd_kafka_resp_err_t, _ text: String) -> ConnectorError {
        let isTransient = [
            RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
            RD_KAFKA_RESP_ERR_NOT_CONTROLLER, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
        ].contains(code)
        return ConnectorError(
            isTransient ? .transient : .configuration, code: "topic_not_created",
            "topic \(topic) could not be created: \(text)",
            hint: "create the topic by hand, mend topic.creation.*, or let the user create topics: kafka-acls --add "
                + "--allow-principal User:… --operation Create --topic \(topic)", foreignCode: code.name)
    }
}
