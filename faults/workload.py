"""A small but complete life of a server, and the comparison at its end.

Full load, row changes, a large transaction that is spooled to disk, new segments and the removal of old ones, a pause, changed
configurations, a changed table, a deleted connector, an orderly stop. Two sinks read the log: PostgreSQL and files.
"""

import glob
import json
import os
import subprocess
import time

from servers import Failure
from session import Session

TEMPLATE = """
create table marker (id int primary key);
create table t (id int primary key, v text, n numeric(10, 2) not null default 1.5);
create table f (a int, b text);
alter table f replica identity full;
create table big (id int primary key, body text);
create table gone (id serial primary key, v text);
insert into t select i, 'load ' || i, i from generate_series(1, 300) i;
insert into f select i, 'load' from generate_series(1, 40) i;
insert into gone (v) select 'load' from generate_series(1, 20) i;
insert into big select i, repeat(md5(i::text), 20) from generate_series(1, 200) i;
"""
TABLES = {"marker": "id", "t": "id", "f": "a", "big": "id", "gone": "id"}

SMALL = """
begin; insert into t select i, 'new' from generate_series({0}, {0} + 20) i; update t set v = v || '+', n = n * 2 where id % 7 = 0; commit;
update f set b = b || 'x' where a % 3 = 0;
begin; delete from t where id = {0} + 3; update t set id = id + 100000 where id = {0} + 4; insert into f values ({0}, null); commit;
insert into gone (v) values ('one');
"""
# Above the 4 MiB that a spool keeps in memory, with a part that is rolled back.
LARGE = """
begin;
insert into big select 1000 + i, repeat(md5(i::text), 250) from generate_series(1, 700) i;
savepoint a; insert into t select 5000 + i, 'lost' from generate_series(1, 300) i; rollback to a;
update big set body = body || 'end' where id % 3 = 0;
commit;
"""


class Stopped(Exception):
    """The server has ended while the workload ran."""


