"""Throw-away PostgreSQL clusters and a Millrace server for the benchmark."""

import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

PG_BIN = os.environ.get("MILLRACE_PG_BIN") or max(
    glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]), default="")
CLIENT_ENVIRONMENT = {
    "PATH": os.environ["PATH"], "PGOPTIONS": "-c client_min_messages=warning -c TimeZone=UTC", "LC_ALL": "C.UTF-8",
    "PGUSER": "postgres", "PGHOST": "127.0.0.1",
}


class Failure(Exception):
    """What went wrong, in words for the person who runs the benchmark."""


def as_owner(arguments):
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return arguments
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] + arguments


def free_port(first):
    port = first
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
        port += 1


def cpu_seconds(pid, ended=False):
    """CPU seconds of a process; with `ended`, those of its children that have ended too. None left of it: 0."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(") ", 1)[1].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15 if ended else 13]) / os.sysconf("SC_CLK_TCK")


class Cluster:
    """fsync and synchronous_commit are on: what is measured is what one would run."""

    SETTINGS = {
        "listen_addresses": "'127.0.0.1'", "wal_level": "logical",
        "shared_buffers": "'1GB'", "max_wal_size": "'16GB'", "checkpoint_timeout": "'30min'", "autovacuum": "off",
        # A subscription would wait up to five seconds before it starts.
        "wal_retrieve_retry_interval": "'50ms'",
        "max_worker_processes": "16", "max_wal_senders": "20", "max_replication_slots": "20",
    }

    def __init__(self, folder, name, port, settings=None):
        self.folder = os.path.join(folder, name)
        self.log = os.path.join(folder, name + ".log")
        self.port = free_port(port)
        os.makedirs(self.folder)
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        subprocess.run(
            as_owner([PG_BIN + "/initdb", "-D", self.folder, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                      "--locale=C.UTF-8"]), check=True, stdout=subprocess.DEVNULL)
        with open(os.path.join(self.folder, "postgresql.conf"), "a") as file:
            own = {"port": self.port, "unix_socket_directories": f"'{self.folder}'"}
            for key, value in {**self.SETTINGS, **(settings or {}), **own}.items():
                file.write(f"{key} = {value}\n")
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            as_owner([PG_BIN + "/postgres", "-D", self.folder]), stdin=subprocess.DEVNULL,
            stdout=open(self.log, "a"), stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 60
        while subprocess.run([PG_BIN + "/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode != 0:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise Failure(f"PostgreSQL does not start: see {self.log}")
            time.sleep(0.05)

    def psql(self, database):
        return [PG_BIN + "/psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-p", str(self.port), "-d", database]

    def sql(self, text, database="postgres"):
        done = subprocess.run(
            self.psql(database) + ["-f", "-"], input=text, text=True, capture_output=True, env=CLIENT_ENVIRONMENT)
        if done.returncode != 0:
            raise Failure(f"SQL failed: {done.stderr.strip()}\n{text[:400]}")
        return done.stdout.strip()

    def wait_until(self, condition, database, timeout, alive=lambda: None):
        """Waits inside the server, so that looking costs next to nothing. `condition`: a SQL expression; an error counts as
        false. `alive` raises when waiting has become pointless."""
        watch = subprocess.Popen(
            self.psql(database) + ["-c", f"""
                do $$
                declare reached boolean := false;
                begin
                    loop
                        begin
                            execute $q$ select {condition} $q$ into reached;
                        exception when others then
                            reached := false;
                        end;
                        exit when reached;
                        commit;
                        perform pg_sleep(0.01);
                    end loop;
                end $$"""], env=CLIENT_ENVIRONMENT, stderr=subprocess.PIPE)
        deadline = time.monotonic() + timeout
        while True:
            try:
                status = watch.wait(timeout=1)
                break
            except subprocess.TimeoutExpired:
                try:
                    alive()
                    if time.monotonic() > deadline:
                        raise Failure(f"not within {timeout} s: {condition}")
                except Failure:
                    watch.kill()
                    raise
        if status != 0:
            raise Failure(f"could not wait for {condition}: {watch.stderr.read()}")

    def children(self):
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(child) for child in file.read().split()]

    def cpu(self):
        """CPU seconds of all processes of the cluster so far, those that have ended among them."""
        return cpu_seconds(self.process.pid, ended=True) + sum(cpu_seconds(child) for child in self.children())

    def crash(self):
        """kill -9 of every process of the cluster."""
        children = self.children()
        for victim in [self.process.pid] + children:
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        # A child that is still dying holds on to the shared memory, and no other server starts on the directory until then.
        deadline = time.monotonic() + 30
        while any(os.path.exists(f"/proc/{child}") for child in children):
            if time.monotonic() > deadline:
                raise Failure("a process of PostgreSQL does not die")
            time.sleep(0.01)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()


class Millrace:
    def __init__(self, binary, folder, port):
        self.binary = binary
        self.log = os.path.join(folder, "millrace.log")
        self.data = os.path.join(folder, "millrace-data")
        self.port = free_port(port)
        shutil.rmtree(self.data, ignore_errors=True)
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [self.binary, "serve", "--data-dir", self.data, "--listen", f"127.0.0.1:{self.port}"],
            stdin=subprocess.DEVNULL, stdout=open(self.log, "a"), stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 30
        while True:
            try:
                self.request("GET", "/health")
                break
            except (OSError, Failure):
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise Failure(f"millrace does not answer: see {self.log}")
                time.sleep(0.02)

    def request(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", method=method, headers={"Content-Type": "application/json"},
            data=None if body is None else json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise Failure(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}")

    def crash(self):
        self.process.kill()
        self.process.wait()

    def create(self, name, config):
        self.request("POST", "/connectors", {"name": name, "config": config})

    def check(self):
        """Raises when the server or a task has given up."""
        if self.process.poll() is not None:
            raise Failure(f"millrace has ended: see {self.log}")
        for name in self.request("GET", "/connectors"):
            for task in self.request("GET", f"/connectors/{name}/status")["tasks"]:
                if task["state"] == "FAILED":
                    raise Failure(f"task of {name} failed: {task.get('trace')}")

    def usage(self):
        """CPU seconds so far and peak resident bytes."""
        cpu = cpu_seconds(self.process.pid)
        with open(f"/proc/{self.process.pid}/status") as file:
            peak = next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))
        return cpu, peak

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
