"""CPU and memory per viewer: Stentor, Janus and the floor, the same packets in one run.

The server's whole process has core 0; feeder, worker and viewers have core 1. A veth pair charges
the sender for the receiver's part in the kernel, so all three are received alike: datagram by
datagram, as browsers do, by a reader that looks every 5 ms and needn't be woken.
"""

import re
import time

import janus
import media
import stentor
from harness import CLIENT, CLIENT_ADDRESS, SERVER, Missing, Process, cpu_share, until
from settings import result

SERVER_CORE, CLIENT_CORE = 0, 1
JOINS_PER_SECOND = 20


def measure(settings):
    ours, memory, rate = measure_stentor(settings)
    theirs = measure_janus(settings)
    floor, floor_rate = measure_floor(settings)
    if not floor_rate * 0.95 < rate < floor_rate * 1.05:
        raise Missing(f"{rate:.0f} packets a second went to each viewer, {floor_rate:.0f} to each of the floor's")
    yield result("fanout_packets_per_viewer", rate, "packets/s")
    yield result("fanout_cpu_per_viewer", ours, "% of a core", 0.12)
    yield result("fanout_cpu_per_viewer_janus", theirs, "% of a core")
    yield result("fanout_cpu_per_viewer_floor", floor, "% of a core")
    yield result("fanout_cpu_vs_janus", ours / theirs, "ratio", 0.38)
    yield result("fanout_cpu_vs_floor", ours / floor, "ratio", 1.8)
    yield result("fanout_memory_per_viewer", memory, "MB", 0.15)


def measure_stentor(settings):
    source = f'{{ kind = "file", path = "{media.clip(settings)}" }}'
    with stentor.running(settings, source, SERVER_CORE) as server:
        seconds = settings.viewers / JOINS_PER_SECOND + settings.span_seconds + 20
        # One viewer first, so that what a channel needs once is not counted per viewer.
        with stentor.viewers(settings, server, 1, 20, 2, CLIENT_CORE) as one:
            stentor.summary(settings, one, 40)
        until("no viewer is left", 60, lambda: server.api("/channels/bench")["viewers"] == 0)
        empty = server.process.memory_bytes()
        with stentor.viewers(settings, server, settings.viewers, JOINS_PER_SECOND, seconds, CLIENT_CORE, ["--no-gro", "--read-every", "5ms"]):
            until("all watch", 60, lambda: server.api("/channels/bench")["viewers"] == settings.viewers)
            until("all have pictures", 30, lambda: all(
                v["packets"] > 500 for v in server.api("/channels/bench/viewers")["viewers"]))
            packets, began = sent_packets(server), time.monotonic()
            share = cpu_share(server.process, settings.span_seconds)
            rate = (sent_packets(server) - packets) / (time.monotonic() - began) / settings.viewers
            memory = (server.process.memory_bytes() - empty) / settings.viewers / 1e6
    return share / settings.viewers * 100, memory, rate


def sent_packets(server):
    return sum(viewer["packets"] for viewer in server.api("/channels/bench/viewers")["viewers"])


def measure_janus(settings):
    with media.feeder(settings, CLIENT_CORE), janus.running(settings, SERVER_CORE) as process:
        seconds = settings.viewers / JOINS_PER_SECOND + settings.span_seconds + 30
        with Process([settings.example("janus_viewers"), "--url", process.url, "--viewers", settings.viewers,
                      "--rate", JOINS_PER_SECOND, "--seconds", seconds], CLIENT, CLIENT_CORE, settings.log("janus-viewers")) as load:
            log = settings.log("janus-viewers")
            until("all watch Janus", 90, lambda: load.running() and f"receiving {settings.viewers}" in log.read_text())
            share = cpu_share(process, settings.span_seconds)
    return share / settings.viewers * 100


def measure_floor(settings):
    seconds = settings.span_seconds + 3
    common = ["--address", CLIENT_ADDRESS, "--base-port", 46000, "--count", settings.viewers, "--seconds", seconds]
    with media.feeder(settings, CLIENT_CORE):
        with Process([settings.example("floor"), "receive", *common], CLIENT, CLIENT_CORE, settings.log("floor-receive")) as receiver, \
             Process([settings.example("floor"), "send", *common, "--video-port", media.VIDEO_PORT,
                      "--audio-port", media.AUDIO_PORT], SERVER, SERVER_CORE, settings.log("floor-send")) as process:
            until("the floor works", 10, lambda: process.cpu_seconds() > 0.02)
            share = cpu_share(process, settings.span_seconds)
            until("the floor ends", 30, lambda: not process.running() and not receiver.running())
    counts = [int(re.search(r"(\d+)\s*$", settings.log(f"floor-{side}").read_text())[1]) for side in ("send", "receive")]
    if counts[1] < counts[0] * 0.95:
        raise Missing(f"the floor's receivers got {counts[1]} of {counts[0]} packets")
    return share / settings.viewers * 100, counts[0] / settings.viewers / seconds
