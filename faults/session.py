"""A psql that stays open: statements cost no new process."""

import os
import select
import subprocess
import time

from servers import CLIENT_ENVIRONMENT, Failure


class Session:
    """Runs statements one after the other; the first error ends it with a Failure."""

    DONE = b"\x01done\x01\n"

    def __init__(self, cluster, database="postgres"):
        self.process = subprocess.Popen(
            cluster.psql(database) + ["-f", "-"], env=CLIENT_ENVIRONMENT, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.output = self.process.stdout.fileno()

    def sql(self, text, timeout=60):
        """The rows as `psql -A -t` prints them."""
        try:
            self.process.stdin.write(text.encode() + b"\n;\n\\echo '\x01done\x01'\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self.ended(text)
        received = b""
        deadline = time.monotonic() + timeout
        while not received.endswith(self.DONE):
            ready, _, _ = select.select([self.output], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise Failure(f"no answer within {timeout} s: {text[:200]}")
            part = os.read(self.output, 1 << 16)
            if not part:
                raise self.ended(text)
            received += part
        return received[:-len(self.DONE)].decode().strip()

    def ended(self, text):
        self.process.wait()
        return Failure(f"SQL failed: {self.process.stderr.read().decode().strip()}\n{text[:400]}")

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.stdout.close()
        self.process.stderr.close()
        self.process.wait()
