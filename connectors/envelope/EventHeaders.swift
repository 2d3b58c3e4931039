#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The headers that say where an event came from (`extended.headers.enabled`).
package struct EventHeaders: Sendable {
    /// Name and value, in order.
    package let context: [(name: String, value: String)]

    /// `runID`: one per start of the connector.
    package init(_ options: EnvelopeOptions, runID: String = EventHeaders.makeRunID()) {
        guard options.writesContextHeaders else {
            context = []
            return
        }
        context = [
            ("__debezium.context.connectorLogicalName", options.topicPrefix),
            ("__debezium.context.taskId", String(options.taskID)),
            ("__debezium.context.connectorName", "postgresql"),
            ("__debezium.context.runId", runID),
        ]
    }

    /// A UUID of version 7 (RFC 9562): milliseconds since 1970, then chance.
    package static func makeRunID() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let milliseconds = UInt64(max(now.tv_sec, 0)) &* 1000 &+ UInt64(max(now.tv_nsec, 0) / 1_000_000)
        let high = milliseconds << 16 | 0x7000 | UInt64.random(in: 0...0xFFF)
        let low = UInt64.random(in: 0...UInt64.max) & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        let digits = Array(hex(high) + hex(low))
        let groups = [0..<8, 8..<12, 12..<16, 16..<20, 20..<32]
        return groups.map { String(digits[$0]) }.joined(separator: "-")
    }

    private static func hex(_ value: UInt64) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }
}

/// One event as a line of JSON: `{"topic":…,"key":…,"value":…,"headers":[…]}`, with `"partition":…` behind the topic where it was
/// chosen.
package struct EventLine {
    /// `},"headers":[…context…]}` and its variants, made once.
    private let context: [UInt8]
    private let hasContext: Bool
    private var topics: [[UInt8]] = []
    private let keyForm: ConvertedForm
    private let valueForm: ConvertedForm

    /// `key`, `value`: what keys and values are when they come here; text is put between quotes.
    package init(_ headers: EventHeaders, key: ConvertedForm = .json, value: ConvertedForm = .json) {
        (keyForm, valueForm) = (key, value)
        let out = JSONBuffer()
        for (index, header) in headers.context.enumerated() {
            if index > 0 { out.append(byte: 0x2C) }
            out.append("{\"key\":")
            out.append(quoted: header.name)
            out.append(",\"value\":")
            out.append(quoted: header.value)
            out.append(byte: 0x7D)
        }
        context = Array(out.bytes)
        hasContext = !context.isEmpty
    }

    /// Appends the line and its end. `topics`: the encoder's.
    package mutating func append(
        _ event: EncodedEvent, of events: EncodedEvents, topics names: [String], to out: JSONBuffer
    ) {
        while topics.count < names.count {
            let name = JSONBuffer()
            name.append("{\"topic\":")
            name.append(quoted: names[topics.count])
            topics.append(Array(name.bytes))
        }
        topics[event.topic].withUnsafeBytes { out.append($0) }
        if let partition = event.partition { out.append(",\"partition\":\(partition)") }
        out.append(",\"key\":")
        append(event.key, keyForm, events, out)
        out.append(",\"value\":")
        append(event.value, valueForm, events, out)
        out.append(",\"headers\":[")
        switch event.headers {
        case .none: break
        case .context: context.withUnsafeBytes { out.append($0) }
        case .newKey: append("{\"key\":\"__debezium.newkey\",\"value\":", event, events, out)
        case .oldKey: append("{\"key\":\"__debezium.oldkey\",\"value\":", event, events, out)
        case .converted: appendConverted(event, events, out)
        }
        out.append("]}\n")
    }

    private func append(_ range: Range<Int>?, _ form: ConvertedForm, _ events: EncodedEvents, _ out: JSONBuffer) {
        guard let range else { return out.append("null") }
        if form == .json { out.append(events.json[range]) } else { _ = out.append(quoted: events.json[range]) }
    }

    /// What a converter wrote is text; where the text is an object or an array it stands as such.
    private func appendConverted(_ event: EncodedEvent, _ events: EncodedEvents, _ out: JSONBuffer) {
        for (index, header) in events.headers[event.convertedHeaders].enumerated() {
            out.append(index > 0 ? ",{\"key\":" : "{\"key\":")
            out.append(quoted: header.name)
            out.append(",\"value\":")
            if let range = header.value {
                let value = events.json[range]
                let isJSON = value.first == UInt8(ascii: "{") || value.first == UInt8(ascii: "[")
                if isJSON { out.append(value) } else { out.append(quoted: value) }
            } else {
                out.append("null")
            }
            out.append(byte: 0x7D)
        }
    }

    private func append(_ header: StaticString, _ event: EncodedEvent, _ events: EncodedEvents, _ out: JSONBuffer) {
        out.append(header)
        out.append(events.json[event.otherKey])
        out.append(byte: 0x7D)
        guard hasContext else { return }
        out.append(byte: 0x2C)
        context.withUnsafeBytes { out.append($0) }
    }
}
