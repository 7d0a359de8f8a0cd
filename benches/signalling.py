"""Devices on web sockets: what ten thousand idle ones cost, and how soon a call rings on another
node while a thousand a minute are made.

One daemon's whole process is measured for the first: it has core 0, the devices have core 1. Memory
is what it has more of with them than without, divided by their number; the kernel's own per socket
is not in it. For the second two daemons share core 0, as each has little to do; Redis and the
devices have core 1. From invitation to ring is measured by the devices: what is between is the
caller's socket, its node, the directory, Redis, the callee's node and its socket.
"""

import contextlib
import json
import pathlib
import tempfile
import time

from harness import CLIENT, SERVER, SERVER_ADDRESS, Missing, Process, cpu_share, in_namespace, run, until
from settings import result

PORTS = (45090, 45091)
REDIS_PORT = 45092
SERVER_CORE, CLIENT_CORE = 0, 1


def measure(settings):
    yield from idle(settings)
    yield from calls(settings)


def idle(settings):
    # Each is asked whether it is there three times in this time: the span is two of those.
    count, silent_for = (500, 6) if settings.short else (10_000, 60)
    with keys() as folder, node(settings, folder, PORTS[0], silent_for) as process:
        empty = process.memory_bytes()
        with devices(settings, folder, "idle", "--count", count) as (load, log):
            until("all devices are signed in", 180, lambda: load.running() and "ready" in log.read_text())
            memory = (process.memory_bytes() - empty) / count / 1000
            share = cpu_share(process, silent_for * 2 / 3)
            if not load.running():
                raise Missing(f"the devices ended: {log.read_text()[-300:]}")
    yield result("idle_devices", count, "sockets")
    yield result("idle_device_memory", memory, "kB a socket", 20)
    yield result("idle_devices_cpu", share * 100, "% of a core", 5)


def calls(settings):
    seconds, talk, a_minute = (6, 2, 120) if settings.short else (60, 12, 1000)
    more = f'[directory]\nredis_url = "redis://127.0.0.1:{REDIS_PORT}"\nprefix = "bench"\n'
    with keys() as folder, redis(settings, folder), \
            node(settings, folder, PORTS[0], more=more) as first, node(settings, folder, PORTS[1], more=more) as second:
        for port in PORTS:
            until("the nodes know each other", 30, lambda: metric(port, "stentor_directory_nodes") == 2)
        with devices(settings, folder, "calls", "--other", f"{SERVER_ADDRESS}:{PORTS[1]}",
                     "--a-minute", a_minute, "--talk", talk, "--seconds", seconds) as (load, log):
            until("as many calls go on as will", 60, lambda: load.running() and "ready" in log.read_text())
            before, began = first.cpu_seconds() + second.cpu_seconds(), time.monotonic()
            time.sleep(seconds)
            share = (first.cpu_seconds() + second.cpu_seconds() - before) / (time.monotonic() - began)
            until("the calls end", seconds + 120, lambda: not load.running())
            text = log.read_text().strip().splitlines()
        if not text or not text[-1].startswith("{"):
            raise Missing(f"no summary; {settings.log('devices-calls-errors').read_text()[-300:]}")
        summary = json.loads(text[-1])
    yield result("ring_across_nodes_calls", summary["calls"], "calls")
    yield result("ring_across_nodes_failures", summary["failures"], "calls", 0)
    yield result("ring_across_nodes_p50", summary["p50"], "ms")
    yield result("ring_across_nodes_p95", summary["p95"], "ms", 30)
    yield result("ring_across_nodes_p99", summary["p99"], "ms")
    yield result("ring_across_nodes_cpu", share * 100, "% of a core")


@contextlib.contextmanager
def keys():
    with tempfile.TemporaryDirectory(prefix="stentor-bench-") as temporary:
        folder = pathlib.Path(temporary)
        run("openssl", "genpkey", "-algorithm", "ed25519", "-out", folder / "private.pem")
        run("openssl", "pkey", "-in", folder / "private.pem", "-pubout", "-out", folder / "public.pem")
        yield folder


@contextlib.contextmanager
def redis(settings, folder):
    command = ["redis-server", "--port", REDIS_PORT, "--bind", "127.0.0.1", "--save", "", "--dir", folder]
    with Process(command, SERVER, CLIENT_CORE, settings.log("redis")) as process:
        until("Redis answers", 20, lambda: in_namespace(SERVER, "redis-cli", "-p", REDIS_PORT, "ping"))
        yield process


@contextlib.contextmanager
def node(settings, folder, port, silent_for=60, more=""):
    state = folder / str(port)
    state.mkdir()
    config = folder / f"{port}.toml"
    config.write_text(f"""
[server]
state_directory = "{state}"
drain_grace = "0s"
[http]
listen = ["{SERVER_ADDRESS}:{port}"]
requests_per_second = 100000
request_burst = 100000
[access]
keys = ["{folder}/public.pem"]
[fanout]
shards = 1
bind = ["{SERVER_ADDRESS}"]
first_port = 0
[calls]
max_sockets = 20000
idle_timeout = "{silent_for}s"
{more}""")
    with Process([settings.program("stentor"), "serve", "--config", config], SERVER, SERVER_CORE,
                 settings.log(f"stentor-{port}")) as process:
        url = f"http://{SERVER_ADDRESS}:{port}/readyz"
        until("the node is ready", 60, lambda: in_namespace(SERVER, "curl", "-sSf", url) == "ready\n")
        yield process


@contextlib.contextmanager
def devices(settings, folder, what, *more):
    log = settings.log(f"devices-{what}")
    command = [settings.example("devices"), what, "--key", folder / "private.pem",
               "--node", f"{SERVER_ADDRESS}:{PORTS[0]}", *more]
    with open(log, "wb") as out, \
            Process(command, CLIENT, CLIENT_CORE, settings.log(f"devices-{what}-errors"), stdout=out) as load:
        yield load, log


def metric(port, name):
    text = in_namespace(SERVER, "curl", "-sS", f"http://{SERVER_ADDRESS}:{port}/metrics")
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.split(" ")[0].split("{")[0] == name)
