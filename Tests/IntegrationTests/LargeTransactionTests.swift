import MillraceTesting
import Testing

/// Transactions that the source sends before they are committed.
@Suite(.serialized)
struct LargeTransactionTests {
    private static let tables = """
        create table t (id int primary key, v text);
        create table u (id int primary key, v text);
        insert into t select i, 'load' from generate_series(1, 1000) i;
        """

    private func start() throws -> Replication {
        let shop = try Replication(LargeTransactionTests.tables)
        try shop.source.execute("alter database \"\(shop.sourceDatabase)\" set logical_decoding_work_mem = '64kB'")
        try shop.start()
        try shop.waitUntilCaughtUp()
        return shop
    }

    @Test
    func streamedTransactionWithRolledBackSubtransactionsArrivesEqual() throws {
        let shop = try start()
        try shop.execute(
            """
            begin;
            insert into t select i, 'kept' from generate_series(2000, 8000) i;
            savepoint a;
            insert into t select i, 'lost' from generate_series(10000, 16000) i;
            update t set v = 'lost' where id < 500;
            savepoint b;
            insert into u select i, 'lost' from generate_series(1, 6000) i;
            rollback to a;
            insert into u select i, 'kept' from generate_series(3000, 9000) i;
            savepoint c;
            delete from t where id between 2000 and 3000;
            release c;
            savepoint d;
            truncate u;
            rollback to d;
            update u set v = 'twice' where id % 2 = 0;
            commit;
            begin; insert into t select i, 'gone' from generate_series(20000, 30000) i; rollback;
            """)
        try shop.requireEqual("t", "u")
    }

    @Test
    func interleavedStreamedTransactionsArriveInCommitOrder() throws {
        let shop = try start()
        let writers = try (1...3).map { number in
            try shop.source.spawn(
                """
                begin; insert into t select \(number) * 100000 + i, 'w\(number)' from generate_series(1, 15000) i;
                update t set v = v || \(number) where id = \(number); commit;
                begin; update t set v = 'x\(number)' where id > \(number) * 100000 and id < \(number) * 100000 + 8000; commit;
                """, database: shop.sourceDatabase)
        }
        for writer in writers { #expect(writer.waitForExit(within: .seconds(30)) == 0) }
        try shop.requireEqual("t")
    }

    @Test
    func killInTheMiddleOfAStreamedTransactionLosesNothing() throws {
        let shop = try start()
        let writer = try shop.source.spawn(
            """
            begin; insert into t select 100000 + i, repeat('x', 100) from generate_series(1, 60000) i;
            insert into u select i, 'u' from generate_series(1, 20000) i; commit;
            """, database: shop.sourceDatabase)
        try eventually("the transaction is being streamed") {
            try shop.sourceValue(
                "select coalesce(sum(stream_count), 0) > 3 from pg_stat_replication_slots where slot_name = '\(shop.slot)'"
            )
                == "t"
        }
        try shop.millrace.crashAndRestart()
        #expect(writer.waitForExit(within: .seconds(30)) == 0)
        try shop.millrace.crashAndRestart()
        try shop.requireEqual("t", "u")
    }

    @Test
    func memoryStaysBoundedWhileAMillionRowsCommitAtOnce() throws {
        let shop = try start()
        try shop.execute("insert into t select 100000 + i, 'million' from generate_series(1, 1000000) i")
        try shop.requireEqual("t", within: .seconds(100))
        let peak = shop.millrace.residentBytes().peak
        #expect(peak < 250 << 20, "peak RSS \(peak >> 20) MB")
    }
}
