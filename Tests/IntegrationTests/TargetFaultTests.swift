import MillraceCore
import MillraceTesting
import Testing

/// What may happen to the server that a `postgres-sink` writes to.
@Suite(.serialized)
struct TargetFaultTests {
    private static let tables = """
        create table t (id int primary key, v int); insert into t select i, i from generate_series(1, 500) i;
        create table log (n int); insert into log select generate_series(1, 500);
        """

    private func begin(_ target: PostgresServer? = nil) throws -> Replication {
        let shop = try Replication(TargetFaultTests.tables, target: target)
        try shop.start()
        try shop.waitUntilCaughtUp(within: .seconds(90))
        return shop
    }

    private func change(_ shop: Replication, _ round: Int) throws {
        try shop.execute(
            "update t set v = v + \(round) where id % 7 = \(round % 7); insert into log values (\(round * 1000));"
                + " insert into t select i, i from generate_series(\(round) * 1000, \(round) * 1000 + 100) i")
    }

    /// Its cursor goes back with its data.
    @Test
    func targetRestoredFromAnOlderBackupCatchesUpFromTheLog() throws {
        let target = try PostgresServer()
        let shop = try begin(target)
        try change(shop, 1)
        try shop.requireEqual("t", "log", within: .seconds(90))
        target.stop(.fast)
        try target.backUp()
        try target.start()
        for round in 2...4 { try change(shop, round) }
        try shop.requireEqual("t", "log", within: .seconds(90))
        target.stop(.immediate)
        try target.restore()
        try target.start()
        try change(shop, 5)
        try shop.requireEqual("t", "log", within: .seconds(90))
    }

    @Test
    func frozenTargetIsWaitedForAndCatchesUp() throws {
        let target = try PostgresServer()
        let shop = try begin(target)
        target.pause()
        try change(shop, 1)
        let end = try shop.currentWALLSN()
        try eventually("the source goes on without the target", within: .seconds(90), state: { shop.situation() }) {
            try shop.confirmedFlushLSN() ?? .zero >= end
        }
        #expect(try shop.millrace.request("GET", "/connectors/sink/status").status == 200)
        target.resume()
        try shop.requireEqual("t", "log", within: .seconds(90))
    }

    @Test
    func targetStoppedSmartlyWaitsForTheSinkToStop() throws {
        let target = try PostgresServer()
        let shop = try begin(target)
        target.beginStop(.smart)
        try change(shop, 1)
        try shop.stop("sink")
        target.stop(.smart)
        try target.start()
        try shop.resume("sink")
        try shop.requireEqual("t", "log", within: .seconds(90))
    }

    @Test
    func targetThatIsAStandbyIsWaitedForUntilItIsPromoted() throws {
        let target = try PostgresServer()
        let shop = try begin(target)
        target.stop(.fast)
        try target.becomeStandby()
        try target.start()
        try change(shop, 1)
        try shop.waitForTrace("sink", "server_read_only", within: .seconds(90))
        try target.promote()
        try shop.requireEqual("t", "log", within: .seconds(90))
    }

    @Test
    func targetWithoutSpaceIsWaitedFor() throws {
        let shop = try begin()
        try shop.target.execute(
            """
            create table no_space (i int);
            create function refuse() returns trigger language plpgsql as $$
            begin
                raise exception 'could not extend file: No space left on device' using errcode = '53100';
            end $$;
            create trigger full_disk before insert or update on t for each row execute function refuse();
            alter table t enable always trigger full_disk;
            """, database: shop.targetDatabase)
        try change(shop, 1)
        try shop.waitForTrace("sink", "53100", within: .seconds(90))
        #expect(try shop.millrace.taskStates("sink") == ["RUNNING"])
        try shop.target.execute("drop trigger full_disk on t", database: shop.targetDatabase)
        try shop.requireEqual("t", "log", within: .seconds(90))
    }

    @Test
    func droppedTableOfTheTargetIsANamedStateWhoseWayOutMends() throws {
        let shop = try begin()
        try shop.target.execute("drop table t", database: shop.targetDatabase)
        try change(shop, 1)
        let trace = try shop.waitForTrace("sink", "table_suspended", within: .seconds(90))
        #expect(trace.contains("DELETE /connectors/{name}/offsets"), "\(trace)")
        try resetSink(shop)
        try shop.requireEqual("t", "log", within: .seconds(90))
    }

    @Test
    func droppedBookkeepingOfTheTargetMakesTheSinkStartOver() throws {
        let shop = try begin()
        try change(shop, 1)
        try shop.requireEqual("t", "log", within: .seconds(90))
        try shop.target.execute("drop schema millrace cascade", database: shop.targetDatabase)
        try change(shop, 2)
        try shop.requireEqual("t", within: .seconds(90))
        // Rows without a key that are there already cannot be told from those that come again.
        let trace = try shop.waitForTrace("sink", "table_suspended", within: .seconds(90))
        try shop.target.execute(try shop.statement("TRUNCATE", in: trace), database: shop.targetDatabase)
        #expect(try shop.millrace.request("POST", "/connectors/sink/tasks/0/restart").status == 204)
        try eventually("the emptied table catches up", within: .seconds(90), state: { shop.situation() }) {
            try shop.comparison.difference("log") == nil
        }
    }

    private func resetSink(_ shop: Replication) throws {
        try shop.stop("sink")
        #expect(try shop.millrace.request("DELETE", "/connectors/sink/offsets").status == 200)
        try shop.resume("sink")
    }
}
