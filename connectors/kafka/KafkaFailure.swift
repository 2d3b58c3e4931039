import CRDKafka
import MillraceCore

/// What librdkafka's errors mean for a sink.
enum KafkaFailure {
    /// Trouble with reaching the brokers.
    static func connection(_ code: rd_kafka_resp_err_t, _ text: String) -> ConnectorError {
        switch code {
        case RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
            RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
            ConnectorError(
                .configuration, code: "authentication_failed", "the brokers refuse the login: \(text)",
                hint: "set producer.security.protocol, producer.sasl.mechanism, producer.sasl.username and "
                    + "producer.sasl.password as the brokers want them", foreignCode: code.name)
        case RD_KAFKA_RESP_ERR__SSL:
            ConnectorError(
                .transient, code: "tls_failed", "no TLS connection: \(text)",
                hint: "set producer.ssl.ca.location to a file with the authority that signed the brokers' certificates",
                foreignCode: code.name)
        default:
            ConnectorError(
                .transient, code: "unreachable", "no broker of bootstrap.servers answers: \(text)",
                hint: "look whether the brokers run, and whether bootstrap.servers and producer.security.protocol are "
                    + "right", foreignCode: code.name)
        }
    }

    /// Errors with which the brokers, or the client, will refuse one record again, while others may pass.
    private static let ofOneRecord = [
        RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE,
        RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE, RD_KAFKA_RESP_ERR_INVALID_RECORD,
        RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
        RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
        RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
    ]

    static func isOfOneRecord(_ code: rd_kafka_resp_err_t) -> Bool {
        ofOneRecord.contains(code)
    }

    /// A gapless producer gives up for a record that was refused; only librdkafka's text says with which error.
    static func causeOfGap(_ code: rd_kafka_resp_err_t, _ text: String) -> rd_kafka_resp_err_t? {
        guard code == RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE else { return nil }
        return ofOneRecord.first { text.contains($0.message) }
    }

    static func isTooLarge(_ code: rd_kafka_resp_err_t) -> Bool {
        code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE
            || code == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE
    }

    /// A record was refused. `position`: `<commit LSN>:<ordinal>`, where it is known.
    static func record(_ code: rd_kafka_resp_err_t, topic: String, position: String) -> ConnectorError {
        let place = position.isEmpty ? "a record" : "the record of change \(position)"
        let tolerance = "errors.tolerance=all with errors.deadletterqueue.topic.name puts such records aside"
        switch code {
        case _ where isTooLarge(code):
            return ConnectorError(
                .data, code: "record_too_large", "\(place) is too large for topic \(topic)",
                hint: "raise max.message.bytes of the topic and producer.message.max.bytes, or leave the large column "
                    + "out with column.exclude.list at the source; \(tolerance)", foreignCode: code.name)
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
            return ConnectorError(
                .configuration, code: "topic_not_authorized",
                "the brokers do not let this user write to topic \(topic)",
                hint: "kafka-acls --add --allow-principal User:… --operation Write --operation Create --topic \(topic)",
                foreignCode: code.name)
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
            RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
            return ConnectorError(
                .configuration, code: "unknown_topic", "there is no topic \(topic), and the brokers do not create it",
                hint: "create the topic, or set topic.creation.default.partitions and "
                    + "topic.creation.default.replication.factor, so that the sink does", foreignCode: code.name)
        default:
            return ConnectorError(
                .data, code: "record_refused", "\(place) is refused by topic \(topic): \(code.message)",
                hint: tolerance, foreignCode: code.name)
        }
    }

    /// The producer cannot go on, or a record could not be sent for a reason that may pass: the task starts again behind
    /// the last place up to which everything is acknowledged.
    static func producer(_ code: rd_kafka_resp_err_t, _ text: String) -> ConnectorError {
        if code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED
            || code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH
        {
            return ConnectorError(
                .consistency, code: "fenced", "another producer has taken this sink's transactional id",
                hint: "let only one server run this connector, or set producer.transactional.id to an id of its own; "
                    + "then restart the task", foreignCode: code.name)
        }
        if code == RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED
            || code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED
        {
            return ConnectorError(
                .configuration, code: "producer_not_authorized", "the brokers do not allow this producer: \(text)",
                hint: "kafka-acls --add --allow-principal User:… --operation IdempotentWrite --cluster, and for "
                    + "transactions --operation Write --operation Describe --transactional-id …",
                foreignCode: code.name)
        }
        return ConnectorError(
            .transient, code: "producer_failed", "the producer was given up: \(text)",
            hint: "nothing has to be done: a new producer goes on behind the last acknowledged transaction",
            foreignCode: code.name)
    }
}
