"""Part `growth` of the benchmark: does the rate stay the same with many tables, with small and with large transactions, and
with many sinks on one log?"""

import os
import subprocess
import time

from servers import CLIENT_ENVIRONMENT, PG_BIN

# Tables, rows of one transaction. The rest is the same: rows of one text and two numbers, all of them inserts.
CASES = [
    ("1 table, transactions of 1,000 rows", 1, 1_000),
    ("100 tables, transactions of 1,000 rows", 100, 1_000),
    ("5,000 tables, transactions of 1,000 rows", 5_000, 1_000),
    ("1 table, transactions of 1 row", 1, 1),
    ("1 table, one transaction", 1, None),
]
SINKS = (1, 20)


class Growth:
    def __init__(self, bench, say, table_lines, alternate):
        self.bench = bench
        self.rows = int(os.environ.get("GROWTH_ROWS") or 1_000_000)
        self.runs = int(os.environ.get("GROWTH_RUNS") or 3)
        self.say = say
        self.table_lines = table_lines
        self.alternate = alternate

    def lines(self):
        lines = []
        for number, (title, tables, size) in enumerate(CASES):
            database = f"growth_{number}"
            end = self.make(database, tables, size or self.rows)
            results = self.alternate(f"growth: {title}", self.runs, [
                ("Millrace", lambda: self.millrace(database, end)),
                ("Millrace, streaming only", lambda: self.millrace(database, end, **{"catchup.max.threads": "0"})),
                ("pg_recvlogical", lambda: self.recvlogical(database, end))])
            lines += self.table_lines(
                f"Growth: {title}, {self.rows:,} inserts, {self.runs} runs each", "changes", self.rows, results)
            if number > 0:
                self.drop(database)
        lines += self.sinks("growth_0")
        self.drop("growth_0")
        return lines

    # ---- one backlog -----------------------------------------------------------------------------------------------

    def make(self, database, tables, size):
        source = self.bench.source
        begun = time.monotonic()
        source.sql(f"create database {database}")
        # In portions: one transaction would need a lock for each table.
        for first in range(0, tables, 500):
            source.sql(
                f"""do $$ begin for t in {first} .. {min(first + 500, tables) - 1} loop
                        execute format('create table t%s (id bigint primary key, n integer not null, note text)', t);
                    end loop; end $$""", database)
        source.sql("create table marker (id integer primary key); create publication bench for all tables", database)
        source.sql(f"select pg_create_logical_replication_slot('park_{database}', 'pgoutput')", database)
        source.sql(
            f"""
            create procedure work() language plpgsql as $$
            declare target text; per_table integer := greatest({size} / least({tables}, 10), 1);
            begin
                set local synchronous_commit = off;
                for x in 0 .. {self.rows // size} - 1 loop
                    -- Up to ten tables in a transaction, others in the next.
                    for k in 0 .. least({tables}, 10, {size}) - 1 loop
                        target := 't' || ((x * 10 + k) % {tables});
                        execute format('insert into %I select i, mod(i, 1000), md5(i::text) from generate_series($1, $2) i', target)
                        using x::bigint * {size} + k * per_table, x::bigint * {size} + (k + 1) * per_table - 1;
                    end loop;
                    commit;
                end loop;
            end $$;
            call work();
            insert into marker values (1);
            """, database)
        end = source.sql("select pg_current_wal_insert_lsn()")
        source.sql("checkpoint")
        self.say(f"growth: {database} made in {time.monotonic() - begun:.0f} s")
        return end

    def drop(self, database):
        source = self.bench.source
        source.sql(f"select pg_drop_replication_slot('park_{database}')")
        source.sql(f"drop database {database} with (force)")

    def slot(self, database, name):
        self.bench.source.sql(f"select pg_copy_logical_replication_slot('park_{database}', '{name}')", database)

    # ---- contenders ------------------------------------------------------------------------------------------------

    def millrace(self, database, end, **more):
        bench = self.bench
        self.slot(database, "millrace")
        with bench.millrace() as server:
            with bench.measured() as usage:
                begun = time.monotonic()
                server.create(
                    "source", bench.source_config(database, "millrace", **{"snapshot.mode": "no_data", **more}))
                self.wait(end, server)
                seconds = time.monotonic() - begun
            usage.between, usage.peak = server.usage()
        bench.drop_slot("millrace")
        return seconds, usage

    def wait(self, end, server):
        self.bench.source.wait_until(
            "(select confirmed_flush_lsn from pg_replication_slots where slot_name = 'millrace') >= "
            f"'{end}'::pg_lsn", "postgres", 900, server.check)

    def recvlogical(self, database, end):
        self.slot(database, "recv")
        with self.bench.measured() as usage:
            begun = time.monotonic()
            subprocess.run(
                [PG_BIN + "/pg_recvlogical", "-p", str(self.bench.source.port), "-d", database, "-S", "recv", "--start",
                 "-f", "/dev/null", "--endpos", end, "-o", "proto_version=1", "-o", "publication_names=bench"],
                check=True, env=CLIENT_ENVIRONMENT)
            seconds = time.monotonic() - begun
        self.bench.drop_slot("recv")
        return seconds, usage

    # ---- many sinks on one log -------------------------------------------------------------------------------------

    def sinks(self, database):
        """Sinks that want one row of the log at its very end: what is measured is how a log is read by many."""
        lines = [
            f"**Growth: sinks on one log, which want one row behind {self.rows:,} others**", "",
            "| sinks | time until all have it | CPU of Millrace | bytes read from files | peak RSS |", "|---|---|---|---|---|"]
        bench = self.bench
        for count in SINKS:
            self.slot(database, "millrace")
            end = bench.source.sql("select pg_current_wal_insert_lsn()")
            for sink in range(count):
                bench.target.sql(f"drop database if exists sink_{sink} with (force)")
                bench.target.sql(f"create database sink_{sink}")
            with bench.millrace() as server:
                server.create("source", bench.source_config(database, "millrace", **{"snapshot.mode": "no_data"}))
                self.wait(end, server)
                cpu, _ = server.usage()
                before = read_bytes(server)
                begun = time.monotonic()
                for sink in range(count):
                    server.create(f"sink-{sink}", {
                        **{key: value for key, value in bench.sink_config().items() if key != "source"},
                        "topics": "bench.public.marker",
                        "connection.url": f"postgresql://127.0.0.1:{bench.target.port}/sink_{sink}"})
                for sink in range(count):
                    bench.target.wait_until(
                        "exists (select from marker where id = 1)", f"sink_{sink}", 600, server.check)
                seconds = time.monotonic() - begun
                after, peak = server.usage()
                read = read_bytes(server) - before
            lines.append(
                f"| {count} | {seconds:.2f} s | {after - cpu:.1f} s | {read >> 20} MB | {peak >> 20} MB |")
            self.say(lines[-1])
            bench.drop_slot("millrace")
        return lines + [""]


def read_bytes(server):
    """Bytes that the process has asked files and sockets for."""
    with open(f"/proc/{server.process.pid}/io") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("rchar:"))
