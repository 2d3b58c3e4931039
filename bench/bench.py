#!/usr/bin/env python3
"""Compares Millrace with what PostgreSQL brings along, on this machine, in one run: `make bench`.

stream  a backlog of inserts and updates waiting in a slot, applied to a target:
        Millrace (source, change log, postgres-sink) and native logical replication (a subscription), in turn
load    the full load of one table: Millrace, and COPY TO STDOUT | COPY FROM STDIN as one pipe and as one pipe for each of
        Millrace's connections, in turn
latency transactions at a steady rate: from the commit on the source until a poller sees the row in the target; Millrace
        and native logical replication, in turn
source  draining the same backlog: Millrace into its change log (catching up, and through the walsender only), and
        pg_recvlogical into /dev/null, in turn; over TCP and over a Unix socket
growth  as source, with 1, 100 and 5,000 tables and with transactions of 1, 1,000 and all rows; and 1 and 20 sinks on one log
kafka   the same backlog as JSON events: Millrace into a mock Kafka, and Debezium's engine into a counter, in turn

Environment: ROWS (inserts of the backlog; half as many updates), TX_ROWS (inserts per transaction), LOAD_ROWS, RUNS, LOAD_RUNS,
CONNECTIONS (of the full load), RATE (transactions per second), SECONDS (of one latency run), LATENCY_RUNS,
GROWTH_ROWS, GROWTH_RUNS, ONLY (comma-separated: stream, load, latency, source, growth, kafka), BENCH_DIR (where the clusters live), BENCH_PORT (the first of three).
"""

import argparse
import contextlib
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import growth
import kafka
import latency
from servers import CLIENT_ENVIRONMENT, PG_BIN, Cluster, Failure, Millrace

TABLES = """
    create table payments (
        id bigint primary key, account integer not null, merchant integer not null, amount numeric(12, 2) not null,
        currency char(3) not null, category text not null, city text not null, at timestamptz not null, note text);
    create table marker (id integer primary key);
"""
ROW = """
    i, 1 + i % 50000, 1 + i % 800, (i % 100000) / 100.0, 'EUR', 'category ' || i % 20, 'city ' || i % 100,
    timestamptz '2026-01-01 00:00:00+00' + i * interval '1 second', md5(i::text)
"""
DIGEST = "select count(*), sum(hashtextextended(payments::text, 0)::numeric) from payments"


PARTS = {"stream", "load", "latency", "source", "growth", "kafka"}


def say(text):
    print(text, file=sys.stderr, flush=True)


def number(name, default):
    return int(os.environ.get(name) or default)


@dataclass
class Usage:
    """CPU seconds of the two servers and of what is between them; bytes of the latter's memory, where it is Millrace."""
    source: float = 0
    between: float = 0
    target: float = 0
    peak: int = 0


