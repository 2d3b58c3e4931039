import MillraceCore
import MillraceTesting
import Testing

@testable import Envelope

/// Values of single columns, as JSON.
@Suite struct ValueTests {
    private func json(
        _ oid: UInt32, _ text: String, modifier: Int32 = -1, _ properties: [String: String] = [:]
    ) throws -> String {
        try Self.json(
            Column(name: "v", typeOID: oid, typeModifier: modifier, typeName: "type"), text, types: [], properties)
    }

    static func json(
        _ column: Column, _ text: String, types: [TypeDefinition], _ properties: [String: String] = [:]
    ) throws -> String {
        let options = try EnvelopeOptions.test(properties)
        let relation = Relation(
            id: RelationID(1), namespace: "public", name: "t", topic: "srv.public.t", replicaIdentity: .primaryKey,
            columns: [column], primaryKey: [], types: types)
        let builder = BatchBuilder()
        builder.transaction(lsn: 100) {
            $0.relation(relation)
            $0.insert(relation, [.text(text)])
        }
        let lines = try EventHarness(options).lines(of: builder.build())
        let value = try OrderedJSON(try #require(lines.first))["value"]
        return (value?["payload"] ?? value)?["after"]?["v"]?.text ?? "left out"
    }

    @Test(arguments: [
        ("0", "0.0"), ("-0", "-0.0"), ("1", "1.0"), ("1e+21", "1.0E21"),
        ("1.2345678901234568e+17", "1.2345678901234568E17"),
        ("0.001", "0.001"), ("0.0001", "1.0E-4"), ("9999999", "9999999.0"), ("10000000", "1.0E7"),
        ("123456789", "1.23456789E8"), ("5e-324", "4.9E-324"), ("1e-323", "9.9E-324"), ("2e-323", "2.0E-323"),
        ("NaN", "\"NaN\""), ("-Infinity", "\"-Infinity\""), ("2.2250738585072014e-308", "2.2250738585072014E-308"),
    ])
    func doublesAreSpelledAsJavaSpellsThem(_ text: String, _ expected: String) throws {
        #expect(try json(TypeOID.float8, text) == expected)
    }

    @Test(arguments: [("1e-45", "1.4E-45"), ("3e-44", "2.9E-44"), ("1.1754944e-38", "1.1754944E-38"), ("0.1", "0.1")])
    func singlesAreSpelledAsJavaSpellsThem(_ text: String, _ expected: String) throws {
        #expect(try json(TypeOID.float4, text) == expected)
    }

    @Test(arguments: [
        ("0", "AA=="), ("127", "fw=="), ("128", "AIA="), ("-128", "gA=="), ("-129", "/38="), ("-1", "/w=="),
        ("9223372036854775807", "f/////////8="), ("9223372036854775808", "AIAAAAAAAAAA"),
        ("-9223372036854775808", "gAAAAAAAAAA="), ("-9223372036854775809", "/3//////////"),
        ("340282366920938463463374607431768211456", "AQAAAAAAAAAAAAAAAAAAAAA="),
    ])
    func unscaledNumbersAreTwosComplements(_ text: String, _ expected: String) throws {
        #expect(try json(TypeOID.numeric, text, modifier: 39 << 16 + 4) == "\"\(expected)\"")
    }

    @Test func variableScaleDropsTrailingZeros() throws {
        #expect(try json(TypeOID.numeric, "1.10") == "{\"scale\":1,\"value\":\"Cw==\"}")
        #expect(try json(TypeOID.numeric, "0.00") == "{\"scale\":0,\"value\":\"AA==\"}")
        #expect(try json(TypeOID.numeric, "-100") == "{\"scale\":0,\"value\":\"nA==\"}")
    }

    @Test func decimalsHaveOtherModes() throws {
        let modifier: Int32 = (10 << 16 | 2) + 4
        #expect(
            try json(TypeOID.numeric, "1.10", modifier: modifier, ["decimal.handling.mode": "string"]) == "\"1.10\"")
        #expect(try json(TypeOID.numeric, "1.10", modifier: modifier, ["decimal.handling.mode": "double"]) == "1.1")
        #expect(
            try json(TypeOID.numeric, "1.10", modifier: modifier, ["value.converter.decimal.format": "NUMERIC"])
                == "1.10")
        #expect(try json(TypeOID.numeric, "NaN", ["decimal.handling.mode": "string"]) == "\"NAN\"")
        #expect(try json(TypeOID.numeric, "NaN", ["decimal.handling.mode": "double"]) == "\"NaN\"")
        // numeric(5,-2): the modifier's scale is eleven bits with a sign.
        #expect(try json(TypeOID.numeric, "12300", modifier: (5 << 16 | (-2 & 0x7FF)) + 4) == "\"ew==\"")
    }

    @Test(arguments: [
        ("$1,234.56", "AeJA"), ("-$1.00", "nA=="), ("1.234,56 €", "AeJA"), ("($1.00)", "nA=="), ("$0.00", "AA=="),
        ("￥1,234", "AeII"),
    ])
    func moneyIsReadWhateverItsCurrency(_ text: String, _ expected: String) throws {
        #expect(try json(TypeOID.money, text) == "\"\(expected)\"")
    }

    @Test(arguments: [
        ("1", "\"AQ==\""), ("0", "\"\""), ("10", "\"Ag==\""), ("100000000", "\"AAE=\""), ("00000001", "\"AQ==\""),
    ])
    func bitsAreLittleEndian(_ text: String, _ expected: String) throws {
        #expect(try json(TypeOID.varbit, text, modifier: 64) == expected)
    }

    @Test func bytesHaveFourForms() throws {
        #expect(try json(TypeOID.bytea, "\\xfbff01") == "\"+/8B\"")
        #expect(try json(TypeOID.bytea, "\\xfbff01", ["binary.handling.mode": "base64-url-safe"]) == "\"-_8B\"")
        #expect(try json(TypeOID.bytea, "\\xfbff01", ["binary.handling.mode": "hex"]) == "\"fbff01\"")
        #expect(try json(TypeOID.bytea, "\\x") == "\"\"")
    }

    @Test func charactersBeyondTheFirstPlaneAreEscapedAsSurrogates() throws {
        #expect(try json(TypeOID.text, "a\u{1F600}é\u{1}\u{8}\"\\/\u{7F}") == #""a\uD83D\uDE00é\u0001\b\"\\/\#u{7F}""#)
        let long = String(repeating: "plain text ", count: 20) + "\"" + String(repeating: "x", count: 30)
        #expect(try json(TypeOID.text, long) == "\"" + long.replacing("\"", with: "\\\"") + "\"")
    }

    @Test func hstoreIsTextOrMap() throws {
        let types = [
            TypeDefinition(
                oid: 20000, namespace: "public", name: "hstore", kind: .extensionMember(extensionName: "hstore"))
        ]
        let column = Column(name: "v", typeOID: 20000, typeName: "hstore")
        let text = "\"a\"=>\"1\", \"b \\\"q\\\"\"=>NULL"
        #expect(try Self.json(column, text, types: types) == #""{\"a\":\"1\",\"b \\\"q\\\"\":null}""#)
        #expect(
            try Self.json(column, text, types: types, ["hstore.handling.mode": "map"]) == #"{"a":"1","b \"q\"":null}"#)
        #expect(try Self.json(column, "", types: types) == #""{}""#)
    }

    @Test func domainsAndEnumsAreWhatTheyStandFor() throws {
        let types = [
            TypeDefinition(oid: 20001, namespace: "public", name: "mood", kind: .enumeration(labels: ["sad", "ok"])),
            TypeDefinition(oid: 20002, namespace: "public", name: "_mood", kind: .array(elementOID: 20001)),
            TypeDefinition(
                oid: 20003, namespace: "public", name: "price",
                kind: .domain(baseOID: 1700, baseTypeName: "numeric(10,2)", isNotNull: false, constraints: [])),
            TypeDefinition(oid: 20004, namespace: "public", name: "_price", kind: .array(elementOID: 20003)),
            TypeDefinition(
                oid: 20005, namespace: "public", name: "dear",
                kind: .domain(baseOID: 20003, baseTypeName: "price", isNotNull: false, constraints: [])),
        ]
        func json(_ oid: UInt32, _ text: String) throws -> String {
            try Self.json(Column(name: "v", typeOID: oid, typeName: "type"), text, types: types)
        }
        #expect(try json(20001, "ok") == "\"ok\"")
        #expect(try json(20002, "{ok,NULL}") == "[\"ok\",null]")
        #expect(try json(20003, "1.50") == "\"AJY=\"")
        #expect(try json(20004, "{1.50}") == "[\"AJY=\"]")
        #expect(try json(20005, "1.50") == "\"AJY=\"")
    }

    @Test func arraysOfSeveralDimensionsNest() throws {
        #expect(try json(1007, "{{1,2},{3,NULL}}") == "[[1,2],[3,null]]")
        #expect(try json(1007, "[0:1][2:3]={{1,2},{3,4}}") == "[[1,2],[3,4]]")
        #expect(throws: ConnectorError.self) {
            try json(1007, "{{1,2},{3,4}}", ["value.converter.schemas.enable": "true"])
        }
    }

    @Test(arguments: [
        (TypeOID.numeric, "NaN", "not_finite"), (TypeOID.date, "today", "malformed_value"),
        (TypeOID.int4, "1;", "malformed_value"), (TypeOID.bool, "true", "malformed_value"),
        (TypeOID.timestamp, "2024-13-01 00:00:00", "malformed_value"), (TypeOID.interval, "1 week", "malformed_value"),
        (TypeOID.bytea, "\\x0", "malformed_value"), (TypeOID.point, "(1)", "malformed_value"),
        (1007, "{1,2", "malformed_value"), (TypeOID.float8, "1.2.3", "malformed_value"),
    ])
    func whatCannotBeWrittenNamesItsColumn(_ oid: UInt32, _ text: String, _ code: String) throws {
        let error = #expect(throws: ConnectorError.self) { try json(oid, text) }
        #expect(error?.code == code)
        #expect(error?.message.contains("column v") == true)
        #expect(error?.message.contains("public.t") == true)
    }

    @Test func typesWithoutAMappingAreLeftOutUnlessAskedFor() throws {
        #expect(try json(3220, "0/16B3748") == "left out")
        #expect(try json(3220, "0/16B3748", ["include.unknown.datatypes": "true"]) == "\"MC8xNkIzNzQ4\"")
    }
}

extension EnvelopeOptions {
    static func test(_ properties: [String: String] = [:], sink: [String: String] = [:]) throws -> EnvelopeOptions {
        let config = ConnectorConfig(properties.merging(["database.dbname": "app"]) { $1 })
        return try EnvelopeOptions(
            source: SourceDescription(connectorName: "s", topicPrefix: "srv", config: config),
            sink: ConnectorConfig(sink))
    }
}
