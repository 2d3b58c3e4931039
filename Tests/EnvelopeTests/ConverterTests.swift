import Envelope
import MillraceCore
import Testing

/// Converters one by one, and what a configuration may say of them.
@Suite struct ConverterTests {
    private static func bytes(
        _ kind: ConverterChoice.Kind, _ value: ConnectValue, _ schema: ConnectSchema? = nil,
        _ properties: [String: String] = [:]
    ) throws -> [UInt8]? {
        let out = JSONBuffer()
        let converter = try ConverterChoice(kind, properties).make()
        return try converter.convert(value, schema, topic: "t", into: out) ? Array(out.bytes) : nil
    }

    private static func text(
        _ kind: ConverterChoice.Kind, _ value: ConnectValue, _ schema: ConnectSchema? = nil,
        _ properties: [String: String] = [:]
    ) throws -> String? {
        try bytes(kind, value, schema, properties).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func numbersAreBigEndianBytes() throws {
        #expect(try Self.bytes(.long, .int64(-2)) == [255, 255, 255, 255, 255, 255, 255, 254])
        #expect(try Self.bytes(.integer, .int32(258)) == [0, 0, 1, 2])
        #expect(try Self.bytes(.short, .int16(-1)) == [255, 255])
        #expect(try Self.bytes(.double, .float64(1)) == [0x3F, 0xF0, 0, 0, 0, 0, 0, 0])
        #expect(try Self.bytes(.float, .float32(1)) == [0x3F, 0x80, 0, 0])
        #expect(try Self.bytes(.boolean, .boolean(true)) == [1])
        #expect(try Self.bytes(.long, .null) == nil)
        #expect(throws: ConnectorError.self) { try Self.bytes(.long, .int32(1)) }
    }

    @Test func bytesPassAsTheyAre() throws {
        for kind in [ConverterChoice.Kind.byteArray, .binaryData, .byteBuffer] {
            #expect(try Self.bytes(kind, .bytes([0, 255])) == [0, 255])
            #expect(throws: ConnectorError.self) { try Self.bytes(kind, .string("x")) }
        }
        let delegate = [
            "delegate.converter.type": "org.apache.kafka.connect.json.JsonConverter",
            "delegate.converter.type.schemas.enable": "false",
        ]
        #expect(try Self.text(.binaryData, .string("x"), .string, delegate) == "\"x\"")
    }

    @Test func stringConverterWritesWhatJavaPrints() throws {
        let schema = ConnectSchema(
            .structure([
                ConnectField("id", ConnectSchema(.int32)), ConnectField("name", .optionalString),
                ConnectField("list", ConnectSchema(.array(ConnectSchema(.float64)))),
            ]))
        let value = ConnectValue.structure([.int32(1), .null, .array([.float64(1), .float64(.nan)])])
        #expect(try Self.text(.string, value, schema) == "Struct{id=1,list=[1.0, NaN]}")
        #expect(try Self.text(.string, .string("plain")) == "plain")
        #expect(try Self.text(.string, .map([ConnectEntry(.string("a"), .int64(2))])) == "{a=2}")
        #expect(try Self.text(.string, .null) == nil)
        #expect(throws: ConnectorError.self) { try Self.text(.string, .bytes([1])) }
    }

    @Test(arguments: [
        ([0x05] as [UInt8], 2, "0.05"), ([0xFF], 2, "-0.01"), ([0x80], 0, "-128"), ([0x00], 3, "0.000"),
        ([0x01, 0x00], -2, "25600"), ([0x0D, 0xE0, 0xB6, 0xB3, 0xA7, 0x64, 0x00, 0x00], 9, "1000000000.000000000"),
        ([], 0, "0"),
    ])
    func decimalsAreWrittenInFull(_ unscaled: [UInt8], _ scale: Int, _ text: String) {
        #expect(DecimalText.text(unscaled: unscaled, scale: scale) == text)
    }

    @Test func nullsBecomeDefaultsInJSONOnlyWhereTold() throws {
        let schema = ConnectSchema(.int32, isOptional: true, defaultValue: .int32(7))
        #expect(try Self.text(.json, .null, schema, ["schemas.enable": "false"]) == "7")
        let kept = ["schemas.enable": "false", "replace.null.with.default": "false"]
        #expect(try Self.text(.json, .null, schema, kept) == "null")
        #expect(throws: ConnectorError.self) { try Self.text(.json, .null, ConnectSchema(.int32), kept) }
    }

    // MARK: Configuration

    @Test(arguments: [
        "io.confluent.connect.avro.AvroConverter", "AvroConverter", "Avro", "  JsonConverter ",
        "org.apache.kafka.connect.storage.StringConverter", "io.debezium.converters.CloudEventsConverter", "Protobuf",
    ])
    func convertersAreKnownByTheirNames(_ name: String) {
        #expect(ConverterChoice.Kind(className: name) != nil)
    }

    @Test func aConverterThatIsNotThereIsRefusedWithThoseThatAre() {
        let finding = EnvelopeOptions.refusals(
            ConnectorConfig(["value.converter": "io.confluent.connect.json.JsonSchemaConverter"])
        ).first
        #expect(finding?.property == "value.converter")
        #expect(finding?.message.contains("JsonSchemaConverter") == true)
        for kind in ConverterChoice.Kind.allCases { #expect(finding?.message.contains(kind.rawValue) == true) }
    }

    @Test func propertiesOfConvertersAreCheckedBeforeAnythingStarts() {
        let avro = ConnectorConfig(["value.converter": "io.confluent.connect.avro.AvroConverter"])
        #expect(EnvelopeOptions.refusals(avro).first?.message.contains("schema.registry.url") == true)
        var complete = avro
        complete["value.converter.schema.registry.url"] = "http://registry:8081"
        #expect(EnvelopeOptions.refusals(complete).isEmpty)
    }

    @Test func theSinksConverterGoesBeforeTheSources() throws {
        let source = ConnectorConfig([
            "value.converter": "JsonConverter", "value.converter.schemas.enable": "false",
            "key.converter": "StringConverter",
        ])
        let sink = ConnectorConfig(["value.converter": "JsonConverter"])
        let value = try ConverterChoice("value.converter", source: source, sink: sink)
        #expect(value.kind == .json && value.json.includesSchema)
        let key = try ConverterChoice("key.converter", source: source, sink: sink)
        #expect(key.kind == .string && key.isKey)
        let none = try ConverterChoice("value.converter", source: ConnectorConfig([:]), sink: ConnectorConfig([:]))
        #expect(none.kind == .json && !none.json.includesSchema)
    }

    @Test func namesAreAdjustedForAvro() {
        #expect(NameAdjustment.avro.schemaName("my-app.public.t x") == "my_app.public.t_x")
        #expect(NameAdjustment.avro.fieldName("1st.a") == "_1st_a")
        #expect(NameAdjustment.avroUnicode.fieldName("a-b_c") == "a_u002db_u005fc")
        #expect(NameAdjustment.none.fieldName("a-b") == "a-b")
    }
}
