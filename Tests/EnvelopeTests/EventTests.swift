import MillraceCore
import MillraceTesting
import Testing

@testable import Envelope

/// Keys, tombstones, markers, boundaries: what lies around the values.
@Suite struct EventTests {
    private let table = Relation.table(1, "t", [.int4("id", key: true), .text("v")])
    private let other = Relation.table(2, "u", [.int4("id", key: true)])
    private let keyless = Relation.table(3, "log", replicaIdentity: .nothing, [.text("line")])

    private func events(
        _ properties: [String: String] = [:], sink: [String: String] = [:], _ body: (TransactionBuilder) -> Void
    ) throws -> [OrderedJSON] {
        let builder = BatchBuilder()
        builder.transaction(lsn: 100, body)
        let harness = EventHarness(try EnvelopeOptions.test(properties, sink: sink))
        return try harness.lines(of: builder.build()).map { try OrderedJSON($0) }
    }

    @Test func keylessTablesHaveTombstonesWithoutAKey() throws {
        let full = Relation.table(4, "full", replicaIdentity: .full, [.text("line")])
        let events = try events {
            $0.relation(keyless)
            $0.insert(keyless, ["one"])
            $0.relation(full)
            $0.delete(full, old: ["one"])
        }
        #expect(events.map { $0["key"]?.text } == ["null", "null", "null"])
        #expect(events.map { $0["value"]?["op"]?.text } == ["\"c\"", "\"d\"", nil])
    }

