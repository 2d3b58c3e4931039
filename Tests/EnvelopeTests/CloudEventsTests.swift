import Foundation
import MillraceCore
import Testing

@testable import Envelope

/// CloudEvents against what Debezium's converter wrote.
@Suite struct CloudEventsTests {
    private static let folder = Capture.folder.appending(path: "89-cloudevents")

    private static func converter(_ properties: [String: String]) throws -> CloudEventsConverter {
        try CloudEventsConverter(ConverterChoice(.cloudEvents, properties))
    }

    private static let columns: [String: [ConnectField]] = [
        "smt": [
            ConnectField("id", ConnectSchema(.int32)), ConnectField("name", .optionalString),
            ConnectField("qty", ConnectSchema(.int32, defaultValue: .int32(3))),
        ],
        "smt2": [ConnectField("id", ConnectSchema(.int32)), ConnectField("big", .optionalString)],
    ]

    /// The envelope that a recorded CloudEvent was made of.
    private static func envelope(of event: [String: Any]) throws -> (ConnectSchema, ConnectValue) {
        let table = try #require(event["iodebeziumtable"] as? String)
        let schema = EventSchemas.envelope(topic: "srv.public.\(table)", columns: try #require(columns[table]))
        let source = EventSchemas.source.fields.map { field -> ConnectValue in
            let name = "iodebezium" + field.name.replacing("_", with: "")
            guard let text = event[name] as? String else { return .null }
            return field.schema.kind == .int64 ? .int64(Int64(text) ?? -1) : .string(text)
        }
        let data = try #require((event["data"] as? [String: Any])?["payload"] as? [String: Any])
        func row(_ name: String) throws -> ConnectValue {
            guard let row = data[name] as? [String: Any] else { return .null }
            let json = try JSONSerialization.data(withJSONObject: row)
            return try #require(PayloadReader.read(String(decoding: json, as: UTF8.self), schema.fields[0].schema))
        }
        let operation = ConnectValue.string(try #require(event["iodebeziumop"] as? String))
        return (
            schema,
            .structure([try row("before"), try row("after"), .structure(source), .null, operation, .null, .null, .null])
        )
    }

    @Test func eventsEqualTheRecording() throws {
        let text = try String(contentsOf: Self.folder.appending(path: "expected.jsonl"), encoding: .utf8)
        let converter = try Self.converter(["serializer.type": "json", "data.serializer.type": "json"])
        var compared = 0
        for line in text.split(separator: "\n") {
            let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            guard let event = object["value"] as? [String: Any] else { continue }
            let start = try #require(line.firstRange(of: "\"value\":")).upperBound
            let end = try #require(line.firstRange(of: ",\"headers\":")).lowerBound
            let (schema, value) = try Self.envelope(of: event)
            let out = JSONBuffer()
            #expect(try converter.convert(value, schema, topic: "t", into: out))
            #expect(String(decoding: out.bytes, as: UTF8.self) == line[start..<end])
            compared += 1
        }
        #expect(compared == 9)
    }

    @Test func schemasAndExtensionsCanBeLeftOut() throws {
        let text = try String(contentsOf: Self.folder.appending(path: "expected.jsonl"), encoding: .utf8)
        let first = try #require(text.split(separator: "\n").first)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(first.utf8)) as? [String: Any])
        let (schema, value) = try Self.envelope(of: try #require(object["value"] as? [String: Any]))
        let out = JSONBuffer()
        let converter = try Self.converter(["json.schemas.enable": "false", "extension.attributes.enable": "false"])
        #expect(try converter.convert(value, schema, topic: "t", into: out))
        let event = String(decoding: out.bytes, as: UTF8.self)
        #expect(event.hasSuffix(#""application/json","data":{"before":null,"after":{"id":1,"name":"a","qty":1}}}"#))
        #expect(!event.contains("iodebezium"))
    }

    @Test func whatIsNoChangeEventHasNoValue() throws {
        let converter = try Self.converter([:])
        let out = JSONBuffer()
        #expect(try !converter.convert(.null, nil, topic: "t", into: out))
        let message = ConnectValue.structure([.string("m")])
        #expect(try !converter.convert(message, EventSchemas.messageKey, topic: "t", into: out))
        #expect(out.count == 0)
    }

    @Test(arguments: [["serializer.type": "avro"], ["data.serializer.type": "avro"], ["metadata.source": "header"]])
    func whatIsNotThereIsRefused(_ properties: [String: String]) {
        #expect(throws: ConnectorError.self) { try Self.converter(properties) }
    }
}
