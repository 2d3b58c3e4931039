import MillraceCore
import Testing

@testable import Envelope

/// Transforms one by one. What they make of real events is in the recordings (`Tests/IntegrationTests/Recordings`).
@Suite struct TransformTests {
    private static let kafka = "org.apache.kafka.connect.transforms."

    private let schema = ConnectSchema(
        .structure([
            ConnectField("id", ConnectSchema(.int32)), ConnectField("name", .optionalString),
            ConnectField("qty", ConnectSchema(.int32, isOptional: true, defaultValue: .int32(3))),
        ]), name: "srv.public.t.Value")

    private func record(_ values: [ConnectValue]) -> ConnectRecord {
        let key = ConnectSchema(.structure([ConnectField("id", ConnectSchema(.int32))]), name: "srv.public.t.Key")
        return ConnectRecord(
            topic: "srv.public.t", keySchema: key, key: .structure([values[0]]), valueSchema: schema,
            value: .structure(values), headers: [ConnectHeader("h", .string, .string("x"))],
            timestamp: 1_709_210_096_789)
    }

    private var row: ConnectRecord { record([.int32(1), .string("a"), .null]) }
    private let tombstone = ConnectRecord(topic: "srv.public.t")

    private func apply(_ properties: [String: String], to record: ConnectRecord) throws -> ConnectRecord? {
        var config = ["transforms": "x"]
        for (name, value) in properties { config["transforms.x.\(name)"] = value }
        return try TransformChain(ConnectorConfig(config)).apply(record)
    }

    private func fields(_ record: ConnectRecord?) -> [String] {
        record?.valueSchema?.fields.map(\.name) ?? []
    }

    // MARK: Kafka's

    @Test func topicsAreRoutedByExpressionAndByTime() throws {
        let regex = ["type": Self.kafka + "RegexRouter", "regex": "srv\\.(.*)\\.(.*)", "replacement": "$2-of-$1\\$"]
        #expect(try apply(regex, to: row)?.topic == "t-of-public$")
        let time = [
            "type": Self.kafka + "TimestampRouter", "topic.format": "${topic}@${timestamp}",
            "timestamp.format": "yyyy-MM-dd'T'HH:mm:ss.SSS",
        ]
        #expect(try apply(time, to: row)?.topic == "srv.public.t@2024-02-29T12:34:56.789")
    }

