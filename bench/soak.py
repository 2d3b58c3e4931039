#!/usr/bin/env python3
"""Runs Millrace through what it must survive, on this machine: `make soak`. Ends with 1 when anything is not as it must be.

pgbench     full load and pgbench's TPC-B for a minute; Millrace killed with -9 at random moments, source and target crashed once;
            the target stands between two commits of the source at every look, and every table is equal at the end
big         one transaction of ten million rows: equal, and how much memory Millrace had at the most
tables      a thousand tables in one connector: equal, time to start, memory
connectors  twenty sources and sinks in one server: equal, time to start, memory
bank        only with MINUTES=n, and then alone: transfers whose sum must hold at every look, random kills of all three servers,
            new columns, everything compared each minute

Environment: MINUTES, SCALE, DURATION in seconds, CLIENTS (pgbench), KILLS, BIG_ROWS, TABLES, CONNECTORS, SEED, ONLY (comma-separated), BENCH_DIR.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

from bank import Bank
from servers import CLIENT_ENVIRONMENT, PG_BIN, Cluster, Failure, Millrace

MEMORY_LIMIT = 250 << 20


def say(text):
    print(text, flush=True)


def number(name, default):
    return int(os.environ.get(name) or default)


class Soak:
    def __init__(self, binary, folder):
        settings = {
            "max_replication_slots": "40", "max_wal_senders": "40", "max_connections": "200",
            "max_locks_per_transaction": "256", "autovacuum": "on"}
        self.binary = binary
        self.folder = folder
        self.servers = []
        self.source = Cluster(folder, "source", 57320, settings)
        self.servers.append(self.source)
        self.target = Cluster(folder, "target", 57321, settings)
        self.servers.append(self.target)
        self.markers = 0

    def bank(self):
        Bank(self, number("MINUTES", 2), number("CLIENTS", 4), number("SEED", 1)).run(say)

    def stop(self):
        for server in reversed(self.servers):
            server.stop()

    def start_millrace(self):
        server = Millrace(self.binary, self.folder, 57322)
        self.servers.append(server)
        return server

    def databases(self, name):
        for cluster in (self.source, self.target):
            cluster.sql(f"create database {name}")
        self.source.sql("create table marker (id integer primary key)", name)

    def replicate(self, server, database, **more):
        server.create("source-" + database, {
            "connector.class": "postgres", "topic.prefix": database, "database.hostname": "127.0.0.1",
            "database.port": str(self.source.port), "database.user": "postgres", "database.password": "-",
            "database.dbname": database, "slot.name": database, "publication.name": database,
            "retriable.restart.connector.wait.ms": "500", **more})
        server.create("sink-" + database, {
            "connector.class": "postgres-sink", "source": "source-" + database, "connection.username": "postgres",
            "connection.password": "-",
            "connection.url": f"postgresql://127.0.0.1:{self.target.port}/{database}"})

    def catch_up(self, server, database, timeout=600):
        """Waits until a row that is committed now has arrived."""
        self.markers += 1
        self.source.sql(f"insert into marker values ({self.markers})", database)
        self.target.wait_until(
            f"exists (select from marker where id = {self.markers})", database, timeout, server.check)

    def require_equal(self, database, tables):
        for table in tables:
            digest = f"select count(*), sum(hashtextextended(t::text, 0)::numeric) from {table} t"
            left, right = self.source.sql(digest, database), self.target.sql(digest, database)
            if left != right:
                raise Failure(f"{database}.{table}: source {left}, target {right}")

    # ---- pgbench -----------------------------------------------------------------------------------------------------

    def pgbench(self):
        scale, seconds, clients = number("SCALE", 20), number("DURATION", 60), number("CLIENTS", 4)
        kills = number("KILLS", 10)
        dice = random.Random(number("SEED", 1))
        self.databases("bank")
        self.pgbench_run("-i", "-q", "-s", str(scale))
        server = self.start_millrace()
        begun = time.monotonic()
        self.replicate(server, "bank", **{"snapshot.max.threads": "2"})
        self.catch_up(server, "bank")
        say(f"  full load of pgbench -s {scale}: {time.monotonic() - begun:.1f} s")
        load = self.pgbench_start("-n", "-c", str(clients), "-T", str(seconds))
        begun = time.monotonic()
        moments = sorted(
            [(dice.uniform(0.03, 0.97), "millrace") for _ in range(kills)]
            + [(dice.uniform(0.2, 0.45), "source"), (dice.uniform(0.55, 0.8), "target")])
        looks = 0
        for moment, victim in moments:
            while time.monotonic() - begun < moment * seconds:
                looks += self.look()
            say(f"  {time.monotonic() - begun:5.1f} s: kill -9 of {victim}")
            if victim == "millrace":
                server.crash()
                server.start()
            elif victim == "source":
                self.source.crash()
                self.source.start()
                # Its clients have died with it.
                load.wait()
                load = self.pgbench_start(
                    "-n", "-c", str(clients), "-T", str(max(1, int(seconds - (time.monotonic() - begun)))))
            else:
                self.target.crash()
                self.target.start()
        while load.poll() is None:
            looks += self.look()
        begun = time.monotonic()
        self.catch_up(server, "bank")
        self.require_equal("bank", [
            "pgbench_accounts", "pgbench_branches", "pgbench_tellers", "pgbench_history"])
        count = self.source.sql("select count(*) from pgbench_history", "bank")
        if looks == 0:
            raise Failure("the invariant was never looked at")
        say(f"  {int(count):,} transactions, {len(moments)} crashes; caught up {time.monotonic() - begun:.1f} s after the end; "
            f"all tables equal; on a commit boundary at each of {looks} looks")
        server.stop()

    def pgbench_arguments(self, *arguments):
        return [PG_BIN + "/pgbench", "-p", str(self.source.port), *arguments, "bank"]

    def pgbench_run(self, *arguments):
        subprocess.run(self.pgbench_arguments(*arguments), check=True, env=CLIENT_ENVIRONMENT,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def pgbench_start(self, *arguments):
        return subprocess.Popen(self.pgbench_arguments(*arguments), env=CLIENT_ENVIRONMENT,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def look(self):
        """What TPC-B adds to accounts it adds to branches, tellers and the history in the same transaction."""
        sums = self.target.sql(
            "select (select coalesce(sum(abalance), 0) from pgbench_accounts),"
            " (select coalesce(sum(bbalance), 0) from pgbench_branches),"
            " (select coalesce(sum(tbalance), 0) from pgbench_tellers),"
            " (select coalesce(sum(delta), 0) from pgbench_history)", "bank").split("|")
        if len(set(sums)) != 1:
            raise Failure(f"the target is not on a commit boundary: {sums}")
        time.sleep(0.2)
        return 1

    # ---- memory ------------------------------------------------------------------------------------------------------

    def big(self):
        rows = number("BIG_ROWS", 10_000_000)
        self.databases("big")
        self.source.sql("create table t (id bigint primary key, amount numeric, note text)", "big")
        server = self.start_millrace()
        self.replicate(server, "big")
        self.catch_up(server, "big")
        begun = time.monotonic()
        self.source.sql(f"insert into t select i, i / 100.0, md5(i::text) from generate_series(1, {rows}) i", "big")
        committed = time.monotonic()
        self.catch_up(server, "big", 3600)
        arrived = time.monotonic()
        self.require_equal("big", ["t"])
        peak = server.usage()[1]
        say(f"  {rows:,} rows in one transaction: committed after {committed - begun:.1f} s, in the target "
            f"{arrived - committed:.1f} s later; peak RSS {peak >> 20} MB; equal")
        server.stop()
        if peak > MEMORY_LIMIT:
            raise Failure(f"peak RSS {peak >> 20} MB is above {MEMORY_LIMIT >> 20} MB")

    def tables(self):
        count = number("TABLES", 1000)
        self.databases("many")
        self.source.sql(
            f"""do $$ begin for i in 1 .. {count} loop
                execute format('create table t%s (id int primary key, v text)', i);
                execute format('insert into t%s select i, md5(i::text) from generate_series(1, 10) i', i);
            end loop; end $$""", "many")
        server = self.start_millrace()
        begun = time.monotonic()
        self.replicate(server, "many")
        self.catch_up(server, "many")
        loaded = time.monotonic() - begun
        self.source.sql(
            f"""do $$ begin for i in 1 .. {count} loop
                execute format('update t%s set v = ''changed'' where id = 3', i); end loop; end $$""", "many")
        self.catch_up(server, "many")
        server.crash()
        begun = time.monotonic()
        server.start()
        self.catch_up(server, "many")
        restarted = time.monotonic() - begun
        self.require_equal("many", [f"t{i}" for i in range(1, count + 1, max(1, count // 50))])
        say(f"  {count:,} tables: loaded in {loaded:.1f} s, caught up {restarted:.1f} s after a restart; "
            f"peak RSS {server.usage()[1] >> 20} MB; equal")
        server.stop()

    def connectors(self):
        count = number("CONNECTORS", 20)
        names = [f"shop{i}" for i in range(1, count + 1)]
        for name in names:
            self.databases(name)
            self.source.sql(
                "create table t (id int primary key, v text); insert into t select i, md5(i::text) "
                "from generate_series(1, 1000) i", name)
        server = self.start_millrace()
        begun = time.monotonic()
        for name in names:
            self.replicate(server, name)
        for name in names:
            self.catch_up(server, name)
        loaded = time.monotonic() - begun
        server.crash()
        begun = time.monotonic()
        server.start()
        for name in names:
            self.source.sql("update t set v = 'changed' where id % 3 = 0", name)
            self.catch_up(server, name)
        restarted = time.monotonic() - begun
        for name in names:
            self.require_equal(name, ["t"])
        say(f"  {count} sources and {count} sinks: loaded in {loaded:.1f} s, caught up {restarted:.1f} s after a restart; "
            f"peak RSS {server.usage()[1] >> 20} MB; equal")
        server.stop()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--millrace", required=True, help="the binary")
    binary = os.path.abspath(arguments.parse_args().millrace)
    parts = ["pgbench", "big", "tables", "connectors"]
    chosen = [part for part in os.environ.get("ONLY", "").split(",") if part]
    only = chosen or (["bank"] if os.environ.get("MINUTES") else parts)
    unknown = set(only) - {*parts, "bank"}
    if unknown:
        raise Failure(f"ONLY: there is no {', '.join(sorted(unknown))}")
    folder = tempfile.mkdtemp(prefix="millrace-soak-", dir=os.environ.get("BENCH_DIR") or "/tmp")
    os.chmod(folder, 0o755)
    soak = None
    failed = []
    try:
        soak = Soak(binary, folder)
        for part in only:
            say(part)
            try:
                getattr(soak, part)()
            except Failure as failure:
                say(f"  FAILED: {failure}")
                failed.append(part)
                for server in soak.servers[2:]:
                    server.stop()
    finally:
        if soak:
            soak.stop()
        if failed:
            root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
            keep = os.path.join(root, "bench-results", "failed-logs")
            shutil.rmtree(keep, ignore_errors=True)
            os.makedirs(keep)
            for name in os.listdir(folder):
                if name.endswith(".log"):
                    shutil.copy(os.path.join(folder, name), keep)
            say(f"logs of the servers: {os.path.relpath(keep, root)}")
        shutil.rmtree(folder, ignore_errors=True)
    if failed:
        raise Failure(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        say(f"soak: {failure}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
