#!/usr/bin/env python3
"""Kills the server, or makes a system call fail, at the n-th call of each kind; restarts it; compares source and targets.

    make crash                 every n of every system call, until all are done
    make crash SECONDS=90      a spread sample, for as long as that
    make crash ONLY=fsync      calls or faults whose name contains that; ONLY=fsync/EIO@3 is one run
"""

import argparse
import collections
import os
import random
import shutil
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))

from servers import Cluster, Failure, free_port  # noqa: E402
from traced import CALLS, Census, Traced  # noqa: E402
from workload import TEMPLATE, Run, Stopped  # noqa: E402

SETTINGS = {
    "fsync": "off", "full_page_writes": "off", "shared_buffers": "'64MB'", "max_wal_size": "'1GB'",
    "max_connections": "100", "max_wal_senders": "40", "max_replication_slots": "40", "logical_decoding_work_mem": "'64kB'",
    "wal_sender_timeout": "'30s'", "jit": "off", "TimeZone": "'UTC'",
}
DISK_FAULTS = {"KILL": "signal=SIGKILL", "EIO": "error=EIO", "ENOSPC": "error=ENOSPC", "EINTR": "error=EINTR",
               "delay": "delay_enter=150000"}
NETWORK_FAULTS = {"KILL": "signal=SIGKILL", "ECONNRESET": "error=ECONNRESET", "EINTR": "error=EINTR",
                  "delay": "delay_enter=150000"}
# These also load libraries, wake threads and answer HTTP: only calls on files of the server count.
ON_PATHS = {"openat", "write"}
# HTTP answers and wakes: no disk or network makes them fail in such a way.
NOT_FAILING = {"writev": ["KILL", "delay"], "sendmsg": ["KILL", "delay"]}


def faults_of(call):
    if call == "sendto":
        return NETWORK_FAULTS
    return {name: DISK_FAULTS[name] for name in NOT_FAILING.get(call, DISK_FAULTS)}


