import MillraceCore
import MillraceTesting
import Testing

@testable import PostgresConnector

@Suite struct PublicationTests {
    static let tables = """
        CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); CREATE SCHEMA s;
        CREATE TABLE s."T x" (id int PRIMARY KEY); CREATE UNLOGGED TABLE u (id int PRIMARY KEY);
        CREATE TABLE p (id int) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
        CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent);
        """

    static func ensure(_ database: TestDatabase, _ values: [String: String]) throws -> PublicationState {
        try Publication.ensure(database.options(values), database.connect())
    }

    static func name(_ table: String, _ schema: String = "public") -> TableName {
        TableName(schema: schema, table: table)
    }

    @Test func forAllTables() throws {
        let database = try TestDatabase(Self.tables)
        let first = try Self.ensure(database, [:])
        #expect(first.action == .created)
        #expect(first.isForAllTables)
        #expect(!first.viaPartitionRoot)
        #expect(first.tables.contains(Self.name("p1")))
        #expect(!first.tables.contains(Self.name("u")))
        #expect(first.warnings.isEmpty)
        #expect(try Self.ensure(database, [:]).action == .none)
        // A publication for all tables has every captured one, whatever the mode.
        let values = ["publication.autocreate.mode": "filtered", "table.include.list": "public.a"]
        #expect(try Self.ensure(database, values).action == .none)
    }

    @Test func filteredFollowsTheLists() throws {
        let database = try TestDatabase(Self.tables)
        var values = ["publication.autocreate.mode": "filtered", "table.include.list": "public.a,s.T x"]
        let first = try Self.ensure(database, values)
        #expect(first.action == .created)
        #expect(first.tables == [Self.name("a"), Self.name("T x", "s")])
        #expect(try Self.ensure(database, values).action == .none)
        values["table.include.list"] = "public.[ab],public.u"
        let second = try Self.ensure(database, values)
        #expect(second.action == .altered)
        #expect(second.tables == [Self.name("a"), Self.name("b")])
    }

    @Test func partitionsComeWithTheirRootAndChildrenByThemselves() throws {
        let database = try TestDatabase(Self.tables)
        let values = ["publication.autocreate.mode": "filtered", "table.include.list": "public.p.*"]
        #expect(try Self.ensure(database, values).tables == [Self.name("p1"), Self.name("parent")])
        let listed = try database.scalar(
            "SELECT string_agg(prrelid::regclass::text, ',' ORDER BY 1) FROM pg_publication_rel")
        #expect(listed == "p,parent")
        let other = try TestDatabase(Self.tables)
        let state = try Self.ensure(other, values.merging(["publish.via.partition.root": "true"]) { $1 })
        #expect(state.viaPartitionRoot)
        #expect(state.tables == [Self.name("p"), Self.name("parent")])
    }

    @Test func disabledMakesNothing() throws {
        let database = try TestDatabase(Self.tables)
        let values = ["publication.autocreate.mode": "disabled"]
        let error = #expect(throws: ConnectorError.self) { try Self.ensure(database, values) }
        #expect(error?.code == "publication_missing")
        #expect(error?.hint?.contains("CREATE PUBLICATION \"pub\"") == true)
        try database.execute("CREATE PUBLICATION pub FOR TABLE a WITH (publish = 'insert,update')")
        let state = try Self.ensure(database, values)
        #expect(state.action == .none)
        #expect(state.tables == [Self.name("a")])
        let warning = try #require(state.warnings.first)
        #expect(warning.contains("delete, truncate"))
        #expect(warning.contains("ALTER PUBLICATION \"pub\" SET (publish = 'insert, update, delete, truncate');"))
        #expect(try Self.ensure(database, values.merging(["skipped.operations": "d,t"]) { $1 }).warnings.isEmpty)
    }

    @Test func noTablesIsForThoseWhoFillItThemselves() throws {
        let database = try TestDatabase(Self.tables)
        let state = try Self.ensure(database, ["publication.autocreate.mode": "no_tables"])
        #expect(state.action == .created)
        #expect(state.tables.isEmpty)
        #expect(!state.isForAllTables)
    }

    @Test func filteredWithNothingToPublishIsAnError() throws {
        let database = try TestDatabase(Self.tables)
        let error = #expect(throws: ConnectorError.self) {
            try Self.ensure(database, ["publication.autocreate.mode": "filtered", "table.include.list": "x.y"])
        }
        #expect(error?.code == "no_table")
    }
}
