import MillraceCore
import MillraceTesting
import Testing

/// A standby takes the place of the source's server. The address stays the same for Millrace: a proxy leads to whoever is
/// primary.
@Suite(.serialized)
struct PromotionTests {
    private static let table =
        "create table t (id int primary key, v int); insert into t select i, i from generate_series(1, 500) i"

    /// A replication, caught up, whose source has a standby, from before the slot was made or from behind that.
    private func begin(standbyFirst: Bool = false) throws -> (
        shop: Replication, primary: PostgresServer, standby: PostgresServer
    ) {
        let primary = try PostgresServer()
        let shop = try Replication(PromotionTests.table, source: primary)
        let early = standbyFirst ? try PostgresServer(standbyOf: primary) : nil
        try shop.start()
        try shop.waitUntilCaughtUp(within: .seconds(90))
        return (shop, primary, try early ?? PostgresServer(standbyOf: primary))
    }

    private func waitUntilReplayed(_ primary: PostgresServer, _ standby: PostgresServer) throws {
        let end = try primary.query("select pg_current_wal_lsn()")
        try eventually("the standby has everything", within: .seconds(60)) {
            try standby.query("select pg_last_wal_replay_lsn() >= '\(end)'") == "t"
        }
    }

    private func lead(_ shop: Replication, to server: PostgresServer) throws {
        shop.sourceConfig["database.port"] = "\(server.port)"
        let answer = try shop.millrace.request("PUT", "/connectors/source/config", body: jsonText(shop.sourceConfig))
        // Refused by the check in advance or not: the task says why it cannot go on.
        guard answer.status == 200 else { throw TestFailure("the other address was refused: \(answer.body)") }
    }

    private func requireEqual(_ shop: Replication, to server: PostgresServer) throws {
        let copy = TableComparison(
            source: server, sourceDatabase: shop.sourceDatabase, target: shop.target,
            targetDatabase: shop.targetDatabase)
        try eventually("the target equals the promoted server", within: .seconds(90), state: { shop.situation() }) {
            try copy.difference("t") == nil
        }
    }

    @Test
    func promotedStandbyThatHasTheSlotIsFollowed() throws {
        let (shop, primary, standby) = try begin(standbyFirst: true)
        try shop.execute("insert into t values (1000, 1)")
        try shop.requireEqual("t", within: .seconds(90))
        try shop.stop("source")
        // Not replicated before the promotion: the new primary has it, and the slot too.
        try shop.execute("insert into t values (1001, 1)")
        try waitUntilReplayed(primary, standby)
        primary.stop(.fast)
        standby.stop(.fast)
        try standby.takeSlot(shop.slot, from: primary)
        try standby.start()
        try standby.promote()
        try standby.execute("insert into t values (1002, 1)", database: shop.sourceDatabase)
        try lead(shop, to: standby)
        try shop.resume("source")
        try requireEqual(shop, to: standby)
        #expect(try shop.targetValue("select count(*) from t where id in (1000, 1001, 1002)") == "3")
    }

    /// The slot is older than the backup that the standby was made of.
    @Test
    func promotedStandbyWithoutTheWALOfItsSlotIsANamedStateWhoseStatementAndNewLoadMend() throws {
        let (shop, primary, standby) = try begin()
        try shop.stop("source")
        try waitUntilReplayed(primary, standby)
        primary.stop(.fast)
        standby.stop(.fast)
        try standby.takeSlot(shop.slot, from: primary)
        try standby.start()
        try standby.promote()
        try standby.execute("insert into t values (1002, 1)", database: shop.sourceDatabase)
        try lead(shop, to: standby)
        try shop.resume("source")
        let trace = try shop.waitForSourceFailure("slot_lost", within: .seconds(90))
        try standby.execute(try shop.statement("SELECT pg_drop_replication_slot", in: trace))
        try shop.loadAnew(trace)
        try requireEqual(shop, to: standby)
    }

    @Test
    func promotedStandbyWithoutTheSlotIsANamedStateAndLoadsAnew() throws {
        let (shop, primary, standby) = try begin()
        try waitUntilReplayed(primary, standby)
        primary.stop(.fast)
        try standby.promote()
        try standby.execute("insert into t values (1002, 1)", database: shop.sourceDatabase)
        try lead(shop, to: standby)
        let trace = try shop.waitForSourceFailure("slot_missing", within: .seconds(90))
        #expect(try shop.targetValue("select count(*) from t where id = 1002") == "0")
        try shop.loadAnew(trace)
        try requireEqual(shop, to: standby)
    }

    @Test
    func standbyThatWasPromotedTooEarlyIsANamedStateAndLoadsAnew() throws {
        let (shop, primary, standby) = try begin()
        // It misses what follows, and the target has it.
        standby.stop(.fast)
        try shop.execute("insert into t select i, i from generate_series(1000, 6000) i")
        try shop.requireEqual("t", within: .seconds(90))
        primary.stop(.immediate)
        try standby.start()
        try standby.promote()
        try lead(shop, to: standby)
        let trace = try shop.waitForSourceFailure("timeline_diverged", within: .seconds(90))
        try shop.loadAnew(trace)
        try standby.execute("insert into t values (1002, 7)", database: shop.sourceDatabase)
        try requireEqual(shop, to: standby)
    }
}