    @Test func fieldsAreInsertedReplacedAndMasked() throws {
        let insert = try apply(
            [
                "type": Self.kafka + "InsertField$Value", "static.field": "src!", "static.value": "pg",
                "topic.field": "topic",
            ],
            to: row)
        #expect(
            insert?.value == .structure([.int32(1), .string("a"), .int32(3), .string("srv.public.t"), .string("pg")]))
        #expect(insert?.valueSchema?.fields.last?.schema.isOptional == false)
        let replace = try apply(
            ["type": Self.kafka + "ReplaceField$Value", "exclude": "qty", "renames": "name:title"], to: row)
        #expect(fields(replace) == ["id", "title"])
        let mask = try apply(["type": Self.kafka + "MaskField$Value", "fields": "id,name"], to: row)
        #expect(mask?.value == .structure([.int32(0), .string(""), .int32(3)]))
        #expect(try apply(["type": Self.kafka + "MaskField$Value", "fields": "id"], to: tombstone) == tombstone)
    }

    @Test func keysComeOutOfValues() throws {
        let key = try apply(["type": Self.kafka + "ValueToKey", "fields": "name,id"], to: row)
        #expect(key?.key == .structure([.string("a"), .int32(1)]))
        let one = try apply(["type": Self.kafka + "ExtractField$Key", "field": "id"], to: row)
        #expect(one?.key == .int32(1))
        #expect(one?.keySchema == ConnectSchema(.int32))
        let error = #expect(throws: ConnectorError.self) {
            try apply(["type": Self.kafka + "ValueToKey", "fields": "nope"], to: row)
        }
        #expect(error?.message == "Field does not exist: nope")
        let missing = #expect(throws: ConnectorError.self) {
            try apply(["type": Self.kafka + "ValueToKey", "fields": "id"], to: tombstone)
        }
        #expect(missing?.message.contains("copying fields from value to key], found: null") == true)
    }

    @Test func valuesAreCast() throws {
        let cast = try apply(["type": Self.kafka + "Cast$Value", "spec": "id:string,qty:float64"], to: row)
        #expect(cast?.value == .structure([.string("1"), .string("a"), .float64(3)]))
        #expect(cast?.valueSchema?.fields[2].schema.defaultValue == .float64(3))
        #expect(throws: ConnectorError.self) {
            try apply(["type": Self.kafka + "Cast$Value", "spec": "name:int8"], to: row)
        }
        #expect(UnscaledText.decimal([0xFF, 0x6A], scale: 2) == "-1.50")
        #expect(UnscaledText.decimal([0x05], scale: -2) == "500")
    }

    @Test func headersAreMadeMovedAndDropped() throws {
        let moved = try apply(
            ["type": Self.kafka + "HeaderFrom$Value", "fields": "id", "headers": "hid", "operation": "move"], to: row)
        #expect(moved?.headers.last == ConnectHeader("hid", ConnectSchema(.int32), .int32(1)))
        #expect(fields(moved) == ["name", "qty"])
        #expect(try apply(["type": Self.kafka + "DropHeaders", "headers": "h"], to: row)?.headers == [])
        let inserted = try apply(["type": Self.kafka + "InsertHeader", "header": "n", "value.literal": "42"], to: row)
        #expect(inserted?.headers.last?.value == .int8(42))
    }

    @Test func structuresAreFlattenedHoistedAndRenamed() throws {
        let hoisted = try apply(["type": Self.kafka + "HoistField$Value", "field": "row"], to: row)
        #expect(fields(hoisted) == ["row"])
        let flat = try TransformChain(
            ConnectorConfig([
                "transforms": "a", "transforms.a.type": Self.kafka + "Flatten$Value", "transforms.a.delimiter": "_",
            ])
        ).apply(hoisted ?? row)
        #expect(fields(flat) == ["row_id", "row_name", "row_qty"])
        let named = try apply(
            ["type": Self.kafka + "SetSchemaMetadata$Value", "schema.name": "n", "schema.version": "7"], to: row)
        #expect(named?.valueSchema?.name == "n")
        #expect(named?.valueSchema?.version == 7)
    }

    @Test func timesAreConverted() throws {
        let format = DateFormat("yyyy-MM-dd HH:mm:ss.SSS")
        #expect(format?.text(milliseconds: -1) == "1969-12-31 23:59:59.999")
        #expect(format?.milliseconds("2024-02-29 12:34:56.789") == 1_709_210_096_789)
        #expect(format?.milliseconds("2024-02-29") == nil)
        #expect(DateFormat("EEE") == nil)
        let converted = try apply(
            [
                "type": Self.kafka + "TimestampConverter$Value", "field": "qty", "target.type": "string",
                "format": "yyyy",
            ],
            to: record([.int32(1), .null, .null]).withMilliseconds(0))
        #expect(converted?.value == .structure([.int32(1), .null, .string("1970")]))
    }

    // MARK: Predicates

    @Test func predicatesSayWhereATransformApplies() throws {
        func isDropped(_ predicate: [String: String], _ record: ConnectRecord, negate: Bool = false) throws -> Bool {
            var config = ["transforms": "x", "predicates": "p", "transforms.x.negate": "\(negate)"]
            config["transforms.x.type"] = Self.kafka + "Filter"
            config["transforms.x.predicate"] = "p"
            for (name, value) in predicate { config["predicates.p.\(name)"] = value }
            return try TransformChain(ConnectorConfig(config)).apply(record) == nil
        }
        let topic = ["type": Self.kafka + "predicates.TopicNameMatches", "pattern": "srv.*"]
        #expect(try isDropped(topic, row))
        #expect(try !isDropped(topic, row, negate: true))
        #expect(try isDropped(["type": Self.kafka + "predicates.RecordIsTombstone"], tombstone))
        #expect(try !isDropped(["type": Self.kafka + "predicates.RecordIsTombstone"], row))
        #expect(try isDropped(["type": Self.kafka + "predicates.HasHeaderKey", "name": "h"], row))
        #expect(throws: ConnectorError.self) { try apply(["type": Self.kafka + "Filter"], to: row) }
    }

    // MARK: What cannot be

    @Test(arguments: [
        ["type": "com.example.Mine"], ["type": "io.debezium.transforms.Filter"], ["type": ""],
        ["type": kafka + "RegexRouter", "regex": "a"],
        ["type": kafka + "RegexRouter", "regex": "a((", "replacement": "b"],
        ["type": kafka + "InsertField$Value"], ["type": kafka + "Cast$Key", "spec": "a:decimal"],
        ["type": kafka + "MaskField", "fields": "a"],
        ["type": kafka + "DropHeaders", "headers": "a", "predicate": "p"],
        ["type": kafka + "TimestampConverter$Value", "target.type": "string"],
    ])
    func wrongConfigurationsAreRefused(_ properties: [String: String]) {
        let error = #expect(throws: ConnectorError.self) { try apply(properties, to: row) }
        #expect(error?.code == "invalid_transform")
    }

    @Test func everyClassThatValidationKnowsIsThere() throws {
        for definition in TransformDefinitions.transforms {
            var config: [String: String] = [:]
            for key in definition.keys where key.isRequired {
                config["transforms.x.\(key.name)"] = key.allowedValues.first ?? "a"
            }
            // What these need beyond what Kafka's definitions call required.
            config["transforms.x.static.field"] = "a"
            config["transforms.x.static.value"] = "b"
            config["transforms.x.schema.name"] = "a"
            config["transforms.x.format"] = "yyyy"
            if definition.className.contains("Cast") { config["transforms.x.spec"] = "a:int8" }
            let step = StepConfig(ConnectorConfig(config), prefix: "transforms.x.")
            _ = try TransformClasses.transform(definition.className, step)
        }
        for definition in TransformDefinitions.predicates {
            let step = StepConfig(
                ConnectorConfig(["predicates.x.pattern": "a", "predicates.x.name": "a"]), prefix: "predicates.x.")
            _ = try TransformClasses.predicate(definition.className, step)
        }
    }

    @Test func everyConverterThatValidationKnowsIsThere() {
        #expect(CommonProperties.knownConverters == ConverterChoice.Kind.allCases.map(\.rawValue))
    }

    @Test func aSinksOwnTransformsGoBeforeTheSources() {
        let source = ConnectorConfig(["transforms": "a", "transforms.a.type": "A", "name": "s"])
        #expect(TransformChain.effective(source: source, sink: ConnectorConfig([:])).values.count == 2)
        #expect(
            TransformChain.effective(source: source, sink: ConnectorConfig(["transforms": ""])).values == [
                "transforms": ""
            ])
    }

    @Test func payloadsOfJSONGetASchema() throws {
        let expander = JSONExpander(keepsNulls: false)
        let (schema, value) = try #require(
            expander.expand(.string(#"{"id": 1, "n": null, "x": [1, 2], "o": {"é": "\u00e9"}}"#)))
        #expect(schema.fields.map(\.name) == ["id", "x", "o"])
        #expect(schema.fields.last?.schema.name == "payload.o")
        #expect(value == .structure([.int32(1), .array([.int32(1), .int32(2)]), .structure([.string("é")])]))
        #expect(expander.expand(.string("{broken")) == nil)
        #expect(PlainJSON(String(repeating: "[", count: 100_000)) == nil)
    }
}

extension ConnectRecord {
    /// The last field as a time.
    fileprivate func withMilliseconds(_ milliseconds: Int64) -> ConnectRecord {
        var record = self
        guard let schema = valueSchema, case .structure(var values) = value else { return self }
        var fields = schema.fields
        fields[2].schema = ConnectSchema(.int64)
        values[2] = .int64(milliseconds)
        record.valueSchema = schema.with(kind: .structure(fields))
        record.value = .structure(values)
        return record
    }
}
