"""Network namespaces, processes and CPU time for the benches.

Everything that is started here is ended here: processes in their own sessions, namespaces by
name. Traffic stays on a veth pair between two namespaces of our own.
"""

import json
import os
import signal
import subprocess
import time
import urllib.request

SERVER = "stentor-bench-s"
CLIENT = "stentor-bench-c"
SERVER_ADDRESS = "10.199.0.1"
CLIENT_ADDRESS = "10.199.0.2"
TICKS = os.sysconf("SC_CLK_TCK")


class Missing(Exception):
    """Something the bench needs is not there; says what."""


class Namespaces:
    """Two hosts on one machine, joined by a veth pair."""

    def __enter__(self):
        self.remove()
        for name in (SERVER, CLIENT):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "link", "add", "sbs0", "netns", SERVER, "type", "veth",
            "peer", "name", "sbc0", "netns", CLIENT)
        for name, link, address in ((SERVER, "sbs0", SERVER_ADDRESS), (CLIENT, "sbc0", CLIENT_ADDRESS)):
            run("ip", "-n", name, "address", "add", f"{address}/24", "dev", link)
            run("ip", "-n", name, "link", "set", link, "up")
        return self

    def __exit__(self, *_):
        self.remove()

    @staticmethod
    def remove():
        known = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
        for name in (SERVER, CLIENT):
            if name in known:
                run("ip", "netns", "del", name)


class Process:
    """A process in a namespace and on one core, ended with everything it started."""

    def __init__(self, arguments, namespace, core, log, environment=None, stdout=None):
        self.log = open(log, "wb")
        command = ["ip", "netns", "exec", namespace, "taskset", "-c", str(core), *map(str, arguments)]
        self.child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stdout or self.log, stderr=self.log,
            env={**os.environ, **(environment or {})}, start_new_session=True)

    @property
    def pid(self):
        # `ip netns exec` and `taskset` exec what follows, so that the child is the program.
        return self.child.pid

    def cpu_seconds(self):
        fields = open(f"/proc/{self.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def thread_seconds(self):
        """Of each thread that there is, to the nanosecond: ticks are a percent of what is measured."""
        seconds = {}
        for task in os.scandir(f"/proc/{self.pid}/task"):
            try:
                seconds[task.name] = int(open(f"{task.path}/schedstat").read().split()[0]) / 1e9
            except (FileNotFoundError, ProcessLookupError):
                pass
        return seconds

    def memory_bytes(self):
        """Memory in use that is no file's: the program's pages are shared with the load generator."""
        for line in open(f"/proc/{self.pid}/smaps_rollup"):
            if line.startswith("Anonymous:"):
                return int(line.split()[1]) * 1024
        raise Missing("no Anonymous in smaps_rollup")

    def running(self):
        return self.child.poll() is None

    def end(self):
        if self.running():
            os.killpg(self.child.pid, signal.SIGTERM)
            try:
                self.child.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait(10)
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def run(*arguments, **options):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise Missing(f"{' '.join(map(str, arguments[:4]))} …: {done.stderr.strip()[-400:]}")
    return done.stdout


def until(what, seconds, condition):
    """Waits for a condition, never for a time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            value = condition()
        except (OSError, ValueError, KeyError, Missing):
            value = None
        if value:
            return value
        time.sleep(0.05)
    raise Missing(f"waited {seconds} s for {what}")


def in_namespace(namespace, *arguments, timeout=30):
    return run("ip", "netns", "exec", namespace, *arguments, timeout=timeout)


def get_json(url, namespace, body=None, headers=()):
    """HTTP inside a namespace, by curl, since a Python thread can't change its own."""
    command = ["curl", "-sS", "--max-time", "5"]
    for header in headers:
        command += ["-H", header]
    if body is not None:
        command += ["-H", "content-type: application/json", "--data-binary", json.dumps(body)]
    return json.loads(in_namespace(namespace, *command, url))


def cpu_share(process, seconds):
    """Share of one core that a whole process uses over a span of steady state."""
    before, start = process.thread_seconds(), time.monotonic()
    time.sleep(seconds)
    used = sum(after - before.get(thread, 0) for thread, after in process.thread_seconds().items())
    return used / (time.monotonic() - start)