class Sweep:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.lock = threading.Lock()
        self.number = 0
        self.table = collections.defaultdict(collections.Counter)
        self.bad = []
        self.states = collections.Counter()
        first = options.port
        self.clusters = (Cluster(folder, "source", first, SETTINGS), Cluster(folder, "target", first + 1, SETTINGS))
        self.clusters[0].sql("create database seed")
        self.clusters[0].sql(TEMPLATE, "seed")

    def new_run(self):
        with self.lock:
            self.number += 1
            number = self.number
            port = free_port(self.options.port + 10 + number % 400)
        folder = os.path.join(self.folder, f"run_{number}")
        os.makedirs(folder)
        return Run(self.clusters, Traced(self.options.millrace, folder, port), number)

    # MARK: counting

    def count_calls(self):
        run = self.new_run()
        try:
            begun = time.monotonic()
            server = run.server
            if not server.start(["-e", "trace=" + ",".join(CALLS)]):
                raise Failure(f"the server does not start under strace:\n{server.last_lines()}")
            run.live()
            server.terminate()
            lived = time.monotonic() - begun
            self.census = Census(server)
            self.finish(run, may_fail=False)
            print(f"An undisturbed life: {lived:.1f} s, with comparison {time.monotonic() - begun:.1f} s. Its calls:")
            for (name, area), number in sorted(self.census.total.items()):
                print(f"    {name:10} {area:10} {number}")
        finally:
            run.close()
        shutil.rmtree(server.folder)

    def finish(self, run, may_fail):
        server = run.server
        if server.is_running:
            server.kill()
        if not server.start():
            raise Failure(f"does not start again:\n{server.last_lines()}")
        run.settle(may_fail)
        found = run.differences()
        if found:
            raise Failure("; ".join(found))
        if server.terminate() != 0:
            raise Failure(f"no orderly stop:\n{server.last_lines()}")

    # MARK: one run

    def run(self, call, fault, n):
        run = self.new_run()
        server = run.server
        keep = False
        try:
            what = faults_of(call)[fault]
            outcome = "equal"
            try:
                if server.start(self.strace(call, what, n, server)):
                    run.live()
                    server.terminate()
            except Stopped:
                server.process.wait(timeout=30)
            # strace ends as its child did.
            reached = server.hits() > 0 or (fault == "KILL" and server.process.poll() == -9)
            try:
                self.finish(run, may_fail=fault != "KILL")
            except (Failure, OSError, Stopped, TimeoutError) as failure:
                outcome = "different"
                keep = True
                with self.lock:
                    self.bad.append((call, fault, n, f"{failure}", server.folder))
                    print(f"\n!! {call}/{fault}@{n} ({server.folder}): {failure}\n", flush=True)
            named = set(run.named)
            if outcome == "equal" and named:
                outcome = "named"
            with self.lock:
                if reached:
                    self.table[call, fault]["runs"] += 1
                    self.table[call, fault][outcome] += 1
                    for name, code in named:
                        self.states[f"{code} ({name})"] += 1
                if (run.slow or named) and self.options.verbose:
                    print(f"   {'slow ' if run.slow else ''}{call}/{fault}@{n} {sorted(named)}", flush=True)
        finally:
            try:
                run.close(keep)
            finally:
                if not keep and not self.options.keep:
                    shutil.rmtree(server.folder, ignore_errors=True)

    # MARK: all runs

    def strace(self, call, what, n, server):
        options = ["-e", f"trace={call}", "-e", f"inject={call}:{what}:when={n}"]
        if call in ON_PATHS:
            for path in sorted(self.census.paths[call]):
                options += ["-P", os.path.join(server.folder, path)]
        return options

    def plan(self):
        """(call, fault, n) in random order, every pair of call and fault in turn."""
        cases = []
        for call in sorted(self.census.highest):
            highest = (self.census.highest_on_paths if call in ON_PATHS else self.census.highest)[call]
            for fault in faults_of(call):
                # The busiest thread makes a few calls more or less from life to life.
                cases += [(call, fault, n) for n in range(1, highest + 3 if highest else 1)]
        only = self.options.only
        if only and "@" in only:
            name, n = only.split("@")
            call, fault = name.split("/")
            return [(call, fault, int(n))] * self.options.repeat
        if only:
            cases = [case for case in cases if only in f"{case[0]}/{case[1]}"]
        chooser = random.Random(self.options.seed)
        groups = collections.defaultdict(list)
        for case in cases:
            groups[case[:2]].append(case)
        ordered = []
        for group in groups.values():
            chooser.shuffle(group)
        while groups:
            names = list(groups)
            chooser.shuffle(names)
            for name in names:
                ordered.append(groups[name].pop(0))
                if not groups[name]:
                    del groups[name]
        return ordered

    def sweep(self, cases):
        begun = time.monotonic()
        left = list(reversed(cases))
        done = 0

        def work():
            nonlocal done
            while True:
                with self.lock:
                    if not left or (self.options.seconds and time.monotonic() - begun > self.options.seconds):
                        return
                    call, fault, n = left.pop()
                try:
                    self.run(call, fault, n)
                except Exception:
                    with self.lock:
                        self.bad.append((call, fault, n, traceback.format_exc(), ""))
                        traceback.print_exc()
                with self.lock:
                    done += 1
                    if done % 25 == 0:
                        print(f"   {done} runs, {time.monotonic() - begun:.0f} s, {len(self.bad)} bad", flush=True)

        threads = [threading.Thread(target=work) for _ in range(self.options.jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return done, time.monotonic() - begun

    def report(self, done, seconds):
        print(f"\n{'call':12}{'fault':12}{'runs':>6}{'equal':>7}{'named':>7}{'different':>11}")
        sums = collections.Counter()
        for (call, fault), row in sorted(self.table.items()):
            print(f"{call:12}{fault:12}{row['runs']:6}{row['equal']:7}{row['named']:7}{row['different']:11}")
            sums.update(row)
        print(f"{'all':24}{sums['runs']:6}{sums['equal']:7}{sums['named']:7}{sums['different']:11}")
        print(f"{done} runs in {seconds:.0f} s, {done - sums['runs']} of them without a fault (fewer calls than n)")
        for code, number in self.states.most_common():
            print(f"    named state {code}: {number}")
        for call, fault, n, text, folder in self.bad:
            print(f"\nONLY={call}/{fault}@{n}  {folder}\n{text[:3000]}")

    def stop(self):
        for cluster in self.clusters:
            cluster.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millrace", required=True, help="the binary")
    parser.add_argument("--seconds", type=float, default=0, help="0: until all are done")
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=1, help="of ONLY=call/fault@n")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("MILLRACE_SEED") or time.time()))
    parser.add_argument("--port", type=int, default=26100)
    parser.add_argument("--keep", action="store_true", help="keep the folders of all runs, not only of the bad ones")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="millrace-crash-")
    os.chmod(folder, 0o755)
    print(f"MILLRACE_SEED={options.seed}")
    sweep = None
    try:
        sweep = Sweep(options, folder)
        sweep.count_calls()
        done, seconds = sweep.sweep(sweep.plan())
        sweep.report(done, seconds)
    except Failure as failure:
        print(f"crash: {failure}", file=sys.stderr)
        sys.exit(1)
    finally:
        if sweep:
            sweep.stop()
        if sweep and not sweep.bad and not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if sweep.bad or not done else 0)


if __name__ == "__main__":
    main()
