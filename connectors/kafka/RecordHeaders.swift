import CRDKafka
import Envelope
import MillraceCore

/// Makes the headers of records: the position, and what the envelope says.
struct RecordHeaders {
    static let positionName = "millrace.position"

    private let writesPosition: Bool
    private let context: [(name: String, value: String)]
    /// `<commit LSN>:`, of the transaction that the last record was of.
    private var prefix: [UInt8] = []
    private var prefixLSN: LSN?
    private var text = [UInt8](repeating: 0, count: 64)

    init(_ headers: EventHeaders, writesPosition: Bool) {
        context = headers.context
        self.writesPosition = writesPosition
    }

    /// The headers of an event; nil for none. Whoever gets them sends or destroys them.
    mutating func make(_ event: EncodedEvent, of events: EncodedEvents) -> OpaquePointer? {
        if event.headers == .converted { return makeConverted(event, of: events) }
        let hasContext = event.headers != .none && !context.isEmpty
        guard writesPosition || hasContext || !event.otherKey.isEmpty, let headers = rd_kafka_headers_new(6) else {
            return nil
        }
        if writesPosition { addPosition(event.commitLSN, event.ordinal, headers) }
        switch event.headers {
        case .newKey: add("__debezium.newkey", events.json[event.otherKey], headers)
        case .oldKey: add("__debezium.oldkey", events.json[event.otherKey], headers)
        case .context, .none, .converted: break
        }
        guard hasContext else { return headers }
        for (name, value) in context {
            rd_kafka_header_add(headers, name, name.utf8.count, value, value.utf8.count)
        }
        return headers
    }

    private mutating func makeConverted(_ event: EncodedEvent, of events: EncodedEvents) -> OpaquePointer? {
        guard writesPosition || !event.convertedHeaders.isEmpty,
            let headers = rd_kafka_headers_new(event.convertedHeaders.count + 1)
        else { return nil }
        if writesPosition { addPosition(event.commitLSN, event.ordinal, headers) }
        for header in events.headers[event.convertedHeaders] {
            let value = header.value.map { events.json[$0] }
            rd_kafka_header_add(
                headers, header.name, header.name.utf8.count, value?.baseAddress, value.map(\.count) ?? -1)
        }
        return headers
    }

    private func add(_ name: StaticString, _ value: UnsafeRawBufferPointer, _ headers: OpaquePointer) {
        name.withUTF8Buffer { name in
            name.withMemoryRebound(to: CChar.self) { name in
                _ = rd_kafka_header_add(headers, name.baseAddress, name.count, value.baseAddress, value.count)
            }
        }
    }

    private mutating func addPosition(_ lsn: LSN, _ ordinal: UInt64, _ headers: OpaquePointer) {
        if lsn != prefixLSN {
            prefixLSN = lsn
            prefix = Array("\(lsn):".utf8)
            text.replaceSubrange(0..<prefix.count, with: prefix)
        }
        var digits = 1
        var rest = ordinal / 10
        while rest > 0 {
            digits &+= 1
            rest /= 10
        }
        let count = prefix.count &+ digits
        rest = ordinal
        for index in stride(from: count &- 1, through: prefix.count, by: -1) {
            text[index] = UInt8(truncatingIfNeeded: 0x30 &+ rest % 10)
            rest /= 10
        }
        text.withUnsafeBytes { add("millrace.position", UnsafeRawBufferPointer(rebasing: $0[..<count]), headers) }
    }

    /// The position that a record carries; empty for none.
    static func position(of message: UnsafePointer<rd_kafka_message_t>) -> String {
        var headers: OpaquePointer?
        guard rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR, let headers else { return "" }
        var value: UnsafeRawPointer?
        var count = 0
        guard rd_kafka_header_get_last(headers, positionName, &value, &count) == RD_KAFKA_RESP_ERR_NO_ERROR, let value
        else { return "" }
        return String(decoding: UnsafeRawBufferPointer(start: value, count: count), as: UTF8.self)
    }
}