class Run:
    """One database pair, one data directory, one life."""

    def __init__(self, clusters, server, number):
        self.source, self.target = clusters
        self.server = server
        self.number = number
        self.name = f"run_{number}"
        self.events = os.path.join(server.folder, "events")
        self.marker = 0
        self.named = []
        self.slow = False
        for cluster in clusters:
            cluster.sql(f"create database {self.name} template " + ("seed" if cluster is self.source else "template0"))
        self.from_ = Session(self.source, self.name)
        self.into = Session(self.target, self.name)
        self.configs = {
            "source": {
                "connector.class": "postgres", "topic.prefix": "shop", "database.hostname": "127.0.0.1",
                "database.port": str(self.source.port), "database.user": "postgres", "database.password": "secret",
                "database.dbname": self.name, "slot.name": self.name, "publication.name": "pub",
                "status.update.interval.ms": "100", "retriable.restart.connector.wait.ms": "100",
                "slot.retry.delay.ms": "100", "slot.max.retries": "100",
                "log.segment.bytes": "300000", "log.retention.bytes": "0",
                "skipped.operations": "none",
            },
            "sink": {
                "connector.class": "postgres-sink", "source": "source", "retriable.restart.connector.wait.ms": "100",
                "connection.url": f"postgresql://127.0.0.1:{self.target.port}/{self.name}",
                "connection.username": "postgres", "connection.password": "secret",
            },
            "files": {
                "connector.class": "file-sink", "source": "source", "path": self.events, "rotate.interval.ms": "100",
                "retriable.restart.connector.wait.ms": "100",
            },
        }

    # MARK: the life under faults

    def live(self):
        """Everything, in order. A Stopped says that the server died on the way: what was asked of it is asked again
        of the next one, what was done in the source is done once."""
        self.steps = iter([
            lambda: [self.put(name) for name in self.configs],
            self.catch_up,
            lambda: self.from_.sql(SMALL.format(1000)), self.catch_up,
            lambda: self.from_.sql(LARGE), self.catch_up,
            lambda: self.rest("PUT", "/connectors/sink/pause"),
            lambda: self.from_.sql(SMALL.format(2000)),
            lambda: self.rest("PUT", "/connectors/sink/resume"), self.catch_up,
            lambda: self.change("source", "log.segment.bytes", "200000"),
            lambda: self.change("sink", "batch.size", "100"),
            lambda: self.from_.sql("alter table t add c int default 5; truncate gone;" + SMALL.format(3000)), self.catch_up,
            self.make_and_delete, self.catch_up, self.wait_for_trimming,
        ])
        self.resume()

    def resume(self):
        for step in self.steps:
            try:
                step()
            except (OSError, Stopped):
                if self.server.is_running:
                    raise
                raise Stopped()

    def rest(self, method, path, body=None):
        """The answer does not count: an error under fault injection is asked again when all is well."""
        try:
            return self.server.request(method, path, body)
        except (OSError, Failure, ValueError):
            if not self.server.is_running:
                raise Stopped()

    def put(self, name):
        self.rest("PUT", f"/connectors/{name}/config", self.configs[name])

    def change(self, name, key, value):
        self.configs[name][key] = value
        self.put(name)

    def make_and_delete(self):
        """A connector that comes and goes, with its directory."""
        other = {**self.configs["source"], "slot.name": self.name + "_other", "publication.name": "pub",
                 "topic.prefix": "other", "table.include.list": "public.gone"}
        self.rest("PUT", "/connectors/other/config", other)
        self.rest("DELETE", "/connectors/other")

    def wait_for_trimming(self, timeout=1.5):
        """Retention looks once a second."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if not os.path.exists(os.path.join(self.server.data, "logs", "source", "0000000000000000.seg")):
                return
            if not self.server.is_running:
                raise Stopped()
            time.sleep(0.02)

    def catch_up(self, timeout=3):
        """Until a row that is written now is in the target. Under error injection a task may fail in a named state, whose
        way out is a restart."""
        self.write_marker()
        # Who was too slow once goes on without; what counts is the end.
        deadline = time.monotonic() + (0.3 if self.slow else timeout)
        restarts = 0
        while not self.has_marker():
            if not self.server.is_running:
                raise Stopped()
            if self.failed_tasks():
                restarts += 1
                if restarts > 4:
                    return
                self.restart_failed()
            if time.monotonic() > deadline:
                self.slow = True
                return
            time.sleep(0.02)

    def write_marker(self):
        self.marker += 1
        self.from_.sql(f"insert into marker values ({self.marker})")

    def has_marker(self):
        return self.into.sql(
            "select case when to_regclass('marker') is not null then "
            f"query_to_xml('select 1 from marker where id = {self.marker}', true, true, '')::text else '' end").strip() != ""

    def failed_tasks(self):
        failed = []
        status = self.rest("GET", "/connectors?expand=status") or {}
        for name, document in status.items():
            for task in document["status"]["tasks"]:
                if task["state"] == "FAILED":
                    failed.append((name, task.get("trace", "")))
        return failed

    def restart_failed(self):
        for name, trace in self.failed_tasks():
            self.named.append((name, trace.split(":")[0].strip()))
            self.rest("POST", f"/connectors/{name}/restart?includeTasks=true&onlyFailed=true")

    # MARK: afterwards

    def settle(self, may_fail, timeout=40):
        """The server runs undisturbed: all that was asked of it is asked again, and the sinks must catch up."""
        for name in self.configs:
            self.server.request("PUT", f"/connectors/{name}/config", self.configs[name])
            self.server.request("PUT", f"/connectors/{name}/resume")
        if "other" in self.server.request("GET", "/connectors"):
            self.server.request("DELETE", "/connectors/other")
        self.from_.sql(SMALL.format(4000))
        # The first may come with the full load, table by table; a second one that is written then is streamed behind it.
        self.wait_for_marker(may_fail, timeout)
        self.wait_for_marker(may_fail, timeout)

    def wait_for_marker(self, may_fail, timeout):
        self.write_marker()
        deadline = time.monotonic() + timeout
        while not (self.has_marker() and self.file_marker()):
            if not self.server.is_running:
                raise Failure(f"the server has ended\n{self.server.last_lines()}")
            failed = self.failed_tasks()
            if failed:
                if not may_fail:
                    raise Failure(f"failed after a kill: {failed}")
                self.restart_failed()
            if time.monotonic() > deadline:
                raise Failure(
                    f"stuck: {json.dumps(self.rest('GET', '/connectors?expand=status'))}\n{self.server.last_lines()}")
            time.sleep(0.02)

    def event_files(self):
        return sorted(glob.glob(os.path.join(glob.escape(self.events), "*.jsonl")))

    def file_marker(self):
        wanted = f'"after":{{"id":{self.marker}}}'
        for path in reversed(self.event_files()):
            with open(path) as file:
                if any(wanted in line and '"topic":"shop.public.marker"' in line for line in file):
                    return True
        return False

    def differences(self):
        """In words; empty where everything is as it should be."""
        found = []
        for table in TABLES:
            rows = f"select r::text from {table} r order by 1"
            left, right = self.from_.sql(rows), self.into.sql(rows)
            if left != right:
                left, right = left.split("\n"), right.split("\n")
                found.append(
                    f"{table}: {len(left)} rows became {len(right)}; missing {sorted(set(left) - set(right))[:3]}, "
                    f"too many {sorted(set(right) - set(left))[:3]}"[:600])
        found += self.file_differences()
        health = self.server.request("GET", "/health")
        if health["status"] != "healthy":
            found.append(f"health: {health}")
        logs = os.path.join(self.server.data, "logs")
        if os.listdir(logs) != ["source"]:
            found.append(f"logs: {os.listdir(logs)}")
        verify = subprocess.run(
            [self.server.binary, "log", "verify", os.path.join(logs, "source")], capture_output=True, text=True)
        if verify.returncode != 0:
            found.append(f"log verify: {verify.stdout[-600:]}{verify.stderr[-600:]}")
        return found

    def file_differences(self):
        """Files of one log in their order, replayed, give the source's rows; nothing comes twice."""
        tables = {}
        sequence = None
        last = None
        for path in self.event_files():
            parts = os.path.basename(path).split("-")
            if parts[1] != sequence:
                sequence, tables, last = parts[1], {}, None
            with open(path) as file:
                for line in file:
                    event = json.loads(line)
                    value = event["value"]
                    table = event["topic"].split(".")[-1]
                    if table not in TABLES or value is None:
                        continue
                    rows = tables.setdefault(table, {})
                    if value["op"] == "t":
                        rows.clear()
                        continue
                    if table == "f":
                        if value["before"]:
                            key = json.dumps(value["before"])
                            if rows.get(key, 0) < 1:
                                return [f"files: {key} leaves f, where it is not"]
                            rows[key] -= 1
                        if value["after"]:
                            key = json.dumps(value["after"])
                            rows[key] = rows.get(key, 0) + 1
                        continue
                    if value["op"] in "cr":
                        if value["after"]["id"] in rows:
                            return [f"files: {value['after']['id']} comes into {table} a second time"]
                    if value["op"] == "d":
                        if rows.pop(value["before"]["id"], None) is None:
                            return [f"files: {value['before']['id']} leaves {table}, where it is not"]
                    else:
                        rows[value["after"]["id"]] = value["after"]
        found = []
        for table, key in TABLES.items():
            rows = tables.get(table, {})
            if table == "f":
                have = sum(rows.values())
                want = int(self.from_.sql("select count(*) from f"))
                if have != want:
                    found.append(f"files: f has {have} rows, the source {want}")
                continue
            want = self.from_.sql(f"select id from {table} order by id").split()
            have = [str(identity) for identity in sorted(rows)]
            if want != have:
                found.append(f"files: {table} has {len(have)} rows, the source {len(want)}")
        return found

    def close(self, keep=False):
        self.server.kill()
        self.from_.close()
        self.into.close()
        if keep:
            return
        for _ in range(200):
            left = self.source.sql(
                f"select pg_terminate_backend(active_pid) from pg_replication_slots where database = '{self.name}'"
                " and active_pid is not null;"
                f"select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = '{self.name}'"
                " and active_pid is null;"
                f"select count(*) from pg_replication_slots where database = '{self.name}'").split("\n")[-1]
            if left == "0":
                break
            time.sleep(0.02)
        for cluster in (self.source, self.target):
            cluster.sql(f"drop database {self.name} with (force)")
