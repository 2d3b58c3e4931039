import MillraceCore
import MillraceTesting
import Testing

@testable import PostgresConnector

@Suite struct StreamingFailureTests {
    private func streamed(_ database: StreamingDatabase, _ log: MemoryLog) throws {
        try database.sql("create table t (id int primary key, v text); insert into t values (1, 'a'), (2, 'b')")
        let running = try RunningSource(database.config(), into: log)
        try running.awaitStreaming()
        try database.sql("insert into t values (3, 'c')")
        try database.awaitEquality(["public.t"], running)
        try running.stop()
    }

    private func slot(_ database: StreamingDatabase) -> String { "slot_\(database.name)" }

    @Test func stopsWhenTheSlotIsGone() throws {
        let database = try StreamingDatabase()
        let log = MemoryLog()
        try streamed(database, log)
        try database.sql("select pg_drop_replication_slot('\(slot(database))'); insert into t values (4, 'lost')")
        let error = try RunningSource(database.config(), into: log).failure()
        #expect(error.code == "slot_missing")
        #expect(error.kind == .consistency)
        #expect(log.state.read { $0.resets } == 0)
        // Only who asked for it gets a new load.
        let again = try RunningSource(database.config(["snapshot.mode": "when_needed"]), into: log)
        try database.awaitEquality(["public.t"], again)
        #expect(log.state.read { $0.resets } == 1)
        try again.stop()
    }

    @Test func stopsWhenTheSlotGoesWhileItStreams() throws {
        let database = try StreamingDatabase()
        try database.sql("create table t (id int primary key)")
        let running = try RunningSource(database.config(), into: MemoryLog())
        try running.awaitStreaming()
        // The slot is free for a moment when its walsender is ended.
        try eventually("the slot is dropped") {
            try database.sql(
                "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = '\(slot(database))'"
            )
            return
                (try? database.sql("select pg_drop_replication_slot('\(slot(database))')")) != nil
        }
        #expect(try running.failure().code == "slot_missing")
    }

    @Test func stopsWhenSomebodyElseAdvancedTheSlot() throws {
        let database = try StreamingDatabase()
        let log = MemoryLog()
        try streamed(database, log)
        try database.sql(
            "set synchronous_commit = on; insert into t values (4, 'd'); select pg_replication_slot_advance('\(slot(database))', pg_current_wal_lsn())"
        )
        let error = try RunningSource(database.config(), into: log).failure()
        #expect(error.code == "slot_ahead")
        let confirmed = try #require(try database.confirmedFlush())
        #expect(error.message.contains("it stands at \(confirmed)"))
    }

    @Test func stopsWhenTheServerRemovedTheWAL() throws {
        let server = try PostgresServer(settings: [
            "max_slot_wal_keep_size": "'1MB'", "min_wal_size": "'32MB'", "max_wal_size": "'32MB'",
        ])
        let database = try StreamingDatabase(server)
        let log = MemoryLog()
        try streamed(database, log)
        try database.sql(
            """
            create table filler (t text);
            insert into filler select repeat('x', 1000) from generate_series(1, 80000);
            checkpoint;
            """)
        #expect(try server.query("select wal_status from pg_replication_slots") == "lost")
        let error = try RunningSource(database.config(), into: log).failure()
        #expect(error.code == "slot_lost")
        #expect(error.hint?.contains("pg_drop_replication_slot") == true)
        let again = try RunningSource(
            database.config(["snapshot.mode": "when_needed", "table.include.list": "public.t"]), into: log)
        try database.awaitEquality(["public.t"], again)
        try again.stop()
    }

    @Test func stopsWhenThePublicationWasMadeTooLate() throws {
        let database = try StreamingDatabase()
        let log = MemoryLog()
        try streamed(database, log)
        let publication = database.config()["publication.name"] ?? ""
        try database.sql(
            """
            drop publication "\(publication)"; insert into t values (10, 'between');
            create publication "\(publication)" for all tables; insert into t values (11, 'after');
            """)
        let error = try RunningSource(database.config(), into: log).failure()
        #expect(error.code == "publication_gap")
        #expect(error.hint?.contains("pg_replication_slot_advance") == true)
        // It says where.
        #expect(error.message.contains("associated LSN"))
    }

    @Test func refusesASlotThatIsNotForUs() throws {
        let database = try StreamingDatabase()
        try database.sql(
            "create table t (id int primary key); select pg_create_logical_replication_slot('\(slot(database))', 'test_decoding')"
        )
        #expect(try RunningSource(database.config(), into: MemoryLog()).failure().code == "slot_wrong_plugin")
        let other = try StreamingDatabase()
        try other.sql("create table t (id int primary key)")
        #expect(
            try RunningSource(other.config(["slot.name": slot(database)]), into: MemoryLog()).failure().kind
                == .configuration)
    }

    @Test func refusesAnotherCluster() throws {
        let database = try StreamingDatabase()
        let log = MemoryLog()
        try streamed(database, log)
        let other = try PostgresServer()
        try other.execute("create database \"\(database.name)\"")
        let error = try RunningSource(
            database.config(["database.hostname": other.socketFolder, "database.port": "\(other.port)"]), into: log
        ).failure()
        #expect(error.code == "system_changed")
    }

    @Test func waitsForASlotThatIsInUse() throws {
        let database = try StreamingDatabase()
        try database.sql("create table t (id int primary key)")
        let first = try RunningSource(database.config(), into: MemoryLog())
        try first.awaitStreaming()
        let second = try RunningSource(
            database.config(["snapshot.mode": "no_data", "slot.max.retries": "2", "slot.retry.delay.ms": "50"]),
            into: MemoryLog())
        let error = try second.failure()
        #expect(error.code == "slot_active")
        #expect(error.kind == .transient)
        try first.stop()
    }

    @Test func waitsForAServerThatIsNotThere() throws {
        let server = try PostgresServer()
        let database = try StreamingDatabase(server)
        try database.sql("create table t (id int primary key); insert into t values (1)")
        server.stop(.fast)
        let running = try RunningSource(database.config(), into: MemoryLog())
        try eventually("it says why it waits") {
            try running.check()
            let status = running.source.status()
            return status.phase == .reconnecting && status.lastError?.code == "unreachable"
        }
        try server.start()
        try database.awaitEquality(["public.t"], running)
        try running.stop()
    }
}
