"""A Millrace whose system calls strace counts or makes fail."""

import collections
import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request

from servers import Failure

# What a data directory, its sinks and its connections are written through.
CALLS = [
    "openat", "write", "writev", "pwrite64", "pwritev", "fsync", "fdatasync", "ftruncate", "rename", "renameat",
    "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "sendto", "sendmsg",
]

LINE = re.compile(rb"^(\d+) +(\w+)\((.*)")
# A path as an argument, or behind a descriptor.
PATH = re.compile(r'["<](/[^">]*)[">]')


class Traced:
    """One process, with or without strace around it, on a data directory that outlives it."""

    def __init__(self, binary, folder, port):
        self.binary = binary
        self.folder = folder
        self.data = os.path.join(folder, "data")
        self.port = port
        self.log = os.path.join(folder, "millrace.log")
        self.trace = os.path.join(folder, "trace")
        self.process = None
        self.pid = None

    def start(self, strace=None, timeout=30):
        """`strace`: its options, nil for none. False when the server ended before it answered."""
        command = [
            self.binary, "serve", "--data-dir", self.data, "--listen", f"127.0.0.1:{self.port}", "--log-format", "text",
        ]
        if strace is not None:
            # With a BPF filter only the calls that count stop the server; signals are not injected then (strace 6.1).
            fast = [] if any("signal=" in option for option in strace) else ["--seccomp-bpf"]
            command = ["strace", "-f", "-qq", "-y", "-s", "0", "-o", self.trace] + fast + strace + command
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = None if strace is not None else self.process.pid
        deadline = time.monotonic() + timeout
        while True:
            if self.process.poll() is not None:
                return False
            try:
                self.request("GET", "/connectors", timeout=10)
                return True
            except (OSError, Failure):
                if time.monotonic() > deadline:
                    raise Failure(f"the server does not answer within {timeout} s\n{self.last_lines()}")
                time.sleep(0.01)

    def server_pid(self):
        if self.pid is None:
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
                children = file.read().split()
            if children:
                self.pid = int(children[0])
        return self.pid

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def send(self, number):
        try:
            pid = self.server_pid() if self.is_running else None
            if pid:
                os.kill(pid, number)
        except (ProcessLookupError, FileNotFoundError):
            pass

    def terminate(self, timeout=15):
        """An orderly stop; the exit status, nil if it had to be killed."""
        self.send(signal.SIGTERM)
        try:
            return self.process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def kill(self):
        if self.is_running:
            self.send(signal.SIGKILL)
            self.process.wait(timeout=30)

    def request(self, method, path, body=None, timeout=30):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", method=method, headers={"Content-Type": "application/json"},
            data=None if body is None else json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise Failure(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}")

    def last_lines(self, count=15):
        try:
            with open(self.log, errors="replace") as file:
                return "".join(file.readlines()[-count:])
        except FileNotFoundError:
            return ""

    # MARK: what strace wrote

    def calls(self):
        """(thread, system call, rest of its line) for each begun call, in order."""
        with open(self.trace, "rb") as file:
            for line in file:
                found = LINE.match(line)
                if found:
                    yield int(found[1]), found[2].decode(), found[3].decode(errors="replace")

    def hits(self):
        """How many calls were made to fail or wait."""
        with open(self.trace, "rb") as file:
            return sum(b"(INJECTED)" in line or b"(DELAYED)" in line for line in file)


def area(line, data):
    """Which part of the server a call belongs to."""
    if data + "/logs" in line:
        return "log"
    if data + "/catalog" in line:
        return "catalog"
    if data in line:
        return "directory"
    if os.path.dirname(data) + "/events" in line:
        return "files"
    return "socket" if "socket:" in line or "TCP" in line else "other"


class Census:
    """What an undisturbed life calls: how often in all, at the most by one thread (strace counts by thread), on which
    paths."""

    def __init__(self, server):
        self.total = collections.Counter()
        self.paths = collections.defaultdict(set)
        threads = collections.Counter()
        # The same for calls on paths only.
        path_threads = collections.Counter()
        for thread, name, line in server.calls():
            where = area(line, server.data)
            self.total[name, where] += 1
            threads[name, thread] += 1
            if where in ("socket", "other"):
                continue
            path_threads[name, thread] += 1
            for path in PATH.findall(line):
                if path.startswith(server.folder + "/"):
                    self.paths[name].add(path[len(server.folder) + 1:])
        for counts, result in ((threads, "highest"), (path_threads, "highest_on_paths")):
            most = collections.Counter()
            for (name, _), number in counts.items():
                most[name] = max(most[name], number)
            setattr(self, result, most)
