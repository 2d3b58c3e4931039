import MillraceCore
import MillraceTesting
import Testing

@testable import Envelope

/// Columns that events mask, hash or cut. The hashes are those that Debezium 3.6.3 gave for the same values.
@Suite struct MaskTests {
    private let table = Relation.table(
        1, "p",
        [
            .int4("id", key: true), .text("h1"),
            Column(
                name: "h2", typeOID: TypeOID.text, typeName: "text", isNotNull: true, defaultExpression: "'dflt'::text"),
            Column(name: "v", typeOID: TypeOID.varchar, typeModifier: 14, typeName: "character varying(10)"),
            Column(name: "b", typeOID: TypeOID.bytea, typeName: "bytea"), .int4("n"),
        ])

    private func events(
        _ properties: [String: String], _ body: (TransactionBuilder) -> Void
    ) throws -> [OrderedJSON] {
        let builder = BatchBuilder()
        builder.transaction(lsn: 100) {
            $0.relation(table)
            body($0)
        }
        let harness = EventHarness(try EnvelopeOptions.test(properties))
        return try harness.lines(of: builder.build()).map { try OrderedJSON($0) }
    }

    private func after(_ properties: [String: String], _ row: [TestValue]) throws -> OrderedJSON? {
        try events(properties) { $0.insert(table, row) }.first?["value"]?["after"]
    }

    @Test func hashesAreThoseOfDebezium() throws {
        let rules = [
            "column.mask.hash.MD5.with.salt.x": "public.p.h1", "column.mask.hash.v2.SHA-1.with.salt.x": "public.p.h2",
            "column.mask.hash.SHA-512.with.salt.q": "PUBLIC.p.v",
        ]
        let row = try after(rules, ["1", "one", "two", "k1", nil, nil])
        #expect(row?["h1"]?.text == "\"53bf2d6485571be640e7325948d4a5d4\"")
        #expect(row?["h2"]?.text == "\"5decb429e9c974da2c389e88cf4dd2460456b927\"")
        // No longer than the column.
        #expect(row?["v"]?.text == "\"502744e2a2\"")
        #expect(try after(rules, ["1", nil, "x", nil, nil, nil])?["h1"]?.text == "null")
    }

    @Test func whatAnOldKeyLeavesOpenIsHashedTooAndNeverShown() throws {
        let rules = ["column.mask.hash.v2.SHA-1.with.salt.x": "public.p.h2"]
        let before = try events(rules) { $0.delete(table, key: ["1", nil, nil, nil, nil, nil]) }.first?["value"]?[
            "before"]
        #expect(before?["h2"]?.text == "\"3120a321ec21a0f820cc3c174eeabe26223918cf\"")
    }

    @Test func starsStandForEveryValueNullIncluded() throws {
        let rules = ["column.mask.with.3.chars": "public.p.(h1|v)"]
        let row = try after(rules, ["1", "secret", "x", nil, nil, nil])
        #expect(row?["h1"]?.text == "\"***\"")
        #expect(row?["v"]?.text == "\"***\"")
        let update = try events(rules) { $0.update(table, new: ["1", .unchanged, "x", nil, nil, nil]) }
        #expect(update.first?["value"]?["after"]?["h1"]?.text == "\"***\"")
        #expect(
            try after(["column.mask.with.0.chars": "public.p.h1"], ["1", "s", "x", nil, nil, nil])?["h1"]?.text
                == "\"\"")
    }

    @Test func textsAreCutByCharactersAndBytesByBytes() throws {
        let rules = ["column.truncate.to.3.chars": "public.p.(h1|b)"]
        #expect(
            try after(rules, ["1", "Žofie", "x", nil, "\\x0102030405", nil])?.text.contains("\"h1\":\"Žof\"") == true)
        #expect(try after(rules, ["1", "ab", "x", nil, "\\x0102030405", nil])?["b"]?.text == "\"AQID\"")
        // Half a character is none.
        let smiles = try after(rules, ["1", "🙂🙂", "x", nil, nil, nil])?["h1"]?.text
        #expect(smiles == "\"\\uD83D\\uDE42\"")
        #expect(try after(rules, ["1", "ab", "x", nil, nil, nil])?["h1"]?.text == "\"ab\"")
    }

    @Test func schemasTellOfIt() throws {
        let rules = [
            "column.mask.with.3.chars": "public.p.h1", "column.truncate.to.4.chars": "public.p.v",
            "value.converter.schemas.enable": "true",
        ]
        let text = try events(rules) { $0.insert(table, ["1", "a", "b", "c", nil, nil]) }.first?["value"]?["schema"]?
            .text
        #expect(text?.contains(#""parameters":{"masked":"true"},"field":"h1""#) == true)
        #expect(text?.contains(#""parameters":{"truncateLength":"4"},"field":"v""#) == true)
    }

    @Test func aColumnThatCannotBeMaskedIsWarnedOf() throws {
        let builder = BatchBuilder()
        builder.transaction(lsn: 100) {
            $0.relation(table)
            $0.insert(table, ["1", "a", "b", "c", nil, "5"])
        }
        let harness = EventHarness(try EnvelopeOptions.test(["column.mask.with.3.chars": "public.p.n"]))
        let lines = try harness.lines(of: builder.build())
        #expect(lines.first?.contains("\"n\":5") == true)
        #expect(harness.encoder.warnings.first?.contains("n (integer)") == true)
    }

    @Test func theSourceTypeIsToldWhereItIsAskedFor() throws {
        func schema(_ name: String, _ value: String) throws -> String? {
            try events([name: value, "value.converter.schemas.enable": "true"]) {
                $0.insert(table, ["1", "a", "b", "c", nil, nil])
            }.first?["value"]?["schema"]?.text
        }
        let expected =
            #""parameters":{"__debezium.source.column.type":"VARCHAR","__debezium.source.column.length":"10","#
            + #""__debezium.source.column.scale":"0","__debezium.source.column.name":"v"},"field":"v""#
        #expect(try schema("column.propagate.source.type", "public.p.v")?.contains(expected) == true)
        #expect(try schema("datatype.propagate.source.type", ".*\\.varchar")?.contains(expected) == true)
        #expect(try schema("datatype.propagate.source.type", ".*\\.int8")?.contains("__debezium") == false)
    }

    @Test func theSourceTypeOfAFullLoadIsThatOfTheDriver() throws {
        let serial = Relation.table(
            2, "s",
            [
                Column(
                    name: "id", typeOID: TypeOID.int4, typeName: "integer", isNotNull: true,
                    defaultExpression: "nextval('s_id_seq'::regclass)"),
                Column(name: "m", typeOID: TypeOID.numeric, typeName: "numeric"),
            ])
        let builder = BatchBuilder()
        builder.snapshot(lsn: 90) {
            $0.relation(serial)
            $0.insert(serial, ["1", "1"])
        }
        builder.transaction(lsn: 100) { $0.insert(serial, ["2", "2"]) }
        let properties = ["column.propagate.source.type": ".*", "value.converter.schemas.enable": "true"]
        let harness = EventHarness(try EnvelopeOptions.test(properties))
        let lines = try harness.lines(of: builder.build())
        #expect(lines.map { $0.contains("\"SERIAL\"") } == [true, false])
        #expect(lines.map { $0.contains("\"INT4\"") } == [false, true])
        #expect(lines.map { $0.contains("\"131089\"") } == [false, true])
    }
}
