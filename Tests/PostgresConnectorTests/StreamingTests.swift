import MillraceCore
import MillraceTesting
import Testing

@testable import PostgresConnector

@Suite struct StreamingTests {
    private static let tables = #"""
        create table public.account (id int primary key, name text, balance numeric(12,2), note text);
        create table public.pair (a int, b text, c text, primary key (b, a));
        create table public."Quoted ""T""" (id int primary key, "Välue" text);
        create table public.keyless (n int, t text);
        alter table public.keyless replica identity full;
        """#

    @Test(arguments: [false, true])
    func loadsAndStreams(overTCP: Bool) throws {
        let database = try StreamingDatabase()
        try database.sql(Self.tables)
        try database.sql("insert into account select i, 'n' || i, i, null from generate_series(1, 500) i")
        let running = try RunningSource(database.config(overTCP: overTCP), into: MemoryLog())
        try database.awaitEquality(["public.account", "public.pair"], running)
        try database.sql(
            """
            insert into account values (1001, 'ü', 1.10, repeat('x', 100000));
            update account set balance = balance + 1 where id = 1001;
            update account set id = 2000 where id = 5;
            delete from account where id = 7;
            insert into pair values (1, 'x', 'y'), (2, 'x', null);
            begin; update pair set a = 3 where a = 1; delete from pair where a = 2; commit;
            begin; insert into account values (3000); rollback;
            """)
        try database.awaitEquality(["public.account", "public.pair"], running)
        try database.sql("alter table account add column added int default 7; insert into account values (4000)")
        try database.sql(
            "truncate pair; select pg_logical_emit_message(true, 'p', 'in'), pg_logical_emit_message(false, 'p', 'out')"
        )
        var seen = ""
        try eventually("messages and truncate", state: { seen }) {
            let contents = try running.log.contents()
            seen = "\(contents.truncates) \(contents.messages) \(running.source.status())"
            return contents.truncates == 1 && Set(contents.messages) == ["p:in", "p:out"]
        }
        try running.stop()
        let status = running.source.status()
        let account = try #require(status.tables.first { $0.name == "public.account" })
        #expect(account.inserts == 2)
        #expect(account.updates == 2)
        #expect(account.deletes == 1)
        #expect(account.rowsLoaded == 500)
        // The stop left the slot where the log ends.
        let end = try #require(running.log.recovered.lastEndLSN)
        #expect(try #require(try database.confirmedFlush()) >= end)
    }

    @Test func streamsLargeTransactionsWithoutTheirRolledBackParts() throws {
        let database = try StreamingDatabase()
        try database.sql(Self.tables)
        let running = try RunningSource(database.config(), into: MemoryLog())
        try running.awaitStreaming()
        try database.sql(
            """
            begin;
            insert into account select i, repeat('a', 200), i, null from generate_series(1, 2000) i;
            savepoint a;
            insert into account select i, repeat('b', 200), i, null from generate_series(2001, 4000) i;
            savepoint b;
            update account set note = 'never' where id <= 1500;
            rollback to b;
            update account set note = 'kept' where id <= 100;
            savepoint c;
            delete from account where id between 500 and 3000;
            release c;
            rollback to a;
            insert into pair select i, 'after', repeat('c', 200) from generate_series(1, 2000) i;
            commit;
            begin;
            insert into account select i, repeat('d', 200), i, null from generate_series(10000, 14000) i;
            rollback;
            do $$ begin
              for i in 1..300 loop
                begin
                  insert into pair values (i, 'loop', repeat('e', 300));
                  if i % 3 = 0 then raise exception 'no'; end if;
                exception when others then null;
                end;
              end loop;
            end $$;
            """)
        try database.awaitEquality(["public.account", "public.pair"], running)
        #expect(running.log.state.read { $0.spools } >= 2)
        #expect(running.log.state.read { $0.largestSpool } > 0)
        try running.stop()
        #expect(running.source.status().tables.map(\.inserts).reduce(0, +) >= 4200)
    }

    @Test func interleavesStreamedTransactions() throws {
        let database = try StreamingDatabase()
        try database.sql(Self.tables)
        let running = try RunningSource(database.config(), into: MemoryLog())
        let (first, second) = (try database.connect(), try database.connect())
        try first.execute("begin", "test")
        try second.execute("begin", "test")
        for round in 0..<6 {
            let from = round * 1000
            try first.execute(
                "insert into public.account select i, repeat('f', 150), i from generate_series(\(from), \(from + 499)) i",
                "test")
            try second.execute(
                "insert into public.pair select i, 's', repeat('s', 150) from generate_series(\(from), \(from + 499)) i",
                "test")
            try database.sql("insert into keyless values (\(round), 'between')")
        }
        try second.execute("commit", "test")
        try database.sql("update pair set c = 'later' where a < 100")
        try first.execute("commit", "test")
        try database.awaitEquality(["public.account", "public.pair", "public.keyless"], running)
        try running.stop()
    }

    @Test func goesOnAfterLostConnectionsAndCrashes() throws {
        let server = try PostgresServer(settings: ["logical_decoding_work_mem": "'64kB'", "wal_sender_timeout": "5s"])
        let database = try StreamingDatabase(server)
        try database.sql(Self.tables)
        let running = try RunningSource(database.config(), into: MemoryLog())
        try database.sql("insert into account select i, 'x', i from generate_series(1, 1000) i")
        try database.awaitEquality(["public.account"], running)
        // The walsender dies in the middle of a streamed transaction.
        let open = try database.connect()
        try open.execute("begin", "test")
        try open.execute(
            "insert into public.account select i, repeat('s', 200), i from generate_series(2000, 5000) i", "test")
        try eventually("a transaction is spooled") { running.log.state.read { $0.spools } > 0 }
        try database.sql("select pg_terminate_backend(active_pid) from pg_replication_slots where active")
        try database.sql("update account set name = 'y' where id <= 10")
        try open.execute("commit", "test")
        try database.awaitEquality(["public.account"], running)
        // Fast shutdown must not wait for us, and a crash must not bring anything twice.
        try server.restart(.fast)
        try database.sql("update account set name = 'z' where id <= 20")
        try database.awaitEquality(["public.account"], running)
        server.kill9()
        try server.start()
        try database.sql("delete from account where id <= 3")
        try database.awaitEquality(["public.account"], running)
        try running.stop()
    }

    @Test func goesOnBehindWhatIsInTheLog() throws {
        let database = try StreamingDatabase()
        try database.sql(Self.tables)
        try database.sql("insert into account select i, 'x', i from generate_series(1, 100) i")
        let log = MemoryLog()
        for round in 1...3 {
            let running = try RunningSource(database.config(), into: log)
            // A load that is stopped before its end starts over.
            try running.awaitStreaming()
            try database.sql("update account set name = 'round \(round)' where id % 3 = 0")
            try database.awaitEquality(["public.account"], running)
            try running.stop()
            try database.sql("insert into account values (\(1000 + round), 'while stopped')")
        }
        #expect(log.state.read { $0.resets } == 0)
        #expect(try log.contents().loads["public.account"] == 1)
    }

    @Test func acknowledgesNothingWhileTheLogIsBusyAndKeepsTheConnection() throws {
        let server = try PostgresServer(settings: ["wal_sender_timeout": "2s"])
        let database = try StreamingDatabase(server)
        try database.sql(Self.tables)
        let running = try RunningSource(database.config(["status.update.interval.ms": "10000"]), into: MemoryLog())
        try database.sql("insert into account values (1)")
        try database.awaitEquality(["public.account"], running)
        running.log.state.update { $0.isBusy = true }
        let pid = try server.query("select active_pid from pg_replication_slots")
        try database.sql("insert into account select i, repeat('x', 3000), i from generate_series(2, 20000) i")
        let before = try #require(try database.confirmedFlush())
        // Longer than wal_sender_timeout, counted by the server's own clock.
        try server.execute("select pg_sleep(5)")
        #expect(try server.query("select active_pid from pg_replication_slots") == pid)
        #expect(try #require(try database.confirmedFlush()) <= running.log.durableLSN)
        #expect(try #require(try database.confirmedFlush()) >= before)
        running.log.state.update { $0.isBusy = false }
        try database.awaitEquality(["public.account"], running)
        try running.stop()
    }

    @Test func confirmsWALThatHoldsNothingOfOurs() throws {
        let database = try StreamingDatabase()
        try database.sql(Self.tables + "create table public.other (n int primary key, t text);")
        let log = MemoryLog()
        let running = try RunningSource(database.config(["table.exclude.list": "public.other"]), into: log)
        try database.sql("insert into account values (1)")
        try database.awaitEquality(["public.account"], running)
        try database.sql("insert into other select i, repeat('x', 500) from generate_series(1, 2000) i")
        let end = try #require(LSN(try database.server.query("select pg_current_wal_lsn()")))
        try eventually("idle WAL is confirmed") { try database.confirmedFlush().map { $0 >= end } ?? false }
        try running.stop()
        // The slot is further than the log's last transaction, and that is no gap.
        let again = try RunningSource(database.config(["table.exclude.list": "public.other"]), into: log)
        try database.sql("insert into account values (2)")
        try database.awaitEquality(["public.account"], again)
        try again.stop()
        #expect(try log.contents().rows["public.other"] == nil)
    }
}
