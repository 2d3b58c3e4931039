import Envelope
import Foundation
import KafkaTesting
import MillraceCore
import SchemaRegistry
import Testing

/// Protobuf, read by Confluent's deserializer with what protoc makes of the registered file.
@Suite struct ProtobufTests {
    private static let protobuf = "io.confluent.connect.protobuf.ProtobufConverter"

    @Test func eventsMeanTheSameAsInJSON() throws {
        let registry = try RegistryProcess()
        var judged = Judged()
        let properties = ["optional.for.nullables": "true"]
        let names = [
            "01-basic-crud", "03-types-numeric-precise", "06-types-character", "07-time-adaptive",
            "26-unknown-types-on", "35-pk-update", "48-schema-evolution", "57-logical-messages",
            "59-transaction-metadata",
        ]
        for name in names {
            let count = judged.count
            try judged.add(try Capture(name), registry, Self.protobuf, properties: properties)
            #expect(judged.count > count + 3)
        }
        try judged.add(
            try Capture("07-time-adaptive"), registry, Self.protobuf, ["time.precision.mode": "connect"],
            properties: properties)
        let differences = try judged.verdict(registry, "protobuf")
        #expect(differences.isEmpty, "\(differences.prefix(3).joined(separator: "\n"))")
    }

    private static let record = ConnectSchema(
        .structure([
            ConnectField("tiny", ConnectSchema(.int8)), ConnectField("small", ConnectSchema(.int16, isOptional: true)),
            ConnectField("filled", ConnectSchema(.int32, isOptional: true, defaultValue: .int32(7))),
            ConnectField("blob", ConnectSchema(.bytes, isOptional: true)),
            ConnectField("price", ConnectSchema.decimal(scale: 2, isOptional: true)),
            ConnectField("tags", ConnectSchema(.map(keys: .string, values: .string))),
            ConnectField("sparse", ConnectSchema(.map(keys: ConnectSchema(.int16), values: ConnectSchema(.float64)))),
            ConnectField("list", ConnectSchema(.array(ConnectSchema(.int64)), isOptional: true)),
        ]), name: "made.by.Hand")

    private static let values: [ConnectValue] = [
        .structure([
            .int8(-128), .int16(.max), .int32(-1), .bytes([0, 255]), .bytes([0xFF, 0x85]),
            .map([ConnectEntry(.string("a"), .string("ü"))]), .map([ConnectEntry(.int16(3), .float64(0.5))]),
            .array([.int64(.min), .int64(0), .int64(.max)]),
        ]),
        .structure([.int8(0), .int16(0), .int32(0), .bytes([]), .bytes([0]), .map([]), .map([]), .array([])]),
        .structure([.int8(0), .null, .null, .null, .null, .map([]), .map([]), .null]),
    ]

    @Test func everyKindOfValueComesBack() throws {
        let registry = try RegistryProcess()
        let converter = try Single(Self.protobuf, registry, isKey: false, ["optional.for.nullables": "true"])
        var judged = Judged()
        for value in Self.values {
            let out = JSONBuffer()
            #expect(try converter.convert(value, Self.record, topic: "t", into: out))
            let json = JSONBuffer()
            try JSONValueWriter(decimalsAsNumbers: true).write(value, Self.record, into: json)
            try judged.add(out.bytes, String(decoding: json.bytes, as: UTF8.self), topic: "t", field: "value")
        }
        let differences = try judged.verdict(registry, "protobuf")
        #expect(differences.isEmpty, "\(differences.joined(separator: "\n"))")
    }

    @Test func theJudgeSeesADifference() throws {
        let registry = try RegistryProcess()
        let converter = try Single(Self.protobuf, registry, isKey: false)
        let schema = ConnectSchema(.structure([ConnectField("a", ConnectSchema(.int32))]), name: "n.A")
        let out = JSONBuffer()
        _ = try converter.convert(.structure([.int32(5)]), schema, topic: "t", into: out)
        var judged = Judged()
        for expected in [#"{"a":5}"#, #"{"a":6}"#, #"{"a":null}"#, #"{"b":5}"#] {
            try judged.add(out.bytes, expected, topic: "t", field: "value")
        }
        #expect(try judged.verdict(registry, "protobuf").count == 3)
    }

    @Test func theFrameAndTheFileAreConfluents() throws {
        let registry = try RegistryProcess()
        let converter = try Single(Self.protobuf, registry, isKey: true)
        let out = JSONBuffer()
        let schema = ConnectSchema(
            .structure([
                ConnectField("id", ConnectSchema(.int32)),
                ConnectField("small", ConnectSchema(.int16, isOptional: true)),
            ]), name: "srv.public.items.Key")
        _ = try converter.convert(.structure([.int32(150), .null]), schema, topic: "items", into: out)
        #expect(Array(out.bytes) == [0, 0, 0, 0, 1, 0, 8, 0x96, 1])
        let answer = try #require(try registry.get("/subjects/items-key/versions/1") as? [String: Any])
        #expect(answer["schemaType"] as? String == "PROTOBUF")
        #expect(
            answer["schema"] as? String == """
                syntax = "proto3";
                package srv.public.items;

                import "confluent/meta.proto";

                message Key {
                  int32 id = 1;
                  int32 small = 2 [(confluent.field_meta) = { params: [ { key: "connect.type", value: "int16" } ] }];
                }

                """)
    }

    @Test func whatProtobufCannotSayIsAnError() throws {
        let registry = try RegistryProcess()
        let converter = try Single(Self.protobuf, registry, isKey: false)
        let list = ConnectSchema(.array(ConnectSchema(.int32, isOptional: true)))
        let cases: [(ConnectSchema, ConnectValue, String)] = [
            (list, .array([.null]), "null_in_array"),
            (ConnectSchema(.array(list)), .array([.array([])]), "nested_array"),
        ]
        for (schema, value, code) in cases {
            let record = ConnectSchema(.structure([ConnectField("a", schema)]), name: "n.A\(code)")
            let error = #expect(throws: ConnectorError.self) {
                _ = try converter.convert(.structure([value]), record, topic: "t", into: JSONBuffer())
            }
            #expect(error?.code == code)
        }
        let odd = ConnectSchema(.structure([ConnectField("a-b", .string)]), name: "n.B")
        let error = #expect(throws: ConnectorError.self) {
            _ = try converter.convert(.structure([.string("x")]), odd, topic: "t", into: JSONBuffer())
        }
        #expect(error?.code == "protobuf_name")
    }
}
