"""Latency of replication: pgbench writes at a steady rate, one libpq connection polls the target.

The poller knows nothing of who replicates: every 0.2 ms it asks for rows that it has not seen. A row carries the source's
clock, which is this machine's, from just before its commit; the delay ends when the poller has the row in its hands.
"""

import ctypes
import ctypes.util
import os
import subprocess
import tempfile
import time

from servers import CLIENT_ENVIRONMENT, PG_BIN, Failure, cpu_seconds

TABLES = """
    create table account (id integer primary key, balance bigint not null, note text);
    create table beat (id bigint primary key, account integer not null, at timestamptz not null, note text);
"""
ROWS = """
    insert into account select i, 0, md5(i::text) from generate_series(1, 10000) i;
    create sequence beat_id;
"""
# One client, so that rows appear in the order of their numbers.
TRANSACTION = """
\\set account random(1, 10000)
begin;
update account set balance = balance + 1 where id = :account;
insert into beat values (nextval('beat_id'), :account, clock_timestamp(), 'a row of some forty bytes, more or less');
commit;
"""
POLL = b"select id, extract(epoch from at) from beat where id > $1 order by id"
PAUSE = 0.0002


class Poller:
    """As much of libpq as it takes."""

    def __init__(self, port, database):
        self.pq = ctypes.CDLL(ctypes.util.find_library("pq") or "libpq.so.5")
        for name in ("PQconnectdb", "PQprepare", "PQexecPrepared"):
            getattr(self.pq, name).restype = ctypes.c_void_p
        self.pq.PQgetvalue.restype = ctypes.c_char_p
        text = f"host=127.0.0.1 port={port} user=postgres dbname={database} application_name=poller"
        self.connection = ctypes.c_void_p(self.pq.PQconnectdb(text.encode()))
        if self.pq.PQstatus(self.connection) != 0:
            raise Failure("the poller cannot connect")
        result = ctypes.c_void_p(self.pq.PQprepare(self.connection, b"poll", POLL, 0, None))
        if self.pq.PQresultStatus(result) != 1:
            raise Failure("the poller's statement is refused")
        self.pq.PQclear(result)

    def poll(self, behind):
        """Rows behind the number `behind`: their numbers and the source's clock."""
        values = (ctypes.c_char_p * 1)(str(behind).encode())
        result = ctypes.c_void_p(
            self.pq.PQexecPrepared(self.connection, b"poll", 1, values, None, None, 0))
        if self.pq.PQresultStatus(result) != 2:
            raise Failure("the poller's statement failed")
        rows = [
            (int(self.pq.PQgetvalue(result, row, 0)), float(self.pq.PQgetvalue(result, row, 1)))
            for row in range(self.pq.PQntuples(result))]
        self.pq.PQclear(result)
        return rows

    def cpu(self):
        """CPU seconds of the server's process for this connection."""
        return cpu_seconds(self.pq.PQbackendPID(self.connection))

    def close(self):
        self.pq.PQfinish(self.connection)


def measure(source, target, rate, seconds):
    """Sorted delays in milliseconds, one per transaction; the first second, in which all are new to each other, aside. And
    the CPU seconds that the polling took on the target."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql", dir="/tmp") as script:
        script.write(TRANSACTION)
        script.flush()
        os.chmod(script.name, 0o644)
        source.sql("select setval('beat_id', 1, false)", "latency")
        poller = Poller(target.port, "copy")
        writer = subprocess.Popen(
            [PG_BIN + "/pgbench", "-n", "-c", "1", "-R", str(rate), "-T", str(seconds + 1), "-M", "prepared",
             "-f", script.name, "-p", str(source.port), "latency"],
            env=CLIENT_ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            delays = poll_until_ended(poller, writer, source)
            cpu = poller.cpu()
        finally:
            poller.close()
            if writer.poll() is None:
                writer.kill()
            writer.wait()
    return sorted(delays), cpu


def poll_until_ended(poller, writer, source):
    delays = []
    seen = 0
    last = None
    begun = None
    deadline = None
    while last is None or seen < last:
        rows = poller.poll(seen)
        now = time.time()
        for number, at in rows:
            begun = begun or at
            if at - begun >= 1:
                delays.append((now - at) * 1000)
            seen = number
        if not rows:
            time.sleep(PAUSE)
        if last is None and writer.poll() is not None:
            if writer.returncode != 0:
                raise Failure(f"pgbench: {writer.stderr.read().decode(errors='replace')}")
            last = int(source.sql("select max(id) from beat", "latency"))
            deadline = time.monotonic() + 30
        if deadline and time.monotonic() > deadline:
            raise Failure(f"{last - seen} transactions did not arrive within 30 s")
    return delays


def quantile(delays, part):
    ordered = sorted(delays)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


def summary(delays):
    return f"median {quantile(delays, 0.5):.2f} ms, p99 {quantile(delays, 0.99):.2f} ms, {len(delays):,} transactions"
