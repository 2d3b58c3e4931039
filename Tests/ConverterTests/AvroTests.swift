import Envelope
import Foundation
import KafkaTesting
import MillraceCore
import SchemaRegistry
import Testing

/// Avro, read by Confluent's deserializer.
@Suite struct AvroTests {
    private static let avro = "io.confluent.connect.avro.AvroConverter"

    @Test func eventsMeanTheSameAsInJSON() throws {
        let registry = try RegistryProcess()
        var judged = Judged()
        let names = [
            "01-basic-crud", "03-types-numeric-precise", "06-types-character", "07-time-adaptive", "22-types-arrays",
            "26-unknown-types-on", "35-pk-update", "40-toast-unchanged", "57-logical-messages",
            "59-transaction-metadata",
        ]
        for name in names {
            let count = judged.count
            // numeric(3,5) gets Confluent's legacy form of decimals, which strict readers refuse.
            let settings = name == "03-types-numeric-precise" ? ["decimal.handling.mode": "string"] : [:]
            try judged.add(try Capture(name), registry, Self.avro, settings)
            #expect(judged.count > count + 3)
        }
        try judged.add(try Capture("07-time-adaptive"), registry, Self.avro, ["time.precision.mode": "connect"])
        let differences = try judged.verdict(registry, "avro")
        #expect(differences.isEmpty, "\(differences.prefix(3).joined(separator: "\n"))")
    }

    @Test func changesOfATableAreNewVersionsAskedForOnce() throws {
        let registry = try RegistryProcess()
        var judged = Judged()
        try judged.add(try Capture("48-schema-evolution"), registry, Self.avro)
        #expect(try judged.verdict(registry, "avro").isEmpty)
        let subjects = try #require(try registry.get("/subjects") as? [String])
        let versions = try subjects.map { try (registry.get("/subjects/\($0)/versions") as? [Int] ?? []).count }
        let requests = try #require(try registry.get("/requests") as? [String])
        #expect(versions.contains { $0 > 2 })
        // Relations may come back to a form that they had; a request per record would be many more.
        #expect(requests.count < judged.count)
    }

    // MARK: Single values

    private static let record = ConnectSchema(
        .structure([
            ConnectField("tiny", ConnectSchema(.int8)), ConnectField("small", ConnectSchema(.int16, isOptional: true)),
            ConnectField("filled", ConnectSchema(.int32, isOptional: true, defaultValue: .int32(7))),
            ConnectField("blob", ConnectSchema(.bytes, isOptional: true)),
            ConnectField("price", ConnectSchema.decimal(scale: 2, isOptional: true)),
            ConnectField("tags", ConnectSchema(.map(keys: .string, values: .optionalString))),
            ConnectField("sparse", ConnectSchema(.map(keys: ConnectSchema(.int16), values: ConnectSchema(.float64)))),
            ConnectField("list", ConnectSchema(.array(ConnectSchema(.int64, isOptional: true)), isOptional: true)),
        ]), name: "made.by.Hand")

    private static let values: [ConnectValue] = [
        .structure([
            .int8(-128), .int16(.max), .int32(-1), .bytes([0, 255]), .bytes([0xFF, 0x85]),
            .map([ConnectEntry(.string("a"), .string("ü")), ConnectEntry(.string("b"), .null)]),
            .map([ConnectEntry(.int16(3), .float64(0.5))]), .array([.int64(.min), .null, .int64(.max)]),
        ]),
        .structure([.int8(0), .null, .null, .null, .null, .map([]), .map([]), .null]),
    ]

    @Test func everyKindOfValueComesBack() throws {
        let registry = try RegistryProcess()
        let converter = try Single(Self.avro, registry, isKey: false)
        var judged = Judged()
        for value in Self.values {
            let out = JSONBuffer()
            #expect(try converter.convert(value, Self.record, topic: "t", into: out))
            let json = JSONBuffer()
            try JSONValueWriter(decimalsAsNumbers: true).write(value, Self.record, into: json)
            try judged.add(out.bytes, String(decoding: json.bytes, as: UTF8.self), topic: "t", field: "value")
        }
        let differences = try judged.verdict(registry, "avro")
        #expect(differences.isEmpty, "\(differences.joined(separator: "\n"))")
    }

