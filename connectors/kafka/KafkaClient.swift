import CRDKafka
import Logging
import MillraceCore

/// One librdkafka client. Everything that it has to say comes as events that its owner fetches, so that no code of ours
/// runs on its threads. Used by one thread.
final class KafkaClient {
    let handle: OpaquePointer
    private let queue: OpaquePointer
    private let logger: Logger
    /// What last went wrong with a connection, for messages about brokers that do not answer.
    private(set) var lastTrouble: ConnectorError?
    private var lastLogged = ""

    enum Role {
        case producer
        case consumer
    }

    /// Throws what is wrong with the properties. Connects to nothing yet.
    init(_ role: Role, _ properties: [ProducerProperty], logger: Logger) throws(ConnectorError) {
        let configuration = try Self.configuration(properties)
        rd_kafka_conf_set_events(configuration, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG)
        var text = [CChar](repeating: 0, count: 512)
        let type = role == .producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER
        guard let handle = rd_kafka_new(type, configuration, &text, text.count) else {
            rd_kafka_conf_destroy(configuration)
            throw ConnectorError(
                .configuration, code: "invalid_property",
                "the properties of the producer do not go together: \(text.text)")
        }
        guard let queue = rd_kafka_queue_get_main(handle) else {
            rd_kafka_destroy(handle)
            throw ConnectorError(.bug, code: "no_queue", "librdkafka gave no queue")
        }
        rd_kafka_set_log_queue(handle, nil)
        self.handle = handle
        self.queue = queue
        self.logger = logger
    }

    deinit {
        rd_kafka_queue_destroy(queue)
        rd_kafka_destroy(handle)
    }

    private static func configuration(_ properties: [ProducerProperty]) throws(ConnectorError) -> OpaquePointer {
        guard let configuration = rd_kafka_conf_new() else {
            throw ConnectorError(.bug, code: "no_memory", "librdkafka gave no configuration")
        }
        // Its messages are to come through the logger.
        let standard = [
            ProducerProperty("log.queue", "true"), ProducerProperty("log.thread.name", "false"),
            ProducerProperty("log.connection.close", "false"),
        ]
        for property in standard + properties {
            var text = [CChar](repeating: 0, count: 512)
            let result = rd_kafka_conf_set(configuration, property.name, property.value, &text, text.count)
            guard result == RD_KAFKA_CONF_OK else {
                rd_kafka_conf_destroy(configuration)
                let reason = property.isSecret ? "the value is not accepted" : text.text
                throw ConnectorError(.configuration, code: "invalid_property", "\(property.origin): \(reason)")
            }
        }
        return configuration
    }

    // MARK: Events

    /// Hands every delivery report that is there to `report`; waits up to `timeout` milliseconds for the first event.
    func serve(_ timeout: Int32, _ report: (UnsafePointer<rd_kafka_message_t>) -> Void) {
        var timeout = timeout
        while let event = rd_kafka_queue_poll(queue, timeout) {
            timeout = 0
            switch rd_kafka_event_type(event) {
            case RD_KAFKA_EVENT_DR:
                while let message = rd_kafka_event_message_next(event) { report(message) }
            case RD_KAFKA_EVENT_ERROR:
                note(rd_kafka_event_error(event), rd_kafka_event_error_string(event).map { String(cString: $0) } ?? "")
            case RD_KAFKA_EVENT_LOG: log(event)
            default: break
            }
            rd_kafka_event_destroy(event)
        }
    }

    func serve(_ timeout: Int32) {
        serve(timeout) { _ in }
    }

    private func log(_ event: OpaquePointer) {
        var facility: UnsafePointer<CChar>?
        var text: UnsafePointer<CChar>?
        var level: Int32 = 7
        guard rd_kafka_event_log(event, &facility, &text, &level) == 0, let text else { return }
        let message = "librdkafka: \(String(cString: text))"
        // Numbers of syslog.
        switch level {
        case ...4: logger.warning("\(message)")
        case 5, 6: logger.info("\(message)")
        default: logger.debug("\(message)")
        }
    }

    private func note(_ code: rd_kafka_resp_err_t, _ text: String) {
        let trouble = KafkaFailure.connection(code, text)
        lastTrouble = trouble
        guard trouble.code != lastLogged else { return }
        lastLogged = trouble.code
        logger.warning("\(trouble.code): \(text); tried again for as long as it takes")
    }

    /// The brokers have answered: the next trouble is news again.
    func forgetTrouble() {
        if lastTrouble == nil { return }
        lastTrouble = nil
        lastLogged = ""
    }

    /// The error after which this producer can do nothing more; nil for none.
    var fatalError: (code: rd_kafka_resp_err_t, text: String)? {
        var text = [CChar](repeating: 0, count: 512)
        let code = rd_kafka_fatal_error(handle, &text, text.count)
        return code == RD_KAFKA_RESP_ERR_NO_ERROR ? nil : (code, text.text)
    }

    // MARK: Brokers

    /// Waits until a broker has answered. `isCancelled` is asked every half second.
    func awaitBrokers(for timeout: Duration, isCancelled: () -> Bool) throws(ConnectorError) {
        let deadline = ContinuousClock.now + timeout
        while true {
            if isCancelled() { throw .stopped }
            var metadata: UnsafePointer<rd_kafka_metadata>?
            let code = rd_kafka_metadata(handle, 0, nil, &metadata, 500)
            if let metadata { rd_kafka_metadata_destroy(metadata) }
            if code == RD_KAFKA_RESP_ERR_NO_ERROR {
                forgetTrouble()
                return
            }
            serve(0)
            let isHopeless = lastTrouble?.kind == .configuration
            if isHopeless || ContinuousClock.now >= deadline {
                throw lastTrouble ?? KafkaFailure.connection(code, code.message)
            }
        }
    }

    /// Topics that exist; nil where the brokers do not say.
    func topics(timeout: Int32) -> Set<String>? {
        var metadata: UnsafePointer<rd_kafka_metadata>?
        guard rd_kafka_metadata(handle, 1, nil, &metadata, timeout) == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata else {
            return nil
        }
        defer { rd_kafka_metadata_destroy(metadata) }
        var names: Set<String> = []
        for index in 0..<Int(max(metadata.pointee.topic_cnt, 0)) {
            guard let topic = metadata.pointee.topics?[index], topic.err == RD_KAFKA_RESP_ERR_NO_ERROR,
                let name = topic.topic
            else { continue }
            names.insert(String(cString: name))
        }
        return names
    }
}

extension [CChar] {
    /// The C string in it.
    var text: String { String(decoding: prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) }
}

extension rd_kafka_resp_err_t {
    var message: String { rd_kafka_err2str(self).map { String(cString: $0) } ?? "error \(rawValue)" }
    /// E.g. `MSG_SIZE_TOO_LARGE`.
    var name: String { rd_kafka_err2name(self).map { String(cString: $0) } ?? "ERR_\(rawValue)" }
}
