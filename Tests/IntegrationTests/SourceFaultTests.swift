import MillraceCore
import MillraceTesting
import Testing

/// What the source database may do to us.
@Suite(.serialized)
struct SourceFaultTests {
    private static let table =
        "create table t (id int primary key, v int); insert into t select i, i from generate_series(1, 100) i"

    @Test
    func slotAdvancedBySomebodyElseIsRefused() throws {
        let shop = try Replication(SourceFaultTests.table)
        try shop.start()
        try shop.waitUntilCaughtUp()
        shop.millrace.kill9()
        try shop.waitUntilSlotIsFree()
        try shop.execute("insert into t values (5000, 1)")
        try shop.execute("select pg_replication_slot_advance('\(shop.slot)', pg_current_wal_lsn())")
        try shop.millrace.start()
        let trace = try shop.waitForSourceFailure("slot_ahead", within: .seconds(90))
        try shop.loadAnew(trace)
        try shop.requireEqual("t", within: .seconds(90))
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
}
