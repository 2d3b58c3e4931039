import MillraceTesting
import Testing

/// Promise 5: values arrive exactly, through the full load and through the stream.
@Suite(.serialized)
struct TypeTests {
    /// Name, type and values of one column each. The values are SQL expressions.
    struct ColumnCase: Sendable, CustomTestStringConvertible {
        var type: String
        var values: [String]
        var testDescription: String { type }

        init(_ type: String, _ values: String...) {
            self.type = type
            self.values = values
        }
    }

    static let builtIn: [ColumnCase] = [
        ColumnCase("smallint", "-32768", "32767"),
        ColumnCase("integer", "-2147483648", "2147483647"),
        ColumnCase("bigint", "-9223372036854775808", "9223372036854775807"),
        ColumnCase(
            "numeric", "'NaN'", "'Infinity'", "'-Infinity'", "0.000", "-0.0000000000000000000001",
            "repeat('9', 1000)::numeric", "('0.' || repeat('0', 500) || '1')::numeric", "1e100::numeric"),
        ColumnCase("numeric(20,5)", "123456789012345.12345", "-0.00001", "'NaN'"),
        ColumnCase("numeric(5,-2)", "12300", "-9999900"),
        ColumnCase(
            "real", "'NaN'", "'Infinity'", "'-Infinity'", "1.17549435e-38", "3.4028235e38", "0.1", "'-0'"),
        ColumnCase(
            "double precision", "'NaN'", "'Infinity'", "'-Infinity'", "5e-324", "1.7976931348623157e308", "0.1", "'-0'"),
        ColumnCase("money", "'-92233720368547758.08'", "'92233720368547758.07'"),
        ColumnCase("boolean", "true", "false"),
        ColumnCase("text", "''", "E'tab\\tline\\nreturn\\rbackslash\\\\quote''\"'", "'żółć 🐘 '", "repeat('x', 100000)"),
        ColumnCase("varchar(10)", "'äöüßÄÖÜ€𝄞x'", "'\\N'", "'\\.'"),
        ColumnCase("char(8)", "'ab'", "'        '"),
        ColumnCase("\"char\"", "'a'", "''"),
        ColumnCase("name", "'a name'", "repeat('n', 63)::name"),
        ColumnCase("bytea", "'\\x'", "'\\x00ff5c0a'", "decode(repeat('00ff', 50000), 'hex')"),
        ColumnCase(
            "date", "'4713-01-01 BC'", "'0001-12-31 BC'", "'5874897-12-31'", "'infinity'", "'-infinity'", "'2000-02-29'"
        ),
        ColumnCase("time", "'00:00'", "'24:00'", "'23:59:59.999999'"),
        ColumnCase("time(3)", "'12:00:00.123'"),
        ColumnCase("timetz", "'00:00+15:59:59'", "'24:00-15:59:59'", "'12:34:56.789012+05:30'"),
        ColumnCase(
            "timestamp", "'4713-01-01 00:00:00 BC'", "'294276-12-31 23:59:59.999999'", "'infinity'", "'-infinity'"),
        ColumnCase(
            "timestamptz", "'4713-01-02 00:00:00+00 BC'", "'294276-12-31 23:59:59.999999+00'", "'infinity'",
            "'-infinity'",
            "'2026-03-29 02:30:00+01'"),
        ColumnCase(
            "interval", "'178000000 years'", "'-178000000 years'", "'1 mon -1 day +00:00:00.000001'", "'-1 year 2 mons'"
        ),
        ColumnCase("interval day to second(3)", "'1 day 02:03:04.567'"),
        ColumnCase("uuid", "'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"),
        ColumnCase("json", "'{\"a\" :  1, \"a\": 2}'", "'null'", "'\"\\u20ac\"'"),
        ColumnCase("jsonb", "'{\"b\": [1, 2.50, null, {\"x\": \"\\\\\"}]}'", "'1e400'"),
        ColumnCase("xml", "'<a b=\"c\">&amp;</a>'::xml", "'text'::xml"),
        ColumnCase("bit(5)", "B'10101'"),
        ColumnCase("varbit", "B''", "B'101010101010101'"),
        ColumnCase("point", "'(1.5,-2e300)'", "'(NaN,Infinity)'"),
        ColumnCase("line", "'{1,-1,0.5}'"),
        ColumnCase("lseg", "'[(0,0),(1,1)]'"),
        ColumnCase("box", "'(2,2),(0,0)'"),
        ColumnCase("path", "'((0,0),(1,1),(2,0))'", "'[(0,0),(1,1)]'"),
        ColumnCase("polygon", "'((0,0),(1,1),(2,0))'"),
        ColumnCase("circle", "'<(1,2),3>'"),
        ColumnCase("inet", "'192.168.0.1/24'", "'::1'", "'2001:db8::/32'"),
        ColumnCase("cidr", "'10.0.0.0/8'", "'::/0'"),
        ColumnCase("macaddr", "'08:00:2b:01:02:03'"),
        ColumnCase("macaddr8", "'08:00:2b:01:02:03:04:05'"),
        ColumnCase("tsvector", "'''a'':1A,2B ''b c'':3'"),
        ColumnCase("tsquery", "'''a'' & !( ''b'':A | ''c'' )'"),
        ColumnCase("pg_lsn", "'FFFFFFFF/FFFFFFFF'", "'0/0'"),
        ColumnCase("oid", "0", "4294967295::bigint::oid"),
        ColumnCase("xid", "'4294967295'"),
        ColumnCase("xid8", "'18446744073709551615'"),
        ColumnCase("tid", "'(4294967295,65535)'"),
        ColumnCase("regtype", "'integer'::regtype"),
        ColumnCase("txid_snapshot", "'10:20:10,14,15'"),
        ColumnCase("jsonpath", "'$.a[*] ? (@ > 1)'"),
        ColumnCase("int4range", "'empty'", "'[1,10)'", "'(,)'"),
        ColumnCase("numrange", "'[1.50,2.5]'", "'(,2]'"),
        ColumnCase("tstzrange", "'[2026-01-01 00:00+00,infinity)'"),
        ColumnCase("daterange", "'[2026-01-01,)'"),
        ColumnCase("int4multirange", "'{}'", "'{[1,3),[5,8)}'"),
        ColumnCase("integer[]", "'{}'", "'{1,NULL,3}'", "'{{1,2},{3,4}}'", "'[5:6][-1:0]={{1,2},{3,NULL}}'"),
        ColumnCase("text[]", "'{\"\",\"NULL\",NULL,\"a,b\",\"{\\\"}\",\"\\\\\\\\\"}'", "array[E'new\\nline', 'ä']"),
        ColumnCase("timestamptz[]", "'{infinity,\"2026-01-01 00:00:00+00\"}'"),
        ColumnCase("numeric(10,2)[]", "'{NaN,1.50}'"),
        ColumnCase("bytea[]", "array['\\x00ff'::bytea, null]"),
        ColumnCase("point[]", "array['(1,2)'::point]"),
    ]

