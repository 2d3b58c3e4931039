import Envelope
import KafkaTesting
import MillraceCore
import SchemaRegistry

extension Judged {
    /// Events of a capture: through the converter, and as JSON.
    mutating func add(
        _ capture: Capture, _ registry: RegistryProcess, _ converter: String, _ settings: [String: String] = [:],
        properties: [String: String] = [:]
    ) throws {
        var config = capture.config
        config.values.merge(settings) { $1 }
        let source = SourceDescription(connectorName: "inventory", topicPrefix: "srv", config: config)
        var json: [String: String] = [:]
        var other: [String: String] = [:]
        for part in ["key.converter", "value.converter"] {
            json[part] = "JsonConverter"
            json[part + ".schemas.enable"] = "false"
            json[part + ".decimal.format"] = "NUMERIC"
            other[part] = converter
            other[part + ".schema.registry.url"] = registry.url
            for (name, value) in properties { other["\(part).\(name)"] = value }
        }
        let expected = EncodedEvents()
        let converted = EncodedEvents()
        let topics = try Self.run(capture, source, json, into: expected)
        _ = try Self.run(capture, source, other, into: converted)
        for (left, right) in zip(expected.items, converted.items) {
            guard case .event(let left) = left, case .event(let right) = right else { continue }
            for (json, message, field) in [(left.key, right.key, "key"), (left.value, right.value, "value")] {
                guard let json, let message else { continue }
                try add(
                    converted.json[message], String(decoding: expected.json[json], as: UTF8.self),
                    topic: topics[left.topic], field: field)
            }
        }
    }

    private static func run(
        _ capture: Capture, _ source: SourceDescription, _ sink: [String: String], into events: EncodedEvents
    ) throws -> [String] {
        var form = try EventForm(ofSource: source, sink: ConnectorConfig(sink))
        form.registries = HTTPSchemaRegistry.factory
        let pipeline = try EventPipeline(form, headers: EventHeaders(form.options)) { _ in true }
        var reader = capture.batch.records()
        while let record = try reader.next() {
            try pipeline.encode(record, endingAt: reader.offset, of: capture.batch, into: events)
        }
        try pipeline.finish(capture.batch, into: events)
        return pipeline.topics
    }
}
