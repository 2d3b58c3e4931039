import MillraceCore
import MillraceTesting
import PostgresConnector
import Testing

/// What every sink must do, and values of every type that comes with PostgreSQL.
@Suite struct SinkConformanceTests {
    @Test func conformsToTheContractOfSinks() throws {
        let findings = try SinkConformance {
            let fixture = try SinkFixture()
            return SinkConformance.Subject(
                makeSink: { try fixture.makeSink() },
                rows: { table in
                    let connection = try PostgresConnection(
                        ConnectionParameters([
                            "host": "127.0.0.1", "port": "\(fixture.server.port)", "user": "postgres",
                            "dbname": fixture.database,
                        ]))
                    let exists = try connection.execute("select to_regclass('\(table)') is not null", "look").scalar
                    guard exists == "t" else { return [] }
                    return try connection.execute("select * from \(table)", "read").rows.map { row in
                        row.map { value in value.map { .text($0) } ?? .null }
                    }
                })
        }.run()
        #expect(findings.isEmpty, "\(findings.joined(separator: "\n"))")
    }

    private static let types = """
        create extension hstore; create extension ltree; create extension citext;
        create type mood as enum ('sad', 'it''s ok', 'happy \\o/');
        create domain euro as numeric(12, 2) check (value >= 0);
        create type place as (name text, at point, m mood);
        create type tempo as range (subtype = float8);
        create table everything (
            id serial primary key, b boolean, i2 smallint, i4 integer, i8 bigint, n numeric, n2 numeric(20, 5), r real,
            d double precision, m money, c "char", c3 char(3), vc varchar(40), t text, nm name, ba bytea, ts timestamp,
            tstz timestamptz(3), dt date, tm time, tmtz timetz, iv interval, u uuid, js json, jb jsonb, x xml,
            ip inet, net cidr, mac macaddr, mac8 macaddr8, bi bit(5), vb bit varying, pt point, ln line, sg lseg, bx box,
            pth path, pg polygon, ci circle, tv tsvector, tq tsquery, i4r int4range, tr tstzrange, mr int4multirange,
            ia integer[], ta text[], na numeric(6, 2)[][], md mood, mda mood[], eu euro, pl place, pla place[], te tempo,
            h hstore, lt ltree, ct citext, o oid, rc regclass, lsn pg_lsn, xi xid8, snap pg_snapshot, jp jsonpath
        );
        insert into everything (id) values (1);
        insert into everything values (2, true, -32768, -2147483648, -9223372036854775808, 'NaN', '-123456789012345.12345',
            'Infinity', '-Infinity', '-92233720368547758.08', 'x', 'a', 'trailing  ', E'tab\\t nl\\n cr\\r bs\\\\ \\\\N q''',
            'Name', '\\x00ff5c', '4713-01-01 00:00:00 BC', '294276-12-31 23:59:59.999+00', '4714-11-24 BC', '24:00',
            '23:59:59.999999-15:59', '-178000000 years 11 mons -30 days 23:59:59.999999', gen_random_uuid(),
            '{"a" : [1, 1.0], "a": null}', '{"b": "\\u00e4\\\\"}', '<a>t&amp;</a>', '::ffff:1.2.3.4/128', '10.0.0.0/8',
            '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', '10101', '', '(1.5,-2e-300)', '{1,-1,0}', '[(0,0),(1,1)]',
            '(1,1),(0,0)', '[(0,0),(1,1),(2,0)]', '((0,0),(1,1),(2,0))', '<(0,0),1>', '''a b'':1A c:2', 'a & !b:*',
            '(1,5]', '[2020-01-01,)', '{[1,3),[7,9)}', '[2:4]={1,NULL,3}', '{"a,b","c\\"d\\\\e",NULL,"NULL",""}',
            '{{1.50,2},{3,4}}', 'it''s ok', '{sad,"happy \\\\o/"}', 12.3, '("a ""q"", b","(1,2)",sad)',
            array[row('x', null, 'sad')::place], '[1.5,2)', '"a b"=>"c\\"", n=>NULL', 'Top.Science', 'CaSe', 4294967295,
            'pg_class', 'FFFFFFFF/FFFFFFFF', '18446744073709551615', '10:20:10,14', '$."a"[*] ? (@ > 1)');
        insert into everything (id, n, r, d, ts, tstz, dt, tm, c, t, ba, js, vb, ia, ta, i4r, mr, h)
            values (3, 'Infinity', 'NaN', '-0', 'infinity', '-infinity', 'infinity', '00:00', '', '', '', '""', '1', '{}',
            '{}', 'empty', '{}', ''), (4, 1e-200, 1.17549435e-38, 4.9e-324, '0001-01-01 BC', 'epoch', '5874897-12-31',
            '23:59:59.9', E'\\\\', 'ünïcödé 🐘 \u{2028}', decode(repeat('00', 5000), 'hex'), '[]', '0', '{{1},{2}}', null, '(,)',
            '{(,)}', 'a=>1');
        """

