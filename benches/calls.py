"""Calls: how soon the other is seen, how soon a cut direction moves again, and what one more
receiver of a group call costs beside one more viewer of a channel.

The first two are measured in two real Chromiums with the product's own page. For the third the
same clip goes to as many receivers of one camera in a call as to viewers of a channel, on one
daemon, in turns; what a call or a channel costs at all is left out by measuring few and many. The
daemon's whole process is measured, so that the call's signalling is in it: it has core 0, its
workers and the receivers have core 1.
"""

import json
import os
import subprocess

import media
import stentor
from harness import CLIENT, SERVER, Missing, Process, cpu_share, in_namespace, run, until
from settings import ROOT, result

SERVER_CORE, CLIENT_CORE = 0, 1
READ = ["--no-gro", "--read-every", "5ms"]


def measure(settings):
    times = browsers(settings, "accept", 2 if settings.short else 20)
    yield result("call_accept_to_first_frame_p50", times[len(times) // 2], "ms")
    yield result("call_accept_to_first_frame_p95", times[int(len(times) * 0.95)], "ms", 700)
    yield from receivers(settings)
    times = browsers(settings, "cut", 1 if settings.short else 6)
    yield result("call_cut_to_moving_pictures_max", times[-1], "ms", 3000)


def browsers(settings, what, count):
    """Sorted milliseconds."""
    done = subprocess.run(
        ["node", ROOT / "benches/calls.mjs", what, str(count)], capture_output=True, text=True,
        timeout=120 + 40 * count, env={**os.environ, "STENTOR_BIN": str(settings.programs)})
    if done.returncode != 0:
        raise Missing(f"browsers: {done.stderr.strip()[-600:]}")
    return sorted(json.loads(done.stdout)["milliseconds"])


def receivers(settings):
    few, many, rounds = (3, 15, 1) if settings.short else (10, 90, 5)
    clip = media.clip(settings)
    video = settings.out / f"{clip.stem}.h264"
    if not video.exists():
        run("ffmpeg", "-y", "-v", "error", "-i", clip, "-an", "-c:v", "copy", "-bsf:v", "h264_mp4toannexb", video)
    source = f'{{ kind = "file", path = "{clip}" }}'
    shares = {what: {few: [], many: []} for what in ("viewer", "receiver")}
    packets = {"viewer": [], "receiver": []}
    with stentor.running(settings, source, SERVER_CORE) as server:
        loads = {"viewer": viewing, "receiver": calling}
        for _ in range(rounds):
            for what, load in loads.items():
                for count in (few, many):
                    share, rate = load(settings, server, count, video)
                    shares[what][count].append(share)
                packets[what].append(rate / many)
    one, other = (sum(packets[what]) / rounds for what in loads)
    if not one * 0.95 < other < one * 1.05:
        raise Missing(f"{one:.0f} packets a second went to each viewer, {other:.0f} to each receiver of a call")
    # What else the machine does only adds to it: the least of the rounds is nearest to the truth.
    viewer, receiver = (
        (min(shares[what][many]) - min(shares[what][few])) / (many - few) * 100 for what in loads)
    yield result("call_packets_per_receiver", other, "packets/s")
    yield result("call_cpu_per_viewer", viewer, "% of a core")
    yield result("call_cpu_per_receiver", receiver, "% of a core")
    yield result("call_cpu_receiver_vs_viewer", receiver / viewer, "ratio", 1.1)


def viewing(settings, server, count, _):
    seconds = count / 20 + settings.span_seconds + 15
    with stentor.viewers(settings, server, count, 20, seconds, CLIENT_CORE, READ, "calls-viewers") as load:
        measured = steady(settings, server, load, count)
        stentor.summary(settings, load, seconds + 20, "calls-viewers")
    until("nobody watches", 60, lambda: metric("stentor_fanout_viewers") == 0)
    return measured


def calling(settings, server, count, video):
    command = [settings.program("stentor"), "load", "call", stentor.URL, "--participants", count + 1,
               "--cameras", 1, "--for", "120s", "--video", video, "--key", server.folder / "private.pem", "--json", *READ]
    with Process(command, CLIENT, CLIENT_CORE, settings.log("calls-call"),
                 stdout=open(settings.log("calls-call-summary"), "wb")) as load:
        measured = steady(settings, server, load, count)
    # It was ended, and has hung up.
    until("nobody watches", 60, lambda: metric("stentor_fanout_viewers") == 0)
    return measured


def steady(settings, server, load, count):
    """The daemon's share of a core once all receive, and packets a second to all."""
    until("all watch", 60, lambda: load.running() and metric("stentor_fanout_viewers") == count)
    # A joiner is given a group of pictures at once: after that a second is like the one before.
    rates = [0]

    def is_level():
        rates.append(rate_of(server, 1)[1])
        return 0 < rates[-2] and abs(rates[-1] / rates[-2] - 1) < 0.04
    until("as much goes out each second", 40, is_level)
    measured = rate_of(server, settings.span_seconds)
    if not load.running():
        raise Missing("the load ended while it was measured")
    return measured


def rate_of(server, seconds):
    before = metric("stentor_fanout_sent_packets_total")
    share = cpu_share(server.process, seconds)
    return share, (metric("stentor_fanout_sent_packets_total") - before) / seconds


def metric(name):
    text = in_namespace(SERVER, "curl", "-sS", f"{stentor.URL}/metrics")
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.split(" ")[0].split("{")[0] == name)
