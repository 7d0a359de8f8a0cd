"""A storm of joins: how long until each viewer holds its first whole keyframe, and what those who
watch already notice of it.

Each join is real: an HTTP request, ICE, a DTLS handshake. The load generator decodes nothing: a
keyframe that is complete with its parameter sets is one that a decoder would show.
"""

import stentor
from harness import until
from media import clip
from settings import result

BYSTANDERS = 20
RATE = 100


def measure(settings):
    source = f'{{ kind = "file", path = "{clip(settings)}" }}'
    with stentor.running(settings, source, core=0) as server:
        before = bystanders(settings, server, None)
        summaries = []

        def storm():
            seconds = settings.joins / RATE + 3
            with stentor.viewers(settings, server, settings.joins, RATE, seconds, core=1) as load:
                summaries.append(stentor.summary(settings, load, seconds + 60))

        during = bystanders(settings, server, storm)
    summary = summaries[0]
    first = summary["time_to_first_complete_keyframe_ms"]
    yield result("join_first_frame_p50", first["p50"], "ms")
    yield result("join_first_frame_p95", first["p95"], "ms", 500)
    yield result("join_failures", settings.joins - summary["played"], "viewers", 0)
    yield result("join_bystander_latency_p95_before", before["p95"], "ms")
    yield result("join_bystander_latency_p95", during["p95"], "ms")


def bystanders(settings, server, meanwhile):
    """Latency of viewers who are there already. A storm begins and ends within their time."""
    seconds = 4 if settings.short else 8
    if meanwhile:
        seconds += settings.joins / RATE + 4
    with stentor.viewers(settings, server, BYSTANDERS, 50, seconds, core=1, name="bystanders") as load:
        until("the bystanders watch", 20, lambda: server.api("/channels/bench")["viewers"] == BYSTANDERS)
        if meanwhile:
            meanwhile()
        return stentor.summary(settings, load, seconds + 30, name="bystanders")["latency_ms"]
