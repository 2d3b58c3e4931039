import MillraceCore

extension EnvelopeEncoder {
    /// A heartbeat event. Its time is that of the heartbeat's commit: the same however often the log is read.
    func heartbeat(_ events: EncodedEvents) {
        guard isWantedTopic(options.heartbeatTopic) else { return }
        let out = events.json
        let start = out.count
        withSchema(options.key, EventSchemas.heartbeatKey, out) {
            out.append("{\"serverName\":")
            out.append(quoted: options.topicPrefix)
            out.append(byte: 0x7D)
        }
        let middle = out.count
        withSchema(options.value, EventSchemas.heartbeat, out) {
            out.append("{\"ts_ms\":")
            out.append(decimal: info.commitTime.microsecondsSince1970 / 1000)
            out.append(byte: 0x7D)
        }
        var event = EncodedEvent(
            topic: topicIndex(options.heartbeatTopic), key: start..<middle, value: middle..<out.count, headers: .none,
            otherKey: 0..<0, commitLSN: info.commitLSN, ordinal: ordinal, commitTime: info.commitTime,
            schemas: Self.heartbeatSchemas)
        // Debezium's choice.
        event.partition = 0
        events.append(event)
    }
}
