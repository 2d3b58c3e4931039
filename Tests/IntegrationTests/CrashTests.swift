import Foundation
import MillraceTesting
import Testing

/// Promises 1, 2 and 4: kill -9 at any moment loses nothing, repeats nothing, and never shows half a transaction.
@Suite(.serialized)
struct CrashTests {
    /// Money moves between two tables; a third has a row for each transfer, with its number.
    private static let bank = """
        create table checking (id int primary key, balance bigint not null);
        create table savings (id int primary key, balance bigint not null);
        create table transfers (id bigint primary key, account int, amount int, at timestamptz default now());
        create table stop_writer (id int primary key);
        insert into checking select i, 1000 from generate_series(1, 500) i;
        insert into savings select i, 1000 from generate_series(1, 500) i;
        insert into transfers select -i, i % 500, 0 from generate_series(1, 50000) i;
        create procedure move_money() language plpgsql as $$
        declare
            n bigint := 0;
            amount int;
            account int;
        begin
            perform setseed(0.42);
            loop
                n := n + 1;
                amount := (random() * 100)::int;
                account := 1 + (random() * 499)::int;
                update checking set balance = balance - amount where id = account;
                insert into transfers values (n, account, amount);
                if n % 10 = 0 then
                    delete from transfers where id = n - 5;
                end if;
                update savings set balance = balance + amount where id = account;
                commit;
                exit when n % 50 = 0 and exists (select from stop_writer);
                perform pg_sleep(0.001);
            end loop;
        end $$;
        """

    @Test(arguments: [UInt64(1), 2])
    func killedAtRandomMomentsDuringLoadAndStreamTheTargetIsEqual(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let bank = try Replication(CrashTests.bank)
        let writer = try bank.source.spawn("call move_money()", database: bank.sourceDatabase)
        defer { writer.send(SIGTERM) }
        try bank.start()
        for _ in 0..<5 {
            // The moment: after so many looks at the target, each of which checks the invariant.
            for _ in 0..<Int.random(in: 0...40, using: &random) { try checkInvariant(bank) }
            try bank.millrace.crashAndRestart()
        }
        for _ in 0..<10 { try checkInvariant(bank) }
        try bank.execute("insert into stop_writer values (1)")
        #expect(writer.waitForExit(within: .seconds(20)) == 0)
        try bank.requireEqual("checking", "savings", "transfers", within: .seconds(50))
        try checkInvariant(bank)
    }

    /// Before the full load has ended the tables are incomplete, or not there: nothing to be checked yet.
    private func checkInvariant(_ bank: Replication) throws {
        guard (try? bank.targetValue("select count(*) from checking")) == "500",
            (try? bank.targetValue("select count(*) from savings")) == "500",
            (try? bank.targetValue("select 1 from transfers where id > 0 limit 1")) == "1"
        else { return }
        let sum = try bank.targetValue(
            "select (select sum(balance) from checking) + (select sum(balance) from savings)")
        #expect(sum == "1000000", "the target does not stand between two commits of the source")
    }

    @Test
    func sigtermDrainsAndExitsWithinTenSeconds() throws {
        let shop = try Replication("create table t (id int primary key); insert into t select generate_series(1, 1000)")
        try shop.start()
        try shop.waitUntilCaughtUp()
        #expect(shop.millrace.terminate(within: .seconds(10)) == 0)
        try shop.execute("insert into t select generate_series(1001, 2000)")
        try shop.millrace.start()
        try shop.requireEqual("t")
    }

    @Test
    func secondServerOnTheSameDataFolderRefuses() throws {
        let first = try MillraceProcess()
        let output = first.folder.path + "/second.log"
        let second = try first.spawnSecond(errorOutput: output)
        let status = second.waitForExit(within: .seconds(15))
        #expect(status != nil && status != 0)
        #expect(readText(output).contains("data_directory_in_use"), "\(readText(output))")
        #expect(try first.request("GET", "/health").status == 200)
    }
}