    /// The relation of a table, read from a catalog as a source does.
    private func relation(_ connection: PostgresConnection) throws -> Relation {
        let rows = try connection.execute(
            """
            select attname, attnum, atttypid, atttypmod, format_type(atttypid, atttypmod), attnotnull,
                pg_get_expr(adbin, adrelid)
            from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
            where attrelid = 'public.everything'::regclass and attnum > 0 order by attnum
            """, "describe"
        ).rows
        let columns = rows.map { row in
            Column(
                name: row[0] ?? "", attributeNumber: Int16(row[1] ?? "") ?? 0, typeOID: UInt32(row[2] ?? "") ?? 0,
                typeModifier: Int32(row[3] ?? "") ?? -1, typeName: row[4] ?? "", isNotNull: row[5] == "t",
                isReplicaIdentity: row[0] == "id", defaultExpression: row[6])
        }
        func type(_ name: String, _ kind: TypeDefinition.Kind) -> TypeDefinition {
            TypeDefinition(oid: 0, namespace: "public", name: name, kind: kind)
        }
        let types = [
            type("hstore", .extensionMember(extensionName: "hstore")),
            type("ltree", .extensionMember(extensionName: "ltree")),
            type("citext", .extensionMember(extensionName: "citext")),
            type("mood", .enumeration(labels: ["sad", "it's ok", "happy \\o/"])),
            type(
                "euro",
                .domain(
                    baseOID: 1700, baseTypeName: "numeric(12,2)", isNotNull: false,
                    constraints: ["CHECK ((VALUE >= (0)::numeric))"])),
            type(
                "place",
                .composite(fields: [
                    .init(name: "name", typeName: "text"), .init(name: "at", typeName: "point"),
                    .init(name: "m", typeName: "public.mood"),
                ])), type("tempo", .range(subtypeName: "double precision")),
        ]
        return Relation(
            id: RelationID(60), namespace: "public", name: "everything", topic: "srv.public.everything",
            replicaIdentity: .primaryKey, columns: columns, primaryKey: [0], types: types)
    }

    /// How rows come: by full load, by few statements, and by sets large enough for staging.
    enum Way: CaseIterable {
        case load, statements, updates, sets
    }

    @Test(arguments: Way.allCases) func everyTypeArrivesEqual(way: Way) throws {
        let fixture = try SinkFixture()
        let source = try fixture.server.makeDatabase("types")
        try fixture.server.execute(Self.types, database: source)
        let connection = try PostgresConnection(
            ConnectionParameters([
                "host": "127.0.0.1", "port": "\(fixture.server.port)", "user": "postgres", "dbname": source,
            ]))
        let relation = try relation(connection)
        if way == .sets {
            try fixture.server.execute(
                "insert into everything (id, i4) select g, g from generate_series(1000, 1300) g", database: source)
        }
        let rows = try connection.execute("select * from public.everything order by id", "read").rows.map { row in
            row.map { value -> TestValue in value.map { .text($0) } ?? .null }
        }
        let sink = try fixture.start()
        let builder = fixture.builder()
        builder.relation(relation)
        if way == .load {
            builder.snapshot(lsn: 100) {
                $0.load(relation, .begin)
                for row in rows { $0.insert(relation, row) }
                $0.load(relation, .end)
            }
        } else {
            builder.transaction(lsn: 100) {
                for row in rows {
                    let isUpdated = way == .updates || way == .sets
                    let empty = [row[0]] + Array(repeating: TestValue.null, count: row.count - 1)
                    $0.insert(relation, isUpdated ? empty : row)
                }
            }
            _ = try sink.write(builder.build())
            builder.transaction(lsn: 200) {
                for row in rows where way != .statements { $0.update(relation, new: row) }
            }
        }
        _ = try sink.write(builder.build())
        sink.stop()
        #expect(sink.status().suspended.isEmpty, "\(sink.status().suspended)")
        try TableComparison(
            source: fixture.server, sourceDatabase: source, target: fixture.server, targetDatabase: fixture.database
        ).requireEqual("public.everything")
    }
}
