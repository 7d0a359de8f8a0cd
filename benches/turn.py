"""TURN relaying, both ways, by channels over UDP: Stentor and coturn under the same load in one run.

The server's whole process has core 0, clients and peers have core 1. Paced: what a packet costs in
CPU time where 50 clients and as many peers send frames of eight packets, at the same rate to both
servers. Full: what comes through where there are always packets waiting, and what each costs then;
a server that leaves some of its core unused waits for the load.

Packets arrive one by one. Whoever sends is charged for what the receiver's kernel does, so a burst
that is sent in one piece costs what taking it apart costs.
"""

import contextlib
import json
import pathlib
import tempfile

from harness import CLIENT, CLIENT_ADDRESS, SERVER, SERVER_ADDRESS, Missing, Process, in_namespace, until
from settings import result

SERVER_CORE, CLIENT_CORE = 0, 1
PORT = 45478
SECRET = "a secret of the bench"
RELAY_PORTS = (46000, 46999)
# In one thread it has no hand-over, and is at its best on one core.
COTURN_THREADS = 0
PACED = ["--clients", 50, "--frames", 30]
FULL = ["--clients", 8, "--window", 16]


def measure(settings):
    with stentor(settings) as server:
        ours, (full_ours, cost_ours) = paced(settings, server, "stentor"), full(settings, server, "stentor")
    with coturn(settings) as server:
        theirs, (full_theirs, cost_theirs) = paced(settings, server, "coturn"), full(settings, server, "coturn")
    yield result("turn_cpu_per_packet", ours, "µs")
    yield result("turn_cpu_per_packet_coturn", theirs, "µs")
    yield result("turn_cpu_vs_coturn", ours / theirs, "ratio", 1.0)
    yield result("turn_full_packets", full_ours, "packets/s")
    yield result("turn_full_packets_coturn", full_theirs, "packets/s")
    yield result("turn_full_coturn_vs_ours", full_theirs / full_ours, "ratio", 1.0)
    yield result("turn_full_cpu_per_packet", cost_ours, "µs")
    yield result("turn_full_cpu_per_packet_coturn", cost_theirs, "µs")
    yield result("turn_full_cpu_vs_coturn", cost_ours / cost_theirs, "ratio", 1.0)


def paced(settings, server, name):
    """Microseconds of CPU time for a packet that is relayed."""
    cpu, summary = load(settings, server, PACED, f"turn-paced-{name}")
    if summary["arrived"] < summary["sent"] * 0.98 and not settings.short:
        raise Missing(f"of {summary['sent']} packets {summary['arrived']} came through {name}")
    return cpu / summary["arrived"] * 1e6


def full(settings, server, name):
    """Packets a second that come through, and microseconds of CPU time for each."""
    cpu, summary = load(settings, server, FULL, f"turn-full-{name}")
    return summary["arrived"] / summary["seconds"], cpu / summary["arrived"] * 1e6


def load(settings, server, kind, name):
    """CPU time that the server takes while the load runs, and what the load counted."""
    seconds, log = settings.span_seconds, settings.log(name)
    with open(log, "wb") as out, Process(
            [settings.example("turn_load"), "--server", f"{SERVER_ADDRESS}:{PORT}", "--address", CLIENT_ADDRESS,
             "--seconds", seconds, "--secret", SECRET, *kind],
            CLIENT, CLIENT_CORE, settings.log(f"{name}-trouble"), stdout=out) as process:
        until("media is relayed", 20, lambda: "running" in log.read_text())
        before = server.cpu_seconds()
        until("the load ends", seconds + 20, lambda: not process.running())
        cpu = server.cpu_seconds() - before
    lines = log.read_text().splitlines()
    if len(lines) != 2:
        raise Missing(f"no summary; {settings.log(f'{name}-trouble').read_text()[-300:]}")
    summary = json.loads(lines[1])
    if not summary["arrived"]:
        raise Missing("nothing came through")
    return cpu, summary


@contextlib.contextmanager
def stentor(settings):
    with tempfile.TemporaryDirectory(prefix="stentor-bench-") as folder:
        config = pathlib.Path(folder, "stentor.toml")
        config.write_text(f"""
[server]
state_directory = "{folder}"
[http]
listen = ["127.0.0.1:45080"]
[fanout]
shards = 1
[turn]
enabled = true
listen = ["{SERVER_ADDRESS}:{PORT}"]
secret = "{SECRET}"
relay_ports = "{RELAY_PORTS[0]}-{RELAY_PORTS[1]}"
allowed_peers = ["{CLIENT_ADDRESS}/32"]
max_user_allocations = 100
""")
        with Process([settings.program("stentor"), "serve", "--config", config], SERVER, SERVER_CORE,
                     settings.log("stentor-turn")) as process:
            until("Stentor is ready", 90, lambda: in_namespace(
                SERVER, "curl", "-sS", "--fail", "http://127.0.0.1:45080/readyz") is not None)
            yield process


@contextlib.contextmanager
def coturn(settings):
    with tempfile.TemporaryDirectory(prefix="stentor-coturn-") as folder:
        command = ["turnserver", "-n", "--listening-ip", SERVER_ADDRESS, "--listening-port", PORT,
                   "--relay-ip", SERVER_ADDRESS, "--min-port", RELAY_PORTS[0], "--max-port", RELAY_PORTS[1],
                   "--realm", "bench", "--use-auth-secret", "--static-auth-secret", SECRET,
                   "--no-tcp", "--no-tls", "--no-dtls", "--no-cli", "--relay-threads", COTURN_THREADS,
                   "--userdb", f"{folder}/users", "--pidfile", f"{folder}/pid", "--log-file", "stdout"]
        with Process(command, SERVER, SERVER_CORE, settings.log("coturn")) as process:
            until("coturn listens", 20, lambda: f":{PORT} " in in_namespace(SERVER, "ss", "-lunH"))
            yield process
