import MillraceCore
import MillraceTesting
import Testing

/// What the source database may do to us.
@Suite(.serialized)
struct SourceFaultTests {
    private static let table =
        "create table t (id int primary key, v int); insert into t select i, i from generate_series(1, 100) i"

    @Test
    func sourceRestartedStoppedAndKilledIsFollowedAgain() throws {
        let source = try PostgresServer()
        let shop = try Replication(SourceFaultTests.table, source: source)
        try shop.start()
        try shop.waitUntilCaughtUp()
        var next = 1000
        let faults: [(PostgresServer) throws -> Void] = [
            { try $0.restart(.fast) }, { try $0.restart(.immediate) },
            { server in
                server.kill9()
                try server.start()
            },
        ]
        for fault in faults {
            try shop.execute("insert into t select i, i from generate_series(\(next), \(next + 500)) i")
            try fault(source)
            try shop.execute("update t set v = v + 1 where id % 3 = 0")
            try shop.requireEqual("t")
            next += 1000
        }
        #expect(try shop.millrace.taskStates("source") == ["RUNNING"])
    }

    @Test
    func frozenSourceIsFollowedAgainWhenItThaws() throws {
        let source = try PostgresServer()
        let shop = try Replication(SourceFaultTests.table, source: source)
        try shop.start()
        try shop.waitUntilCaughtUp()
        source.pause()
        #expect(try shop.millrace.request("GET", "/connectors/source/status").status == 200)
        source.resume()
        try shop.execute("insert into t values (1000, 1)")
        try shop.requireEqual("t")
    }

    @Test
    func droppedSlotIsANamedStateAndNotRecreated() throws {
        let shop = try Replication(SourceFaultTests.table)
        try shop.start()
        try shop.waitUntilCaughtUp()
        shop.millrace.kill9()
        try dropSlot(shop)
        try shop.millrace.start()
        let trace = try shop.waitForSourceFailure("slot_missing")
        #expect(trace.contains("way out"))
        #expect(try shop.confirmedFlushLSN() == nil)
    }

    @Test
    func slotDroppedAndCreatedAgainIsRefusedBecauseChangesAreMissing() throws {
        let shop = try Replication(SourceFaultTests.table)
        try shop.start()
        try shop.waitUntilCaughtUp()
        shop.millrace.kill9()
        try dropSlot(shop)
        try shop.execute("insert into t values (5000, 1)")
        try shop.execute("select pg_create_logical_replication_slot('\(shop.slot)', 'pgoutput')")
        try shop.millrace.start()
        try shop.waitForSourceFailure("slot_ahead")
        #expect(try shop.targetValue("select count(*) from t where id = 5000") == "0")
    }

    @Test
    func slotAdvancedBySomebodyElseIsRefused() throws {
        let shop = try Replication(SourceFaultTests.table)
        try shop.start()
        try shop.waitUntilCaughtUp()
        shop.millrace.kill9()
        try waitUntilSlotIsFree(shop)
        try shop.execute("insert into t values (5000, 1)")
        try shop.execute("select pg_replication_slot_advance('\(shop.slot)', pg_current_wal_lsn())")
        try shop.millrace.start()
        try shop.waitForSourceFailure("slot_ahead")
    }

    @Test
    func otherSystemUnderTheSameAddressIsRefused() throws {
        let first = try PostgresServer()
        let second = try PostgresServer()
        let shop = try Replication(SourceFaultTests.table, source: first)
        try shop.start()
        try shop.waitUntilCaughtUp()
        let database = try second.makeDatabase("source")
        #expect(database == shop.sourceDatabase)
        try second.execute(SourceFaultTests.table, database: database)
        try second.execute("create publication \(shop.publication) for all tables", database: database)
        try second.execute("select pg_create_logical_replication_slot('\(shop.slot)', 'pgoutput')", database: database)
        var moved = shop.sourceConfig
        moved["database.port"] = "\(second.port)"
        _ = try shop.millrace.request("PUT", "/connectors/source/config", body: jsonText(moved))
        try shop.waitForSourceFailure("system_changed")
    }

    @Test
    func idlePublicationInABusyClusterDoesNotPinWAL() throws {
        let shop = try Replication(
            SourceFaultTests.table,
            sourceConfig: [
                "table.include.list": "public.t,public.sync_marker", "publication.autocreate.mode": "filtered",
            ])
        try shop.start()
        try shop.waitUntilCaughtUp()
        let busy = try shop.source.makeDatabase("busy")
        try shop.source.execute(
            "create table x (i int); insert into x select generate_series(1, 100000)", database: busy)
        try shop.execute("create table unpublished (i int); insert into unpublished select generate_series(1, 100000)")
        let end = try shop.currentWALLSN()
        try eventually("the slot has passed what others wrote", within: .seconds(30), state: { shop.situation() }) {
            try shop.confirmedFlushLSN() ?? .zero >= end
        }
    }

    private func dropSlot(_ shop: Replication) throws {
        try waitUntilSlotIsFree(shop)
        try shop.source.execute("select pg_drop_replication_slot('\(shop.slot)')")
    }

    private func waitUntilSlotIsFree(_ shop: Replication) throws {
        try eventually("the slot is free") {
            try shop.source.query(
                "select count(*) from pg_replication_slots where slot_name = '\(shop.slot)' and not active") == "1"
        }
    }
}