    @Test
    func everyBuiltInTypeArrivesEqualThroughLoadAndStream() throws {
        let columns = TypeTests.builtIn
        let definition = columns.enumerated().map { "c\($0.offset) \($0.element.type)" }.joined(separator: ", ")
        try checkLoadAndStream(
            definition: definition, columns: columns.enumerated().map { ("c\($0.offset)", $0.element.values) })
    }

    @Test
    func typesOfTheUserArriveEqualThroughLoadAndStream() throws {
        try checkLoadAndStream(
            before: """
                create schema "Types";
                create type "Types"."Mood" as enum ('sad', 'o''k', 'Happy, very');
                create domain positive as numeric check (value > 0);
                create domain code as "Types"."Mood"[];
                create type address as (street text, "No" integer, tags text[]);
                create type spread as range (subtype = float8);
                create type person as (name text, home address);
                """,
            definition: """
                mood "Types"."Mood", moods "Types"."Mood"[], price positive, prices positive[], codes code,
                home address, homes address[], width spread, widths spread[], multi spread_multirange, who person
                """,
            columns: [
                ("mood", ["'sad'", "'o''k'", "'Happy, very'"]),
                ("moods", ["array['sad', null, 'Happy, very']::\"Types\".\"Mood\"[]"]),
                ("price", ["1.50", "'Infinity'"]), ("prices", ["array[1, 2.5]::positive[]"]),
                ("codes", ["'{sad}'"]),
                ("home", ["row('Main \"St\", (x)', 1, array['a', null])::address", "row(null, null, null)::address"]),
                ("homes", ["array[row('a', 1, '{}')::address, null]"]),
                ("width", ["'[0.1,NaN)'", "'empty'"]), ("widths", ["array['(,1]'::spread]"]),
                ("multi", ["'{[1,2),[3,4)}'"]),
                ("who", ["row('x', row('y', 2, '{z}')::address)::person"]),
            ])
    }

