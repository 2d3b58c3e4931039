import MillraceCore
import MillraceTesting
import Testing

/// Promise 3, and what the target database may do to us.
@Suite(.serialized)
struct SinkFaultTests {
    private static let table =
        "create table t (id int primary key, v int); insert into t select i, i from generate_series(1, 100) i"

    @Test
    func stoppedSinkDoesNotHoldTheSourceAndCatchesUpLater() throws {
        let shop = try Replication(SinkFaultTests.table)
        try shop.start()
        try shop.waitUntilCaughtUp()
        #expect(try shop.millrace.request("PUT", "/connectors/sink/stop").status == 204)
        try eventually("the sink is stopped") {
            try shop.millrace.status("sink")["connector"]["state"].string == "STOPPED"
        }
        for round in 1...3 {
            try shop.execute(
                "insert into t select \(round) * 10000 + i, i from generate_series(1, 5000) i;"
                    + " update t set v = v + \(round) where id % 5 = 0")
            let end = try shop.currentWALLSN()
            try eventually("confirmed_flush_lsn advances without the sink", state: { shop.situation() }) {
                try shop.confirmedFlushLSN() ?? .zero >= end
            }
        }
        #expect(try shop.targetValue("select count(*) from t") == "100")
        try shop.millrace.crashAndRestart()
        #expect(try shop.millrace.request("PUT", "/connectors/sink/resume").status == 202)
        try shop.requireEqual("t")
    }

    @Test
    func targetRestartedKilledAndGoneForAWhileCatchesUp() throws {
        let target = try PostgresServer()
        let shop = try Replication(SinkFaultTests.table, target: target)
        try shop.start()
        try shop.waitUntilCaughtUp()
        try shop.execute("update t set v = v + 1")
        try target.restart(.fast)
        try shop.requireEqual("t")
        try shop.execute("update t set v = v + 1; insert into t values (1000, 1)")
        target.kill9()
        try shop.execute("update t set v = v + 1; insert into t values (1001, 1)")
        let end = try shop.currentWALLSN()
        try eventually("the source goes on without the target", state: { shop.situation() }) {
            try shop.confirmedFlushLSN() ?? .zero >= end
        }
        try target.start()
        try shop.requireEqual("t")
    }

    @Test
    func sinkPostedBeforeItsSourceWaitsForIt() throws {
        let shop = try Replication(SinkFaultTests.table)
        try shop.millrace.putConnector("sink", shop.sinkConfig)
        try shop.millrace.putConnector("source", shop.sourceConfig)
        try shop.requireEqual("t")
    }

    @Test
    func sinkPostedLaterGetsTheWholeHistory() throws {
        let shop = try Replication(SinkFaultTests.table)
        try shop.millrace.putConnector("source", shop.sourceConfig)
        try eventually("the source streams", state: { shop.situation() }) {
            try shop.source.query(
                "select active from pg_replication_slots where slot_name = '\(shop.slot)'") == "t"
        }
        try shop.execute("update t set v = -v where id % 2 = 0; delete from t where id = 9")
        try shop.millrace.putConnector("sink", shop.sinkConfig)
        try shop.requireEqual("t")
    }

    @Test
    func poisonRowSuspendsItsTableOnlyAndARestartAfterRepairCatchesUp() throws {
        let shop = try Replication(
            SinkFaultTests.table + "; create table bad (id int primary key, v int); insert into bad values (1, 1)")
        try shop.start()
        try shop.waitUntilCaughtUp()
        try shop.target.execute("alter table bad add constraint small check (v < 100)", database: shop.targetDatabase)
        try shop.execute(
            "insert into bad values (2, 50); insert into bad values (3, 1000); insert into t values (1000, 1);"
                + " insert into bad values (4, 60)")
        try shop.requireEqual("t")
        #expect(try shop.targetValue("select count(*) from bad where id >= 3") == "0")
        let details = try shop.millrace.request("GET", "/v1/connectors/sink/details").body
        #expect(details.contains("public.bad") && details.contains("small"), "\(details)")
        let status = try shop.millrace.request("GET", "/connectors/sink/status").body
        #expect(status.contains("table_suspended") && status.contains("id=3"), "\(status)")
        let suspended = try shop.millrace.metric("millrace_sink_suspended_tables")
        #expect(Array(suspended.values) == [1], "\(suspended)")
        try shop.target.execute("alter table bad drop constraint small", database: shop.targetDatabase)
        #expect(try shop.millrace.request("POST", "/connectors/sink/tasks/0/restart").status == 204)
        try shop.requireEqual("t")
        try eventually("the repaired table catches up", state: { shop.situation() }) {
            try shop.comparison.difference("bad") == nil
        }
    }

    @Test
    func aSinkWhoseOffsetsAreResetStartsFromTheBeginningOfTheLog() throws {
        let shop = try Replication("create table log (n int); insert into log select generate_series(1, 100)")
        try shop.start()
        try shop.waitUntilCaughtUp()
        try shop.execute("insert into log select generate_series(101, 200)")
        try shop.requireEqual("log")
        #expect(try shop.millrace.request("DELETE", "/connectors/sink/offsets").status == 400)
        #expect(try shop.millrace.request("PUT", "/connectors/sink/stop").status == 204)
        try shop.target.execute("delete from log where n % 2 = 0", database: shop.targetDatabase)
        #expect(try shop.millrace.request("DELETE", "/connectors/sink/offsets").status == 200)
        #expect(try shop.millrace.request("PUT", "/connectors/sink/resume").status == 202)
        try shop.requireEqual("log")
    }

    @Test
    func deletedAndRecreatedSinkDoesNotApplyTwice() throws {
        let shop = try Replication("create table log (n int); insert into log select generate_series(1, 100)")
        try shop.start()
        try shop.waitUntilCaughtUp()
        try shop.millrace.deleteConnector("sink")
        try shop.execute("insert into log select generate_series(101, 200)")
        try shop.millrace.putConnector("sink", shop.sinkConfig)
        try shop.requireEqual("log")
    }
}
