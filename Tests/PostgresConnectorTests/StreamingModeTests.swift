import MillraceCore
import MillraceTesting
import Testing

@testable import PostgresConnector

@Suite struct StreamingModeTests {
    @Test func loadsBesideASlotThatIsThere() throws {
        let database = try StreamingDatabase()
        try database.sql("create table t (id int primary key, v text); insert into t values (1, 'before')")
        let publication = database.config()["publication.name"] ?? ""
        try database.sql(
            """
            create publication "\(publication)" for all tables;
            select pg_create_logical_replication_slot('slot_\(database.name)', 'pgoutput');
            insert into t values (2, 'in slot and load'); update t set v = 'changed' where id = 1;
            """)
        let running = try RunningSource(database.config(), into: MemoryLog())
        try running.awaitStreaming()
        try database.sql("insert into t values (3, 'after')")
        // Contents refuse a row that comes twice.
        try database.awaitEquality(["public.t"], running)
        try running.stop()
        // The slot that helped is gone.
        #expect(
            try database.server.query(
                "select count(*) from pg_replication_slots where slot_name like 'millrace_load%'") == "0")
    }

    @Test func streamsFromASlotWithoutALoad() throws {
        let database = try StreamingDatabase()
        let publication = database.config()["publication.name"] ?? ""
        try database.sql(
            """
            create table t (id int primary key, v text); insert into t values (1, 'never seen');
            create publication "\(publication)" for all tables;
            select pg_create_logical_replication_slot('slot_\(database.name)', 'pgoutput');
            insert into t values (2, 'waiting in the slot');
            """)
        let running = try RunningSource(database.config(["snapshot.mode": "no_data"]), into: MemoryLog())
        try database.sql("insert into t values (3, 'live')")
        try eventually("changes arrive") {
            try running.check()
            return try running.log.contents().rows["public.t"]?.count == 2
        }
        try running.stop()
        #expect(try running.log.contents().rows["public.t"]?[["1"]] == nil)
    }

    @Test func streamsWithANewSlotWithoutALoad() throws {
        let database = try StreamingDatabase()
        try database.sql("create table t (id int primary key, v text); insert into t values (1, 'never seen')")
        let running = try RunningSource(database.config(["snapshot.mode": "never"]), into: MemoryLog())
        try running.awaitStreaming()
        try database.sql("insert into t values (3, 'live')")
        try eventually("changes arrive") { try running.log.contents().rows["public.t"]?.count == 1 }
        try running.stop()
    }

    @Test func loadsOnlyAndLeavesNothingBehind() throws {
        let database = try StreamingDatabase()
        try database.sql("create table t (id int primary key, v text); insert into t values (1, 'a')")
        let log = MemoryLog()
        let config = database.config(["snapshot.mode": "initial_only"])
        let first = try RunningSource(config, into: log)
        try first.finish()
        #expect(first.source.status().phase == .finished)
        #expect(try log.contents().rows["public.t"]?.count == 1)
        #expect(
            try database.server.query("select count(*) from pg_replication_slots where database = '\(database.name)'")
                == "0")
        try RunningSource(config, into: log).finish()
        #expect(log.state.read { $0.resets } == 0)
    }

    @Test func loadsAtEveryStart() throws {
        let database = try StreamingDatabase()
        try database.sql("create table t (id int primary key, v text); insert into t values (1, 'a')")
        let log = MemoryLog()
        for round in 0..<2 {
            let running = try RunningSource(database.config(["snapshot.mode": "always"]), into: log)
            try running.awaitStreaming()
            try database.sql("insert into t values (\(10 + round), 'live')")
            try database.awaitEquality(["public.t"], running)
            // A lost connection is no start.
            try database.sql(
                "select pg_terminate_backend(active_pid) from pg_replication_slots where database = '\(database.name)'")
            try database.sql("insert into t values (\(20 + round), 'live')")
            try database.awaitEquality(["public.t"], running)
            try running.stop()
            #expect(log.state.read { $0.resets } == round)
        }
    }

    @Test func beginsALoadAgainThatDidNotFinish() throws {
        let database = try StreamingDatabase()
        try database.sql("create table t (id int primary key, v text); insert into t values (1, 'a')")
        let log = MemoryLog()
        let first = try RunningSource(database.config(), into: log)
        try first.awaitStreaming()
        try first.stop()
        // As if the process had died in the load.
        var state = try #require(try SourceState.decode(log.recovered.sourceState))
        #expect(state.slotIsOurs)
        state.phase = .snapshot
        let buffer = RecordBuffer()
        state.encoded().withUnsafeBytes { buffer.sourceState($0) }
        _ = try log.submit(buffer, timeout: .zero)
        try database.sql("insert into t values (2, 'b')")
        let second = try RunningSource(database.config(), into: log)
        try database.awaitEquality(["public.t"], second)
        #expect(log.state.read { $0.resets } == 1)
        try second.stop()
    }

    @Test func stopsInTheMiddleOfALoadAndBeginsItAgain() throws {
        let database = try StreamingDatabase()
        try database.sql(
            "create table t (id int primary key, v text); insert into t select i, 'x' from generate_series(1, 1000) i")
        let log = MemoryLog()
        // The state is stored, then the log takes nothing more: the load cannot end.
        log.state.update { $0.isBusyBehindState = true }
        let first = try RunningSource(database.config(), into: log)
        try eventually("the load has begun") {
            try first.check()
            return log.state.read { $0.isBusy }
        }
        try first.stop()
        log.state.update { state in
            state.isBusyBehindState = false
            state.isBusy = false
        }
        let state = try #require(try SourceState.decode(log.recovered.sourceState))
        #expect(state.phase == .snapshot)
        let second = try RunningSource(database.config(), into: log)
        try database.awaitEquality(["public.t"], second)
        #expect(log.state.read { $0.resets } == 1)
        try second.stop()
    }

    @Test func dropsTheSlotOnAnOrderlyStopAndLoadsAgain() throws {
        let database = try StreamingDatabase()
        try database.sql("create table t (id int primary key, v text); insert into t values (1, 'a')")
        let log = MemoryLog()
        let config = database.config(["slot.drop.on.stop": "true"])
        let first = try RunningSource(config, into: log)
        try first.awaitStreaming()
        try first.stop()
        #expect(try database.confirmedFlush() == nil)
        try database.sql("update t set v = 'missed'")
        let second = try RunningSource(config, into: log)
        try database.awaitEquality(["public.t"], second)
        try second.stop()
    }

    @Test func runsTheHeartbeatQuery() throws {
        let database = try StreamingDatabase()
        try database.sql("create table beat (n int primary key); insert into beat values (0)")
        let running = try RunningSource(
            database.config([
                "heartbeat.interval.ms": "20", "heartbeat.action.query": "update public.beat set n = n + 1",
            ]), into: MemoryLog())
        try eventually("the heart beats") {
            try running.check()
            let row = try running.log.contents().rows["public.beat"]?.values.first
            return (row?.first ?? nil).flatMap { Int($0) } ?? 0 >= 3
        }
        try running.stop()
    }
}