    @Test
    func typesOfExtensionsArriveEqualThroughLoadAndStream() throws {
        try checkLoadAndStream(
            before: "create extension hstore; create extension ltree; create extension citext; create extension cube;",
            definition: "h hstore, l ltree, q lquery, t citext, ts citext[], c cube",
            columns: [
                ("h", ["'a=>1, \"b c\"=>NULL, \"\"=>\"\\\"\"'", "''"]), ("l", ["'Top.Science_1.x'", "''"]),
                ("q", ["'*.a|b{1,2}.!c'"]), ("t", ["'MiXeD'", "''"]), ("ts", ["array['A', 'a']::citext[]"]),
                ("c", ["'(1,2),(3,4.5)'"]),
            ])
    }

    @Test
    func megabytesInOneValueArriveEqual() throws {
        let shop = try Replication(
            """
            create table big (id int primary key, t text, b bytea);
            insert into big values (1, repeat('load ', 4000000), decode(repeat('00ff', 8000000), 'hex'));
            """)
        try shop.start()
        try shop.waitUntilCaughtUp()
        try shop.execute(
            "insert into big values (2, repeat('stream', 4000000), decode(repeat('ff00', 8000000), 'hex'));"
                + " update big set t = t || '.' where id = 1")
        try shop.requireEqual("big")
    }

    /// One row per value of each column (others null), one row of nulls: in the table before the load, and again after it
    /// through insert, update and delete.
    private func checkLoadAndStream(
        before: String = "", definition: String, columns: [(name: String, values: [String])]
    ) throws {
        let inserts = columns.flatMap { column in
            column.values.map { "insert into samples (phase, \(column.name)) values (:phase, \($0));" }
        }.joined(separator: "\n")
        let rows = { (phase: String) in
            "begin;\ninsert into samples (phase) values ('\(phase)');\n"
                + inserts.replacing(":phase", with: "'\(phase)'") + "\ncommit;\n"
        }
        let shop = try Replication(
            before + "create table samples (id serial primary key, phase text, \(definition));\n" + rows("load"))
        try shop.start()
        try shop.requireEqual("samples")
        try shop.execute(rows("stream"))
        try shop.requireEqual("samples")
        // Every value through an update, too: rows of nulls take what the row before them has.
        let names = columns.map(\.name)
        try shop.execute(
            """
            insert into samples (phase) select 'update' from generate_series(1, (select count(*) from samples));
            update samples s set (phase, \(names.joined(separator: ", "))) =
                (select 'updated', \(names.map { "o.\($0)" }.joined(separator: ", "))
                 from samples o where o.id = s.id - (select count(*) from samples where phase <> 'update'))
                where phase = 'update';
            delete from samples where id % 7 = 0;
            """)
        try shop.requireEqual("samples")
        let types = """
            select a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull from pg_attribute a
            where a.attrelid = 'samples'::regclass and a.attnum > 0 and not a.attisdropped order by a.attname
            """
        #expect(try shop.sourceValue(types) == shop.targetValue(types))
    }
}
