import MillraceCore
import MillraceTesting
import Testing

/// Tables that are created and changed as their source.
@Suite struct SinkSchemaTests {
    private func relation(
        _ columns: [Column], name: String = "t", schema: String = "public", types: [TypeDefinition] = [],
        key: [Int] = [0], id: UInt32 = 40, computed: [Column] = []
    ) -> Relation {
        var columns = columns
        for index in key { columns[index].isReplicaIdentity = true }
        return Relation(
            id: RelationID(id), namespace: schema, name: name, topic: "srv.\(schema).\(name)",
            replicaIdentity: .primaryKey, columns: columns, primaryKey: key, types: types,
            computedColumns: computed)
    }

    private func column(
        _ name: String, _ number: Int16, _ type: String, notNull: Bool = false, generated: Bool = false,
        identity: Column.Identity = .none, default expression: String? = nil
    ) -> Column {
        Column(
            name: name, attributeNumber: number, typeOID: 0, typeName: type, isNotNull: notNull, isGenerated: generated,
            identity: identity, defaultExpression: expression)
    }

    @Test func columnsAreAddedDroppedRenamedAndRetyped() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        defer { sink.stop() }
        let before = relation([
            column("id", 1, "integer", notNull: true), column("a", 2, "integer"), column("b", 3, "text"),
            column("gone", 4, "text"), column("x", 5, "text"), column("y", 6, "text", notNull: true),
        ])
        let after = relation([
            column("id", 1, "bigint", notNull: true), column("a", 2, "numeric(10,2)"), column("bb", 3, "text"),
            column("y", 5, "text"), column("x", 6, "text"), column("new", 7, "integer", default: "7"),
        ])
        let builder = fixture.builder()
        builder.relation(before)
        builder.transaction(lsn: 100) {
            $0.insert(before, ["1", "5", "bee", "g", "ex", "why"])
            $0.insert(before, ["2", "6", "bee", "g", "ex", "why"])
            // In the middle of a transaction.
            $0.relation(after)
            $0.insert(after, ["3", "1.25", "bee3", "why3", nil, "8"])
            $0.update(after, new: ["2", "2.50", "bee2", "why2", "ex2", "9"])
        }
        _ = try sink.write(builder.build())
        #expect(sink.status().suspended.isEmpty)
        #expect(
            try fixture.lines("select id, a, bb, y, coalesce(x, '-'), new from t order by id")
                == ["1|5.00|bee|ex|why|7", "2|2.50|bee2|why2|ex2|9", "3|1.25|bee3|why3|-|8"])
        #expect(
            try fixture.lines(
                "select attname from pg_attribute where attrelid = 't'::regclass and attnum > 0 and not attisdropped"
            )
            .sorted() == ["a", "bb", "id", "new", "x", "y"])
    }

    @Test func evolutionNoneStopsTheTableWithTheStatement() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start(["schema.evolution": "none"])
        defer { sink.stop() }
        let before = relation([column("id", 1, "integer", notNull: true)])
        let after = relation([column("id", 1, "integer", notNull: true), column("b", 2, "text")])
        let builder = fixture.builder()
        builder.relation(before).transaction(lsn: 100) { $0.insert(before, ["1"]) }
        _ = try sink.write(builder.build())
        builder.relation(after).transaction(lsn: 200) { $0.insert(after, ["2", "x"]) }
        _ = try sink.write(builder.build())
        #expect(
            sink.status().suspended.first?.reason.contains("ALTER TABLE \"public\".\"t\" ADD COLUMN \"b\" text") == true
        )
        // Done by hand, as it says.
        try fixture.execute("ALTER TABLE \"public\".\"t\" ADD COLUMN \"b\" text;")
    }

    @Test func renamedTableIsRenamedAndItsOldNameMayBeTakenAnew() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        defer { sink.stop() }
        let old = relation([column("id", 1, "integer", notNull: true)])
        let new = relation([column("id", 1, "integer", notNull: true), column("n", 2, "text")], id: 41)
        let renamed = relation([column("id", 1, "integer", notNull: true)], name: "t_old", schema: "Archive 2")
        let builder = fixture.builder()
        builder.relation(old).transaction(lsn: 100) { $0.insert(old, ["1"]) }
        _ = try sink.write(builder.build())
        builder.relation(new).transaction(lsn: 200) { $0.insert(new, ["1", "new"]) }
        _ = try sink.write(builder.build())
        builder.relation(renamed).transaction(lsn: 300) { $0.insert(renamed, ["2"]) }
        _ = try sink.write(builder.build())
        #expect(sink.status().suspended.isEmpty)
        #expect(try fixture.lines("select id from \"Archive 2\".t_old order by id") == ["1", "2"])
        #expect(try fixture.lines("select id, n from t") == ["1|new"])
    }

    @Test func typesAreCreatedAndEnumsGrow() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        defer { sink.stop() }
        func types(_ labels: [String]) -> [TypeDefinition] {
            [
                TypeDefinition(oid: 1, namespace: "app", name: "mood", kind: .enumeration(labels: labels)),
                TypeDefinition(oid: 2, namespace: "app", name: "_mood", kind: .array(elementOID: 1)),
                TypeDefinition(
                    oid: 3, namespace: "app", name: "posint",
                    kind: .domain(
                        baseOID: 23, baseTypeName: "integer", isNotNull: false, constraints: ["CHECK ((VALUE > 0))"])),
                TypeDefinition(
                    oid: 4, namespace: "app", name: "pair",
                    kind: .composite(fields: [
                        .init(name: "a", typeName: "integer"), .init(name: "B b", typeName: "app.mood"),
                    ])),
                TypeDefinition(oid: 5, namespace: "app", name: "span", kind: .range(subtypeName: "date")),
                TypeDefinition(
                    oid: 6, namespace: "public", name: "hstore", kind: .extensionMember(extensionName: "hstore")),
            ]
        }
        func table(_ labels: [String]) -> Relation {
            relation(
                [
                    column("id", 1, "integer", notNull: true), column("m", 2, "app.mood"),
                    column("ms", 3, "app.mood[]"),
                    column("p", 4, "app.posint"), column("c", 5, "app.pair"), column("s", 6, "app.span"),
                    column("h", 7, "public.hstore"),
                ], types: types(labels))
        }
        let first = table(["sad", "ok"])
        let second = table(["sad", "fine", "great's"])
        let builder = fixture.builder()
        builder.relation(first).transaction(lsn: 100) {
            $0.insert(first, ["1", "ok", "{ok,sad}", "5", "(1,ok)", "[2020-01-01,2020-02-01)", "\"a\"=>\"1\""])
        }
        builder.relation(second).transaction(lsn: 150) {
            $0.insert(second, ["2", "great's", "{fine}", nil, nil, nil, nil])
        }
        _ = try sink.write(builder.build())
        builder.relation(table(["sad", "good", "great's"])).transaction(lsn: 200) {
            $0.insert(table(["sad", "good", "great's"]), ["3", "good", nil, nil, nil, nil, nil])
        }
        _ = try sink.write(builder.build())
        #expect(sink.status().suspended.isEmpty, "\(sink.status().suspended)")
        #expect(
            try fixture.lines("select id, m, ms, p, c, s, h from t order by id").first
                == "1|ok|{ok,sad}|5|(1,ok)|[2020-01-01,2020-02-01)|\"a\"=>\"1\"")
        #expect(try fixture.lines("select m from t where id > 1 order by id") == ["great's", "good"])
    }

    @Test func generatedColumnsIdentityAndSequences() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        let withGenerated = relation(
            [
                column("id", 1, "bigint", notNull: true, identity: .always),
                column("s", 2, "integer", notNull: true, default: "nextval('public.\"T s_seq\"'::regclass)"),
                column("v", 3, "integer", default: "42"),
                column("twice", 4, "integer", generated: true, default: "(v * 2)"),
            ])
        // The stream of servers before 18 leaves generated columns out.
        let streamed = relation(Array(withGenerated.columns[..<3]))
        let builder = fixture.builder()
        builder.relation(withGenerated)
        builder.snapshot(lsn: 100) {
            $0.load(withGenerated, .begin)
            $0.insert(withGenerated, ["5", "70", "1", "2"])
            $0.load(withGenerated, .end)
        }
        builder.relation(streamed).transaction(lsn: 200) {
            $0.insert(streamed, ["6", "71", "3"])
            $0.update(streamed, new: ["5", "70", "4"])
        }
        _ = try sink.write(builder.build())
        #expect(sink.status().suspended.isEmpty, "\(sink.status().suspended)")
        #expect(try fixture.lines("select * from t order by id") == ["5|70|4|8", "6|71|3|6"])
        sink.stop()
        // Promoted: it takes writes of its own.
        try fixture.execute("insert into t (v) values (9), (default)")
        #expect(
            try fixture.lines("select * from t order by id") == ["5|70|4|8", "6|71|3|6", "7|72|9|18", "8|73|42|84"])
    }

    @Test func columnsThatTheSourceComputesAreComputedByTheTarget() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        defer { sink.stop() }
        func version(_ v: Column, _ computed: [Column]) -> Relation {
            relation([column("id", 1, "bigint", notNull: true), v], computed: computed)
        }
        func computed(_ name: String, _ number: Int16, _ expression: String) -> Column {
            column(name, number, "integer", generated: true, default: expression)
        }
        let first = version(column("v", 3, "integer"), [computed("twice", 2, "(v * 2)")])
        let builder = fixture.builder()
        builder.relation(first).transaction(lsn: 100) { $0.insert(first, ["1", "4"]) }
        _ = try sink.write(builder.build())
        #expect(try fixture.lines("select t from t") == ["(1,8,4)"])
        // The column that it is made of gets another name, it too, and there is a second one.
        let second = version(
            column("w", 3, "integer"), [computed("double", 2, "(w * 2)"), computed("next", 4, "(w + 1)")])
        builder.relation(second).transaction(lsn: 200) { $0.insert(second, ["2", "5"]) }
        _ = try sink.write(builder.build())
        #expect(try fixture.lines("select id, double, w, next from t order by id") == ["1|8|4|5", "2|10|5|6"])
        // One goes, so that what it is made of can change its type; the other, made anew, needs what the target lacks.
        let third = version(column("w", 3, "bigint"), [computed("next", 5, "no_such_function(w)")])
        builder.relation(third).transaction(lsn: 300) { $0.insert(third, ["3", "6000000000"]) }
        _ = try sink.write(builder.build())
        #expect(sink.status().suspended.isEmpty, "\(sink.status().suspended)")
        #expect(try fixture.lines("select t from t order by id") == ["(1,4)", "(2,5)", "(3,6000000000)"])
    }

    @Test func aComputedColumnBecomesAnOrdinaryOne() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        defer { sink.stop() }
        let id = column("id", 1, "bigint", notNull: true)
        let before = relation([id], computed: [column("twice", 2, "bigint", generated: true, default: "(id * 2)")])
        let after = relation([id, column("twice", 2, "bigint")])
        let builder = fixture.builder()
        builder.relation(before).transaction(lsn: 100) { $0.insert(before, ["1"]) }
        builder.relation(after).transaction(lsn: 200) { $0.insert(after, ["2", "7"]) }
        _ = try sink.write(builder.build())
        #expect(try fixture.lines("select t from t order by id") == ["(1,2)", "(2,7)"])
    }

    @Test func unusualNamesAndManyColumns() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        defer { sink.stop() }
        let name = "Größe \"x\".y " + String(repeating: "n", count: 63 - "Größe \"x\".y ".utf8.count)
        let columns = (1...1600).map {
            column($0 == 1 ? "the \"key\"" : "c\($0)", Int16($0), "integer", notNull: $0 == 1)
        }
        let wide = relation(columns, name: name, schema: "My Schema")
        let builder = fixture.builder()
        builder.relation(wide)
        builder.transaction(lsn: 100) {
            for id in 1...150 { $0.insert(wide, [text(id)] + (2...1600).map { _ in text(id) }) }
        }
        _ = try sink.write(builder.build())
        builder.transaction(lsn: 200) {
            $0.update(wide, new: ["1"] + (2...1600).map { _ in nil })
            $0.delete(wide, key: ["2"] + (2...1600).map { _ in nil })
        }
        _ = try sink.write(builder.build())
        #expect(sink.status().suspended.isEmpty, "\(sink.status().suspended)")
        let quoted = "\"My Schema\".\"\(name.replacing("\"", with: "\"\""))\""
        #expect(
            try fixture.query("select count(*), sum(c1600), max(\"the \"\"key\"\"\") from \(quoted)") == "149|11322|150"
        )
    }

    @Test func namesFollowTheFormat() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start(["collection.name.format": "copy.${source.schema}_${source.table}"])
        defer { sink.stop() }
        let table = relation([
            column("id", 1, "integer", notNull: true, default: "nextval('public.t_id_seq'::regclass)")
        ])
        let builder = fixture.builder()
        builder.relation(table).transaction(lsn: 100) { $0.insert(table, ["1"]) }
        _ = try sink.write(builder.build())
        #expect(try fixture.query("select id from copy.public_t") == "1")
    }
}
