import MillraceCore
import MillraceTesting
import Testing

@testable import PostgresConnector

@Suite struct FilterTests {
    static func options(_ values: [String: String]) throws -> SourceOptions {
        var config = ["database.dbname": "app", "topic.prefix": "srv"]
        config.merge(values) { $1 }
        return try SourceOptions(ConnectorConfig(config))
    }

    static func captured(_ values: [String: String], _ names: String...) throws -> [String] {
        let filter = try options(values).tables
        return names.filter { name in
            let dot = name.firstIndex(of: ".") ?? name.endIndex
            return filter.captures(TableName(schema: String(name[..<dot]), table: String(name[dot...].dropFirst())))
        }
    }

    @Test func everythingButTheSystemIsCapturedByDefault() throws {
        let captured = try Self.captured(
            [:], "public.a", "pg_catalog.pg_class", "information_schema.tables", "pg_toast.t", "pg_temp_3.t")
        #expect(captured == ["public.a"])
    }

    @Test func expressionsAreAnchoredAndIgnoreCase() throws {
        let captured = try Self.captured(
            ["table.include.list": "public\\.orders, Sales.*,x.t[0-9]"], "public.orders", "public.orders2",
            "Public.Orders",
            "sales.anything", "x.t1", "x.t11", "public.order")
        #expect(captured == ["public.orders", "Public.Orders", "sales.anything", "x.t1"])
    }

    @Test func aDotIsAnyCharacterWhereAnExpressionIsNotAPlainName() throws {
        #expect(
            try Self.captured(["table.include.list": "public.a.c"], "public.a.c", "public.abc") == [
                "public.a.c", "public.abc",
            ])
    }

    @Test func escapedCommasBelongToTheExpression() throws {
        let captured = try Self.captured(
            ["table.include.list": "public.t{2\\,3},public.x"], "public.t", "public.tt", "public.ttt", "public.x")
        #expect(captured == ["public.tt", "public.ttt", "public.x"])
    }

    @Test func schemasAndTablesMustBothPass() throws {
        let captured = try Self.captured(
            ["schema.include.list": "a,b", "table.exclude.list": ".*\\.secret.*"], "a.t", "b.secret1", "c.t", "b.t")
        #expect(captured == ["a.t", "b.t"])
    }

    @Test func bothListsAreRefused() throws {
        let error = #expect(throws: ConnectorError.self) {
            try Self.options(["table.include.list": "a.b", "table.exclude.list": "c.d"])
        }
        #expect(error?.code == "invalid_configuration")
        #expect(error?.message.contains("\"table.include.list\" is already specified") == true)
        #expect(throws: ConnectorError.self) { try Self.options(["column.include.list": "a.b.((c"]) }
        #expect(PatternList.problem(in: "public.((") != nil)
        #expect(PatternList.problem(in: "public.a,b.*") == nil)
    }

    @Test func partitionsGoWithTheirRoot() throws {
        let root = TableName(schema: "public", table: "events")
        let leaf = TableName(schema: "public", table: "events_1")
        let including = try Self.options(["table.include.list": "public.events"]).tables
        #expect(including.captures(leaf, ancestors: [root]))
        #expect(!including.captures(leaf, ancestors: []))
        let excluding = try Self.options(["table.exclude.list": "public.events"]).tables
        #expect(!excluding.captures(leaf, ancestors: [root]))
        let excludingLeaf = try Self.options(["table.exclude.list": "public.events_1"]).tables
        #expect(!excludingLeaf.captures(leaf, ancestors: [root]))
    }

    @Test func keyColumnsAreNeverLeftOut() throws {
        let columns = try Self.options(["column.exclude.list": "public.t.id,public.t.s.*,other.t.name"]).columns
        let relation = Relation.table(1, "t", [.int4("id", key: true), .text("name"), .text("secret"), .text("ssn")])
        #expect(columns.projection(of: relation) == [0, 1])
        let projected = ColumnFilter.project(relation, to: [0, 1])
        #expect(projected.columns.map(\.name) == ["id", "name"])
        #expect(projected.primaryKey == [0])
        let included = try Self.options(["column.include.list": "public.t.name"]).columns
        #expect(included.projection(of: relation) == [0, 1])
        #expect(try Self.options([:]).columns.projection(of: relation) == nil)
    }

    /// All columns identify a row then, and the one that must not be shown is one of them.
    @Test func replicaIdentityFullDoesNotKeepAnExcludedColumn() throws {
        let columns = try Self.options(["column.exclude.list": "public.t.secret"]).columns
        let relation = Relation.table(
            1, "t", replicaIdentity: .full, [.int4("id", key: true), .text("secret", key: true)])
        #expect(columns.projection(of: relation) == [0])
    }

    @Test func thousandsOfPlainNamesAreQuick() throws {
        let names = (0..<5_000).map { "public.table_\($0)" }
        let filter = try Self.options(["table.include.list": names.joined(separator: ",")]).tables
        let clock = ContinuousClock()
        let elapsed = clock.measure {
            let count = (0..<10_000).count { filter.captures(TableName(schema: "public", table: "table_\($0)")) }
            #expect(count == 5_000)
        }
        #expect(elapsed < .seconds(2))
    }
}