    @Test func theSchemaIsWrittenAsAvroDataWritesIt() throws {
        let registry = try RegistryProcess()
        let converter = try Single(Self.avro, registry, isKey: true)
        let out = JSONBuffer()
        let schema = ConnectSchema(
            .structure([
                ConnectField("id", ConnectSchema(.int32)),
                ConnectField(
                    "kind",
                    ConnectSchema(
                        .string, isOptional: true, name: "io.debezium.data.Enum", version: 1,
                        parameters: [ConnectParameter("allowed", "a,b")], defaultValue: .string("a"))),
                ConnectField("price", ConnectSchema.decimal(scale: 2, isOptional: true)),
            ]), name: "srv.public.items.Key")
        _ = try converter.convert(.structure([.int32(1), .null, .null]), schema, topic: "items", into: out)
        #expect(Array(out.bytes) == [0, 0, 0, 0, 1, 2, 0, 2, 97, 0])
        let answer = try #require(try registry.get("/subjects/items-key/versions/1") as? [String: Any])
        #expect(
            answer["schema"] as? String == """
                {"type":"record","name":"Key","namespace":"srv.public.items","fields":[{"name":"id","type":"int"},\
                {"name":"kind","type":[{"type":"string","connect.version":1,"connect.parameters":{"allowed":"a,b"},\
                "connect.default":"a","connect.name":"io.debezium.data.Enum"},"null"],"default":"a"},\
                {"name":"price","type":["null",{"type":"bytes","scale":2,"precision":10,"connect.version":1,\
                "connect.parameters":{"scale":"2","connect.decimal.precision":"10"},\
                "connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}],"default":null}],\
                "connect.name":"srv.public.items.Key"}
                """)
    }

    @Test func namesThatAvroDoesNotAllowAreErrorsWithAWayOut() throws {
        let registry = try RegistryProcess()
        let converter = try Single(Self.avro, registry, isKey: true)
        let field = ConnectSchema(.structure([ConnectField("a-b", .string)]), name: "fine")
        let name = ConnectSchema(.structure([ConnectField("a", .string)]), name: "not-fine.Key")
        for (schema, hint) in [(field, "field.name.adjustment.mode=avro"), (name, "schema.name.adjustment.mode=avro")] {
            let error = #expect(throws: ConnectorError.self) {
                _ = try converter.convert(.structure([.string("x")]), schema, topic: "t", into: JSONBuffer())
            }
            #expect(error?.code == "avro_name" && error?.hint?.contains(hint) == true)
        }
    }
}

extension ConnectSchema {
    static func decimal(scale: Int, isOptional: Bool) -> ConnectSchema {
        ConnectSchema(
            .bytes, isOptional: isOptional, name: ConnectSchema.decimalName, version: 1,
            parameters: [
                ConnectParameter("scale", "\(scale)"), ConnectParameter("connect.decimal.precision", "10"),
            ])
    }
}

/// One converter with a registry.
final class Single {
    private let converter: any Converter

    init(
        _ className: String, _ registry: RegistryProcess, isKey: Bool, _ properties: [String: String] = [:],
        url: String? = nil
    ) throws {
        let property = isKey ? "key.converter" : "value.converter"
        var config = [property: className, property + ".schema.registry.url": url ?? registry.url]
        for (name, value) in properties { config["\(property).\(name)"] = value }
        let choice = try ConverterChoice(property, source: ConnectorConfig([:]), sink: ConnectorConfig(config))
        converter = try choice.make { settings in HTTPSchemaRegistry(settings, timeout: 5000) }
    }

    func convert(
        _ value: ConnectValue, _ schema: ConnectSchema?, topic: String, into out: JSONBuffer
    ) throws(ConnectorError) -> Bool {
        try converter.convert(value, schema, topic: topic, into: out)
    }
}
