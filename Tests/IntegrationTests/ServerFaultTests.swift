import MillraceCore
import MillraceTesting
import Testing

/// What may happen to the server that the source reads. Servers are of the tests' own: others could not go on with them.
@Suite(.serialized)
struct ServerFaultTests {
    private static let table =
        "create table t (id int primary key, v int); insert into t select i, i from generate_series(1, 500) i"

    @Test
    func stoppedInEachWayAndKilledTheServerIsFollowedAgain() throws {
        let source = try PostgresServer()
        let shop = try Replication(ServerFaultTests.table, source: source)
        try shop.start()
        try shop.waitUntilCaughtUp(within: .seconds(90))
        for (round, mode) in [PostgresServer.StopMode.smart, .fast, .immediate, .smart].enumerated() {
            try shop.execute(
                "insert into t select i, i from generate_series(\(round + 1) * 1000, \(round + 1) * 1000 + 500) i")
            if mode == .smart {
                // It waits for its clients, and we are one: a stop of the connector lets it go.
                source.beginStop(.smart)
                try shop.stop("source")
                source.stop(.smart)
                try source.start()
                try shop.resume("source")
            } else {
                try source.restart(mode)
            }
            try shop.execute("update t set v = v + 1 where id % 3 = 0")
            try shop.requireEqual("t", within: .seconds(90))
        }
        source.kill9()
        try source.start()
        try shop.execute("update t set v = v + 1")
        try shop.requireEqual("t", within: .seconds(90))
        #expect(try shop.millrace.taskStates("source") == ["RUNNING"])
    }

    @Test
    func frozenForLongerThanItsOwnTimeoutTheServerIsFollowedAgain() throws {
        let source = try PostgresServer(settings: ["wal_sender_timeout": "2s"])
        let shop = try Replication(
            ServerFaultTests.table, source: source,
            sourceConfig: ["receive.timeout.ms": "4000", "tcp.timeout.ms": "4000"])
        try shop.start()
        try shop.waitUntilCaughtUp(within: .seconds(90))
        source.pause()
        // Twice as long as wal_sender_timeout: the server will find that it has lost us, and we have given it up.
        try shop.waitForTrace("source", "receive_timeout")
        source.resume()
        try shop.execute("insert into t values (1000, 1); update t set v = v + 1 where id < 10")
        try shop.requireEqual("t", within: .seconds(90))
    }

    @Test
    func serverRestoredFromAnOlderStateIsRefusedAndLoadsAnew() throws {
        let source = try PostgresServer()
        let shop = try Replication(ServerFaultTests.table, source: source)
        try shop.start()
        try shop.waitUntilCaughtUp(within: .seconds(90))
        try shop.stop("source")
        source.stop(.fast)
        try source.backUp()
        try source.start()
        try shop.resume("source")
        try shop.execute("insert into t select i, i from generate_series(1000, 6000) i; select pg_switch_wal()")
        try shop.requireEqual("t", within: .seconds(90))
        source.stop(.fast)
        try source.restore()
        try source.start()
        let trace = try shop.waitForSourceFailure("server_restored", within: .seconds(90))
        try shop.loadAnew(trace)
        try shop.execute("insert into t values (7000, 1)")
        try shop.requireEqual("t", within: .seconds(90))
    }

    @Test
    func otherClusterUnderTheSameAddressIsRefusedAndLoadsAnew() throws {
        let first = try PostgresServer()
        let second = try PostgresServer()
        let shop = try Replication(ServerFaultTests.table, source: first)
        try shop.start()
        try shop.waitUntilCaughtUp(within: .seconds(90))
        let database = try second.makeDatabase("source")
        try second.execute(
            "create table public.sync_marker (id bigint primary key); " + ServerFaultTests.table
                + "; delete from t where id % 2 = 0", database: database)
        var moved = shop.sourceConfig
        moved["database.port"] = "\(second.port)"
        _ = try shop.millrace.request("PUT", "/connectors/source/config", body: jsonText(moved))
        let trace = try shop.waitForSourceFailure("system_changed", within: .seconds(90))
        try shop.loadAnew(trace)
        try second.execute("insert into t values (1000, 1)", database: database)
        let copy = TableComparison(
            source: second, sourceDatabase: database, target: shop.target, targetDatabase: shop.targetDatabase)
        try eventually("the target equals the other cluster", within: .seconds(90), state: { shop.situation() }) {
            try copy.difference("t") == nil
        }
    }
}