    @Test func messageKeyColumnsChooseTheKey() throws {
        let events = try events(["message.key.columns": "PUBLIC.(log|x):line"]) {
            $0.relation(keyless)
            $0.insert(keyless, ["one"])
        }
        #expect(events.map { $0["key"]?.text } == ["{\"line\":\"one\"}"])
        let error = #expect(throws: ConnectorError.self) {
            try self.events(["message.key.columns": "public.log:nosuch"]) {
                $0.relation(keyless)
                $0.insert(keyless, ["one"])
            }
        }
        #expect(error?.code == "unknown_key_column")
    }

    @Test func tombstonesAndOperationsCanBeLeftOut() throws {
        func change(_ transaction: TransactionBuilder) {
            transaction.relation(table)
            transaction.insert(table, ["1", "a"])
            transaction.update(table, new: ["1", "b"])
            transaction.delete(table, key: ["1", nil])
            transaction.truncate([table])
        }
        func ops(_ properties: [String: String]) throws -> [String?] {
            try events(properties, change).map { $0["value"]?["op"]?.text ?? $0["value"]?.text }
        }
        #expect(try ops([:]) == ["\"c\"", "\"u\"", "\"d\"", "null"])
        #expect(try ops(["tombstones.on.delete": "false"]) == ["\"c\"", "\"u\"", "\"d\""])
        #expect(try ops(["skipped.operations": "c,d"]) == ["\"u\"", "\"t\""])
        #expect(try ops(["skipped.operations": "none"]) == ["\"c\"", "\"u\"", "\"d\"", "null", "\"t\""])
    }

    @Test func heartbeatsHaveATopicOfTheirOwnAndTheTimeOfTheirCommit() throws {
        let builder = BatchBuilder()
        builder.transaction(lsn: 100) { $0.message(prefix: "millrace.heartbeat.debezium", content: "") }
        let batch = builder.build()
        func lines(_ properties: [String: String] = [:]) throws -> [String] {
            try EventHarness(try EnvelopeOptions.test(properties)).lines(of: batch)
        }
        let line = try #require(try lines().first)
        #expect(
            line.hasPrefix(
                #"{"topic":"__debezium-heartbeat.srv","partition":0,"key":{"serverName":"srv"},"value":{"ts_ms":"#))
        #expect(line.hasSuffix(#"},"headers":[]}"#))
        #expect(try lines() == [line])
        let schemas = ["key.converter.schemas.enable": "true", "value.converter.schemas.enable": "true"]
        let full = try #require(try lines(schemas.merging(["topic.heartbeat.prefix": "__hb"]) { $1 }).first)
        // As Debezium 3.6.3 wrote them.
        #expect(
            full.hasPrefix(
                #"{"topic":"__hb.srv","partition":0,"key":{"schema":{"type":"struct","fields":[{"type":"string","optional":false,"#
                    + #""field":"serverName"}],"optional":false,"name":"io.debezium.connector.common.ServerNameKey","version":1},"#
                    + #""payload":{"serverName":"srv"}},"value":{"schema":{"type":"struct","fields":[{"type":"int64","optional":"#
                    + #"false,"field":"ts_ms"}],"optional":false,"name":"io.debezium.connector.common.Heartbeat","version":1},"#
                    + #""payload":{"ts_ms":"#))
        let harness = EventHarness(try EnvelopeOptions.test([:]), isWanted: { $0.hasPrefix("srv.") })
        #expect(try harness.lines(of: batch).isEmpty)
    }

    @Test func updatesThatChangeNothingAreLeftOutIfAskedFor() throws {
        let full = Relation.table(
            4, "full", replicaIdentity: .full,
            [
                .int4("id", key: true),
                Column(name: "v", typeOID: TypeOID.text, typeName: "text", defaultExpression: "'d'::text"), .text("w"),
            ])
        func ids(_ properties: [String: String]) throws -> [String?] {
            try events(properties) {
                $0.relation(full)
                $0.update(full, old: ["1", "a", nil], new: ["1", "a", nil])
                $0.update(full, old: ["2", "a", nil], new: ["2", "b", nil])
                $0.update(full, old: ["3", "a", nil], new: ["3", .unchanged, nil])
                // Both look the same in JSON, which shows the default for NULL.
                $0.update(full, old: ["4", "d", nil], new: ["4", nil, nil])
                $0.update(full, old: ["5", "a", "x"], new: ["5", "a", "y"])
                $0.relation(table)
                $0.update(table, new: ["6", "a"])
            }.map { $0["value"]?["after"]?["id"]?.text }
        }
        #expect(try ids([:]) == ["1", "2", "3", "4", "5", "6"])
        #expect(try ids(["skip.messages.without.change": "true"]) == ["2", "4", "5", "6"])
        let masked = ["skip.messages.without.change": "true", "column.mask.with.3.chars": "public.full.(v|w)"]
        #expect(try ids(masked) == ["6"])
    }

    @Test func anUnchangedValueComesFromTheOldImageWhereItIs() throws {
        let full = Relation.table(4, "full", replicaIdentity: .full, [.int4("id", key: true), .text("v"), .text("w")])
        let events = try events {
            $0.relation(full)
            $0.update(full, old: ["1", "long", nil], new: ["1", .unchanged, "x"])
        }
        #expect(events.first?["value"]?["after"]?.text == #"{"id":1,"v":"long","w":"x"}"#)
        #expect(events.first?["value"]?["before"]?.text == #"{"id":1,"v":"long","w":null}"#)
    }

    @Test func anUnchangedValueWithoutAPlaceholderIsAnError() throws {
        let wide = Relation.table(
            5, "wide", [.int4("id", key: true), Column(name: "n", typeOID: TypeOID.numeric, typeName: "numeric")])
        let error = #expect(throws: ConnectorError.self) {
            try events {
                $0.relation(wide)
                $0.update(wide, new: ["1", .unchanged])
            }
        }
        #expect(error?.code == "unchanged_toast")
        #expect(error?.hint?.contains("REPLICA IDENTITY FULL") == true)
    }

    @Test func defaultsTakeThePlaceOfNullUnlessTurnedOff() throws {
        var column = Column.text("v")
        column.defaultExpression = "'it''s'::text"
        let table = Relation.table(6, "d", [.int4("id", key: true), column])
        func after(_ properties: [String: String]) throws -> String? {
            try events(properties) {
                $0.relation(table)
                $0.insert(table, ["1", nil])
            }.first?["value"]?["after"]?["v"]?.text
        }
        #expect(try after([:]) == "\"it's\"")
        #expect(try after(["value.converter.replace.null.with.default": "false"]) == "null")
    }

    @Test func aFunctionAsDefaultCountsAsZero() throws {
        var at = Column(name: "at", typeOID: TypeOID.timestamptz, typeName: "timestamp with time zone", isNotNull: true)
        at.defaultExpression = "now()"
        var token = Column(name: "u", typeOID: TypeOID.uuid, typeName: "uuid", isNotNull: true)
        token.defaultExpression = "gen_random_uuid()"
        let table = Relation.table(7, "f", [.int4("id", key: true), at, token])
        let events = try events {
            $0.relation(table)
            $0.delete(table, key: ["1", nil, nil])
        }
        #expect(
            events.first?["value"]?["before"]?.text
                == #"{"id":1,"at":"1970-01-01T00:00:00.000000Z","u":"00000000-0000-0000-0000-000000000000"}"#)
    }

    @Test(arguments: [
        ("now()", DefaultValue.function), ("nextval('s'::regclass)", .function),
        ("(now() AT TIME ZONE 'utc'::text)", .function),
        ("'a''b'::text", .constant("a'b")), ("NULL::character varying", .none), ("0.00", .constant("0.00")),
        ("(0)::numeric", .constant("0")), ("'-1'::integer", .constant("-1")), ("true", .constant("t")),
        ("B'101'::\"bit\"", .constant("101")), ("('a'::text || 'b'::text)", .none),
        ("E'a\\\\b'::text", .constant("a\\b")),
        ("CURRENT_TIMESTAMP", .none), ("", .none),
    ])
    func defaultsAreReadFromTheirExpressions(_ expression: String, _ expected: DefaultValue) {
        #expect(DefaultValue(expression) == expected)
    }

    @Test func theSinksConvertersGoBeforeTheSources() throws {
        let converter = "org.apache.kafka.connect.json.JsonConverter"
        #expect(try !EnvelopeOptions.test().value.includesSchema)
        #expect(try EnvelopeOptions.test(["value.converter": converter]).value.includesSchema)
        let source = ["value.converter": converter, "value.converter.schemas.enable": "true"]
        #expect(
            try !EnvelopeOptions.test(source, sink: ["value.converter.schemas.enable": "false"]).value.includesSchema)
        #expect(
            try EnvelopeOptions.test(["value.converter.schemas.enable": "false"], sink: ["value.converter": converter])
                .value.includesSchema)
    }

    @Test(arguments: [
        ("converters", "mine"), ("column.mask.with.x.chars", "a.b.c"), ("column.truncate.to.0.chars", "a.b.c"),
        ("column.mask.hash.MD2.with.salt.x", "a.b.c"), ("column.mask.hash.SHA-256.with.salt.", "a.b.c"),
        ("column.mask.with.5.chars", "a.(b"),
        ("value.converter", "com.example.OurConverter"),
        ("time.precision.mode", "structured"), ("decimal.handling.mode", "exact"), ("skipped.operations", "x"),
        ("message.key.columns", "nonsense"), ("unavailable.value.placeholder", "hex:0"),
        ("money.fraction.digits", "-1"),
    ])
    func propertiesThatWouldBeIgnoredAreRefused(_ name: String, _ value: String) throws {
        let error = #expect(throws: ConnectorError.self) { try EnvelopeOptions.test([name: value]) }
        #expect(error?.kind == .configuration)
        #expect(error?.message.contains(name) == true)
    }

    @Test func aSinksConverterStandsInForOneThatIsNotThere() throws {
        let avro = ["value.converter": "com.example.OurConverter", "transforms": "unwrap"]
        #expect(throws: ConnectorError.self) { try EnvelopeOptions.test(avro) }
        let own = ["value.converter": "org.apache.kafka.connect.json.JsonConverter", "transforms": ""]
        #expect(try EnvelopeOptions.test(avro, sink: own).value.includesSchema)
    }

    @Test func theSequenceNamesTheLastCommitAlsoAfterARestart() throws {
        let builder = BatchBuilder()
        builder.relation(table)
        builder.transaction(lsn: 100) { $0.insert(table, ["1", "a"]) }
        let first = builder.build()
        builder.transaction(lsn: 200) { $0.insert(table, ["2", "a"]) }
        let second = builder.build()
        let options = try EnvelopeOptions.test()
        let harness = EventHarness(options)
        _ = try harness.lines(of: first)
        let boundary = try #require(harness.boundaries.last)
        #expect(boundary.cursor == first.end)
        func sequence(_ harness: EventHarness) throws -> String? {
            try OrderedJSON(try harness.lines(of: second)[0])["value"]?["source"]?["sequence"]?.text
        }
        let resumed = EventHarness(options, resumedAt: boundary.cursor, lastCommitEnd: boundary.lastCommitEnd)
        #expect(try sequence(harness) == #""[\"108\",\"200\"]""#)
        #expect(try sequence(resumed) == #""[\"108\",\"200\"]""#)
    }

    @Test func topicsThatNobodyWantsAreLeftOut() throws {
        let builder = BatchBuilder()
        builder.transaction(lsn: 100) {
            $0.relation(table)
            $0.relation(other)
            $0.insert(table, ["1", "a"])
            $0.insert(other, ["2"])
        }
        let harness = EventHarness(try EnvelopeOptions.test()) { $0 == "srv.public.u" }
        #expect(try harness.lines(of: builder.build()).map { try OrderedJSON($0)["key"]?.text } == ["{\"id\":2}"])
    }
}
