import Foundation
import MillraceTesting
import Testing

/// A large backlog is drained by calls instead of through the walsender; kill -9 in the middle of that, with a writer at work.
@Suite(.serialized)
struct CatchUpCrashTests {
    private static let tables = """
        create table entries (id bigint primary key, account int not null, amount int not null, note text);
        create table totals (account int primary key, balance bigint not null);
        create table stop_writer (id int primary key);
        insert into totals select i, 0 from generate_series(0, 99) i;
        create procedure backlog() language plpgsql as $$
        begin
            for t in 1 .. 1500 loop
                insert into entries select t * 100 + i, i, t, md5((t * i)::text) from generate_series(0, 99) i;
                update totals set balance = balance + t;
                if t % 10 = 0 then
                    delete from entries where id = t * 100 - 50;
                end if;
                commit;
            end loop;
        end $$;
        create procedure writer() language plpgsql as $$
        declare n bigint := 1000000;
        begin
            loop
                n := n + 1;
                insert into entries values (n, n % 100, 1, 'live');
                update totals set balance = balance + 1 where account = n % 100;
                commit;
                exit when n % 50 = 0 and exists (select from stop_writer);
                perform pg_sleep(0.001);
            end loop;
        end $$;
        """

    @Test func killedWhileABacklogIsDrainedTheTargetIsEqual() throws {
        var random = SeededRandom(seed: 3)
        let bank = try Replication(
            Self.tables,
            sourceConfig: ["catchup.threshold.bytes": "1000000", "catchup.temp.bytes": "4194304"])
        try bank.start()
        try bank.waitUntilCaughtUp()
        bank.millrace.kill9()
        try bank.execute("call backlog()")
        let writer = try bank.source.spawn("call writer()", database: bank.sourceDatabase)
        defer { writer.send(SIGTERM) }
        try bank.millrace.start()
        for round in 1...6 {
            try eventually("the backlog is drained, time \(round)", state: { bank.situation() }) {
                readText(bank.millrace.logFile).components(separatedBy: "catching up").count > round
            }
            // The moment: after so many requests.
            for _ in 0..<Int.random(in: 0...20, using: &random) { _ = try bank.millrace.status("source") }
            bank.millrace.kill9()
            // So that there is enough to drain after the next start, however far this one came.
            try bank.execute("update entries set note = note || '+' where id % 5 = \(round % 5) and id < 1000000")
            try bank.millrace.start()
        }
        try bank.execute("insert into stop_writer values (1)")
        #expect(writer.waitForExit(within: .seconds(20)) == 0)
        try bank.requireEqual("entries", "totals", within: .seconds(100))
        #expect(readText(bank.millrace.logFile).contains("caught up"))
    }
}