class Bench:
    def __init__(self, binary, folder):
        self.binary = binary
        self.folder = folder
        self.rows = number("ROWS", 1_000_000)
        self.tx_rows = number("TX_ROWS", 100)
        self.load_rows = number("LOAD_ROWS", 10_000_000)
        self.runs = number("RUNS", 5)
        self.load_runs = number("LOAD_RUNS", 3)
        self.connections = number("CONNECTIONS", 4)
        self.stack = contextlib.ExitStack()
        self.rate = number("RATE", 500)
        self.seconds = number("SECONDS", 60)
        self.latency_runs = number("LATENCY_RUNS", 1)
        self.port = number("BENCH_PORT", 57310)
        self.source = self.start(Cluster(folder, "source", self.port))
        self.target = self.start(Cluster(folder, "target", self.port + 1))

    def start(self, server):
        self.stack.callback(server.stop)
        return server

    @contextlib.contextmanager
    def measured(self):
        """CPU seconds of the servers, and of clients that have ended, within the block."""
        def seconds():
            clients = resource.getrusage(resource.RUSAGE_CHILDREN)
            return self.source.cpu(), clients.ru_utime + clients.ru_stime, self.target.cpu()

        usage = Usage()
        before = seconds()
        yield usage
        usage.source, usage.between, usage.target = (now - then for now, then in zip(seconds(), before))

    def fresh_target(self, tables=True):
        self.target.sql("drop database if exists copy with (force)")
        self.target.sql("create database copy")
        if tables:
            self.target.sql(TABLES, "copy")
        self.target.sql("checkpoint")

    def require_equal(self, database, what):
        expected = self.source.sql(DIGEST, database)
        found = self.target.sql(DIGEST, "copy")
        if expected != found:
            raise Failure(f"{what}: source {expected}, target {found}")

    # ---- the backlog ------------------------------------------------------------------------------------------------

    def make_backlog(self):
        """One backlog for all runs: each drains a copy of the slot `park`, which stays where the backlog begins."""
        source = self.source
        source.sql("create database stream")
        source.sql(TABLES, "stream")
        # The publication first: a slot made before it could not be read.
        source.sql("create publication bench for all tables", "stream")
        source.sql("select pg_create_logical_replication_slot('park', 'pgoutput')", "stream")
        begun = time.monotonic()
        before = source.sql("select pg_current_wal_insert_lsn()")
        source.sql(
            f"""
            create procedure work() language plpgsql as $$
            begin
                set local synchronous_commit = off;
                for t in 0 .. {self.rows // self.tx_rows} - 1 loop
                    insert into payments select {ROW}
                    from generate_series(t * {self.tx_rows} + 1, (t + 1) * {self.tx_rows}) i;
                    update payments set amount = amount + 1, note = 'settled'
                    where id > (t / 2) * {self.tx_rows} and id <= (t / 2) * {self.tx_rows} + {self.tx_rows // 2};
                    commit;
                end loop;
            end $$;
            call work();
            insert into marker values (1);
            """, "stream")
        self.end = source.sql("select pg_current_wal_insert_lsn()")
        size = int(source.sql(f"select pg_wal_lsn_diff('{self.end}', '{before}')::bigint"))
        source.sql("vacuum analyze payments; checkpoint", "stream")
        self.changes = self.rows + self.rows // 2
        say(f"backlog: {self.rows:,} inserts and {self.rows // 2:,} updates in transactions of "
            f"{self.tx_rows + self.tx_rows // 2} changes, {size >> 20} MB of WAL, {time.monotonic() - begun:.0f} s")

    def slot_at_the_beginning(self, name):
        self.source.sql(f"select pg_copy_logical_replication_slot('park', '{name}')", "stream")

    def drop_slot(self, name):
        self.source.wait_until(
            f"(select not active from pg_replication_slots where slot_name = '{name}')", "postgres", 30)
        self.source.sql(f"select pg_drop_replication_slot('{name}')")

    def source_config(self, database, slot, **more):
        return {
            "connector.class": "postgres", "topic.prefix": "bench", "database.hostname": "127.0.0.1",
            "database.port": str(self.source.port), "database.user": "postgres", "database.password": "-",
            "database.dbname": database, "slot.name": slot, "publication.name": "bench",
            "publication.autocreate.mode": "disabled", "status.update.interval.ms": "100", **more}

    def sink_config(self):
        return {
            "connector.class": "postgres-sink", "source": "source", "connection.username": "postgres",
            "connection.password": "-", "connection.url": f"postgresql://127.0.0.1:{self.target.port}/copy"}

    @contextlib.contextmanager
    def millrace(self):
        server = Millrace(self.binary, self.folder, self.port + 2)
        try:
            yield server
        finally:
            server.stop()

    # ---- stream ------------------------------------------------------------------------------------------------------

    def stream_millrace(self):
        self.slot_at_the_beginning("millrace")
        self.fresh_target()
        with self.millrace() as server:
            with self.measured() as usage:
                begun = time.monotonic()
                server.create("source", self.source_config("stream", "millrace", **{"snapshot.mode": "no_data"}))
                server.create("sink", self.sink_config())
                self.target.wait_until("exists (select from marker where id = 1)", "copy", 600, server.check)
                seconds = time.monotonic() - begun
            usage.between, usage.peak = server.usage()
        self.drop_slot("millrace")
        self.require_equal("stream", "stream through Millrace")
        return seconds, usage

    def stream_native(self):
        self.slot_at_the_beginning("native")
        self.fresh_target()
        self.target.sql(
            f"""create subscription native
                connection 'host=127.0.0.1 port={self.source.port} user=postgres dbname=stream'
                publication bench
                with (copy_data = false, create_slot = false, enabled = false, slot_name = 'native')""", "copy")
        with self.measured() as usage:
            begun = time.monotonic()
            self.target.sql("alter subscription native enable", "copy")
            self.target.wait_until("exists (select from marker where id = 1)", "copy", 600)
            seconds = time.monotonic() - begun
        usage.between = 0
        self.drop_subscription()
        self.require_equal("stream", "stream through native replication")
        return seconds, usage

    def drop_subscription(self):
        self.target.sql("alter subscription native disable", "copy")
        self.target.sql("alter subscription native set (slot_name = none)", "copy")
        self.target.sql("drop subscription native", "copy")
        self.drop_slot("native")

    # ---- source ------------------------------------------------------------------------------------------------------

    def source_millrace(self, host, **more):
        self.slot_at_the_beginning("millrace")
        with self.millrace() as server:
            with self.measured() as usage:
                begun = time.monotonic()
                server.create("source", self.source_config(
                    "stream", "millrace", **{"snapshot.mode": "no_data", "database.hostname": host, **more}))
                self.source.wait_until(
                    "(select confirmed_flush_lsn from pg_replication_slots where slot_name = 'millrace') >= "
                    f"'{self.end}'::pg_lsn", "postgres", 600, server.check)
                seconds = time.monotonic() - begun
            usage.between, usage.peak = server.usage()
        self.drop_slot("millrace")
        return seconds, usage

    def source_recvlogical(self, host):
        self.slot_at_the_beginning("recv")
        with self.measured() as usage:
            begun = time.monotonic()
            subprocess.run(
                [PG_BIN + "/pg_recvlogical", "-h", host, "-p", str(self.source.port), "-d", "stream", "-S", "recv",
                 "--start", "-f", "/dev/null", "--endpos", self.end, "-o", "proto_version=1",
                 "-o", "publication_names=bench"], check=True, env=CLIENT_ENVIRONMENT)
            seconds = time.monotonic() - begun
        self.drop_slot("recv")
        return seconds, usage

    def source_lines(self):
        lines = []
        for name, host in ("TCP", "127.0.0.1"), ("a Unix socket", self.source.folder):
            results = alternate(f"source over {name}", self.runs, [
                ("Millrace, into the change log", lambda: self.source_millrace(host)),
                ("Millrace, streaming only", lambda: self.source_millrace(host, **{"catchup.max.threads": "0"})),
                ("pg_recvlogical, to /dev/null", lambda: self.source_recvlogical(host))])
            lines += table_lines(
                f"Source only, over {name}: the same backlog, {self.runs} runs each", "changes", self.changes, results)
        return lines

    # ---- load --------------------------------------------------------------------------------------------------------

    def make_load(self):
        begun = time.monotonic()
        self.source.sql("create database load")
        self.source.sql(TABLES, "load")
        self.source.sql(
            f"insert into payments select {ROW} from generate_series(1, {self.load_rows}) i; "
            "create publication bench for all tables", "load")
        self.source.sql("vacuum analyze payments", "load")
        self.source.sql("checkpoint")
        say(f"table of {self.load_rows:,} rows, {self.source.sql('''select pg_size_pretty(pg_table_size('payments'))''', 'load')}, "
            f"{time.monotonic() - begun:.0f} s")

    def load_millrace(self):
        self.fresh_target(tables=False)
        self.source.sql("truncate marker", "load")
        with self.millrace() as server:
            with self.measured() as usage:
                begun = time.monotonic()
                server.create(
                    "source", self.source_config("load", "load", **{"snapshot.max.threads": str(self.connections)}))
                server.create("sink", self.sink_config())
                self.source.wait_until(
                    "exists (select from pg_replication_slots where slot_name = 'load')", "postgres", 60, server.check)
                # Streamed behind the load: when it is there, the load is.
                self.source.sql("insert into marker values (1)", "load")
                self.target.wait_until("exists (select from marker where id = 1)", "copy", 1800, server.check)
                seconds = time.monotonic() - begun
            usage.between, usage.peak = server.usage()
        self.drop_slot("load")
        self.require_equal("load", "full load through Millrace")
        return seconds, usage

    def load_copy(self, connections):
        self.fresh_target()
        pages = int(self.source.sql("select pg_relation_size('payments') / 8192", "load"))
        bounds = [pages * part // connections for part in range(connections)] + [2**32 - 1]
        with self.measured() as usage:
            begun = time.monotonic()
            pipes = []
            for low, high in zip(bounds, bounds[1:]):
                query = "copy payments to stdout" if connections == 1 else (
                    f"copy (select * from payments where ctid >= '({low},0)' and ctid < '({high},0)') to stdout")
                sender = subprocess.Popen(
                    self.source.psql("load") + ["-c", query], stdout=subprocess.PIPE, env=CLIENT_ENVIRONMENT)
                receiver = subprocess.Popen(
                    self.target.psql("copy") + ["-c", "copy payments from stdin"], stdin=sender.stdout,
                    env=CLIENT_ENVIRONMENT)
                sender.stdout.close()
                pipes += [sender, receiver]
            if any([process.wait() != 0 for process in pipes]):
                raise Failure("COPY failed")
            seconds = time.monotonic() - begun
        self.require_equal("load", "COPY")
        return seconds, usage

    # ---- latency -----------------------------------------------------------------------------------------------------

    def make_latency(self):
        self.source.sql("create database latency")
        self.source.sql(latency.TABLES + latency.ROWS + "create publication bench for all tables", "latency")

    def probe(self):
        """Writes at the steady rate and polls the target: sorted milliseconds, one for each transaction, and the CPU seconds
        of the polling on the target."""
        return latency.measure(self.source, self.target, self.rate, self.seconds)

    def latency_millrace(self):
        self.source.sql("truncate beat", "latency")
        self.fresh_target(tables=False)
        with self.millrace() as server:
            server.create("source", self.source_config("latency", "latency"))
            server.create("sink", self.sink_config())
            self.target.wait_until("(select count(*) from account) = 10000", "copy", 60, server.check)
            with self.measured() as usage:
                before = server.usage()[0]
                delays, polling = self.probe()
            usage.target -= polling
            cpu, usage.peak = server.usage()
            usage.between = cpu - before
        self.drop_slot("latency")
        return delays, usage

    def latency_native(self):
        self.source.sql("truncate beat", "latency")
        self.fresh_target(tables=False)
        self.target.sql(latency.TABLES, "copy")
        self.target.sql(
            f"""create subscription native
                connection 'host=127.0.0.1 port={self.source.port} user=postgres dbname=latency'
                publication bench with (slot_name = 'native')""", "copy")
        self.target.wait_until(
            "(select bool_and(srsubstate = 'r') from pg_subscription_rel)", "copy", 60)
        with self.measured() as usage:
            delays, polling = self.probe()
        usage.target -= polling
        usage.between = 0
        self.drop_subscription()
        return delays, usage


def median(values):
    return statistics.median(values)


def cpu_text(usage):
    return f"{usage.source:.1f} + {usage.between:.1f} + {usage.target:.1f} s CPU, {usage.peak >> 20} MB peak"


def alternate(name, runs, contenders):
    """Runs the contenders in turn, so that what the machine does besides hits them alike."""
    results = {contender: [] for contender, _ in contenders}
    for run in range(runs):
        for contender, measure in contenders if run % 2 == 0 else reversed(contenders):
            seconds, usage = measure()
            results[contender].append((seconds, usage))
            say(f"{name} {run + 1}/{runs}: {contender} {seconds:.2f} s, {cpu_text(usage)}")
    return results


def peak_text(usages):
    peak = max(usage.peak for usage in usages)
    return f"{peak >> 20} MB" if peak else ""


def cpu_columns(usages, amount):
    """CPU seconds per million for the source, what is between, and the target."""
    parts = ("source", "between", "target")
    return " | ".join(f"{median([getattr(usage, part) for usage in usages]) / amount * 1e6:.2f} s" for part in parts)


def table_lines(title, unit, amount, results):
    """The first contender is Millrace; the others are what it is compared with."""
    medians = {name: median([seconds for seconds, _ in values]) for name, values in results.items()}
    lines = [
        f"**{title}**", "",
        f"| | median | fastest to slowest | {unit}/s | CPU per million: source | between | target | peak RSS |",
        "|---|---|---|---|---|---|---|---|"]
    for name, values in results.items():
        times = [seconds for seconds, _ in values]
        usages = [usage for _, usage in values]
        lines.append(
            f"| {name} | {medians[name]:.2f} s | {min(times):.2f}–{max(times):.2f} s | {amount / medians[name]:,.0f} "
            f"| {cpu_columns(usages, amount)} | {peak_text(usages)} |")
    ours, *others = results
    lines.append("")
    for other in others:
        lines.append(
            f"Millrace needs {medians[ours] / medians[other]:.2f} of the time of {other}, "
            f"{medians[other] / medians[ours]:.2f} times its rate.")
    return lines + [""]


def measure_latency(bench):
    contenders = [("Millrace", bench.latency_millrace), ("native logical replication", bench.latency_native)]
    results = {name: ([], []) for name, _ in contenders}
    for run in range(bench.latency_runs):
        for name, measure in contenders if run % 2 == 0 else reversed(contenders):
            delays, usage = measure()
            results[name][0].extend(delays)
            results[name][1].append(usage)
            say(f"latency {run + 1}/{bench.latency_runs}: {name} {latency.summary(delays)}, {cpu_text(usage)}")
    lines = [
        f"**Latency: {bench.rate} transactions/s for {bench.seconds} s, {bench.latency_runs} runs each**", "",
        "| | median | p90 | p99 | largest | CPU per million transactions: source | between | target | peak RSS |",
        "|---|---|---|---|---|---|---|---|---|"]
    for name, (delays, usages) in results.items():
        quantiles = " | ".join(f"{latency.quantile(delays, part):.2f} ms" for part in (0.5, 0.9, 0.99, 1))
        lines.append(
            f"| {name} | {quantiles} | {cpu_columns(usages, len(delays) / len(usages))} | {peak_text(usages)} |")
    return lines + [""]


def machine(bench):
    with open("/proc/cpuinfo") as file:
        models = re.findall(r"model name\s*: (.*)", file.read())
    with open("/proc/meminfo") as file:
        memory = int(re.search(r"MemTotal:\s*(\d+)", file.read()).group(1)) >> 20
    version = bench.source.sql("show server_version").split()[0]
    return (f"{len(os.sched_getaffinity(0))} cores ({models[0] if models else platform.machine()}), {memory} GB, "
            f"Linux {platform.release().split('-')[0]}, PostgreSQL {version}, source, target and Millrace on this machine over "
            f"TCP, fsync on; {time.strftime('%Y-%m-%d')}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--millrace", required=True, help="the binary")
    binary = os.path.abspath(arguments.parse_args().millrace)
    only = set(filter(None, os.environ.get("ONLY", "").split(","))) or PARTS
    unknown = only - PARTS
    if unknown:
        raise Failure(f"ONLY: there is no {', '.join(sorted(unknown))}")
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    folder = tempfile.mkdtemp(prefix="millrace-bench-", dir=os.environ.get("BENCH_DIR") or "/tmp")
    os.chmod(folder, 0o755)
    bench = None
    try:
        bench = Bench(binary, folder)
        lines = [machine(bench), ""]
        if only & {"stream", "source", "kafka"}:
            bench.make_backlog()
        if "stream" in only:
            results = alternate("stream", bench.runs, [
                ("Millrace", bench.stream_millrace), ("native logical replication", bench.stream_native)])
            lines += table_lines(
                f"Streaming into a target: backlog of {bench.rows:,} inserts and {bench.rows // 2:,} updates, "
                f"{bench.runs} runs each", "changes", bench.changes, results)
        if "source" in only:
            lines += bench.source_lines()
        if "kafka" in only:
            results = alternate("kafka", bench.runs, kafka.contenders(bench, root, say))
            lines += table_lines(
                f"Events in Kafka: the same backlog as JSON without schemas, {bench.runs} runs each (target: the mock "
                "cluster)", "changes", bench.changes, results)
        if "load" in only:
            bench.make_load()
            results = alternate("load", bench.load_runs, [
                ("Millrace", bench.load_millrace),
                ("COPY into COPY, one pipe", lambda: bench.load_copy(1)),
                (f"COPY into COPY, {bench.connections} pipes", lambda: bench.load_copy(bench.connections))])
            lines += table_lines(
                f"Full load: {bench.load_rows:,} rows with a primary key, {bench.connections} connections, "
                f"{bench.load_runs} runs each", "rows", bench.load_rows, results)
        if "growth" in only:
            lines += growth.Growth(bench, say, table_lines, alternate).lines()
        if "latency" in only:
            bench.make_latency()
            lines += measure_latency(bench)
        text = "\n".join(lines)
        print("\n" + text)
        os.makedirs(os.path.join(root, "bench-results"), exist_ok=True)
        path = os.path.join(root, "bench-results", time.strftime("%Y%m%d-%H%M%S.md"))
        with open(path, "w") as file:
            file.write(text)
        say(f"written to {os.path.relpath(path, root)}")
    except BaseException:
        keep = os.path.join(root, "bench-results", "failed-logs")
        shutil.rmtree(keep, ignore_errors=True)
        os.makedirs(keep)
        for name in os.listdir(folder):
            if name.endswith(".log"):
                shutil.copy(os.path.join(folder, name), keep)
        say(f"logs of the servers: {os.path.relpath(keep, root)}")
        raise
    finally:
        if bench:
            bench.stack.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        say(f"bench: {failure}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
