import MillraceCore

/// Kafka's `RegexRouter`.
final class RegexRouter: Transform {
    private let pattern: JavaPattern
    private let replacement: String

    init(_ config: StepConfig) throws(ConnectorError) {
        pattern = try config.pattern("regex", try config.required("regex"))
        guard let replacement = config["replacement"] else {
            throw StepConfig.error(
                "Missing required configuration \"\(config.prefix)replacement\" which has no default value.")
        }
        self.replacement = replacement
    }

    func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? {
        guard let topic = pattern.replacingWhole(record.topic, with: replacement) else { return record }
        var record = record
        record.topic = topic
        return record
    }
}

/// Kafka's `TimestampRouter`: `topic.format` with `${topic}` and `${timestamp}`.
final class TimestampRouter: Transform {
    private let topicFormat: String
    private let timestampFormat: DateFormat

    init(_ config: StepConfig) throws(ConnectorError) {
        topicFormat = config["topic.format"] ?? "${topic}-${timestamp}"
        timestampFormat = try DateFormat(config, "timestamp.format", else: "yyyyMMdd")
    }

    func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? {
        guard let timestamp = record.timestamp else {
            throw transformFailure("Timestamp missing on record: \(record.topic)")
        }
        var record = record
        record.topic =
            topicFormat.replacing("${topic}", with: record.topic)
            .replacing("${timestamp}", with: timestampFormat.text(milliseconds: timestamp))
        return record
    }
}
