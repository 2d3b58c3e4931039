import MillraceCore

/// The way of an event that is more than the encoder's JSON: values with schemas, transforms, converters.
final class EventConversion {
    /// How the encoder writes what is read back: nothing added, nothing replaced.
    static let plain = EnvelopeOptions.Converter(
        includesSchema: false, writesDecimalsAsNumbers: false, replacesNullWithDefault: false)

    /// What the encoder has just written.
    let encoded = EncodedEvents()
    let key: any Converter
    let value: any Converter
    private let header: any Converter
    private let transforms: [any Transform]
    private let context: [ConnectHeader]

    private(set) var topics: [String] = []
    private var topicIndexes: [String: Int] = [:]

    init(_ form: EventForm, _ headers: EventHeaders) throws(ConnectorError) {
        key = try form.key.make(form.registries)
        value = try form.value.make(form.registries)
        header = try form.header.make()
        if let makeTransforms = form.makeTransforms { transforms = try makeTransforms() } else { transforms = [] }
        context = headers.context.map { ConnectHeader($0.name, .string, .string($0.value)) }
    }

    func convert(_ encoder: EnvelopeEncoder, into events: EncodedEvents) throws(ConnectorError) {
        for item in encoded.items {
            switch item {
            case .boundary(let boundary): events.append(boundary)
            case .event(let event): try convert(event, encoder, into: events)
            }
        }
        encoded.removeAll()
    }

    private func convert(
        _ event: EncodedEvent, _ encoder: EnvelopeEncoder, into events: EncodedEvents
    ) throws(ConnectorError) {
        var record = try self.record(of: event, encoder)
        for transform in transforms {
            guard let next = try transform.apply(record) else { return }
            record = next
        }
        try append(record, event, to: events)
    }

    private func record(of event: EncodedEvent, _ encoder: EnvelopeEncoder) throws(ConnectorError) -> ConnectRecord {
        let schemas = encoder.schemas[event.schemas]
        var record = ConnectRecord(
            topic: encoder.topics[event.topic], timestamp: event.commitTime.microsecondsSince1970 / 1000,
            commitLSN: event.commitLSN, ordinal: event.ordinal)
        record.partition = event.partition
        if let range = event.key, let schema = schemas.key {
            record.keySchema = schema
            record.key = try PayloadReader.read(encoded.json[range], schema)
        }
        if let range = event.value, let schema = schemas.value {
            record.valueSchema = schema
            record.value = try PayloadReader.read(encoded.json[range], schema)
        }
        switch event.headers {
        case .none, .converted: break
        case .context: record.headers = context
        case .newKey, .oldKey:
            guard let schema = schemas.key else { break }
            let other = try PayloadReader.read(encoded.json[event.otherKey], schema)
            let name = event.headers == .newKey ? "__debezium.newkey" : "__debezium.oldkey"
            record.headers = [ConnectHeader(name, schema, other)] + context
        }
        return record
    }

    private func append(
        _ record: ConnectRecord, _ event: EncodedEvent, to events: EncodedEvents
    ) throws(ConnectorError) {
        let out = events.json
        let start = out.count
        let headerStart = events.headers.count
        do {
            let hasKey = try key.convert(record.key, record.keySchema, topic: record.topic, into: out)
            let middle = out.count
            let hasValue = try value.convert(record.value, record.valueSchema, topic: record.topic, into: out)
            let end = out.count
            for field in record.headers { try append(field, record.topic, to: events) }
            var converted = event
            converted.topic = index(of: record.topic)
            converted.key = hasKey ? start..<middle : nil
            converted.value = hasValue ? middle..<end : nil
            converted.headers = .converted
            converted.convertedHeaders = headerStart..<events.headers.count
            converted.otherKey = 0..<0
            converted.partition = record.partition
            if let timestamp = record.timestamp, timestamp != event.commitTime.microsecondsSince1970 / 1000 {
                converted.commitTime = Timestamp(microsecondsSince1970: timestamp &* 1000)
            }
            events.append(converted)
        } catch {
            events.forget(json: start, headers: headerStart)
            throw error
        }
    }

    private func append(_ field: ConnectHeader, _ topic: String, to events: EncodedEvents) throws(ConnectorError) {
        let start = events.json.count
        let isThere = try header.convert(field.value, field.schema, topic: topic, into: events.json)
        events.append(EncodedHeader(name: field.key, value: isThere ? start..<events.json.count : nil))
    }

    private func index(of topic: String) -> Int {
        if let index = topicIndexes[topic] { return index }
        topics.append(topic)
        topicIndexes[topic] = topics.count - 1
        return topics.count - 1
    }
}
