"""Analytics: events into the roll-ups, from a log on the disk and from a real Kafka.

From Kafka the whole process has a core to itself: what librdkafka's threads do is in the figure.
"""

import json
import tempfile

import kafka
from harness import run
from settings import result

PATIENCE_SECONDS = 300


def measure(settings):
    """Microseconds for each event: 20 are 50,000 a second."""
    events = 40_000 if settings.short else 1_000_000
    for name, more in (("analytics_event", []), ("analytics_event_dumped", ["dump"])):
        yield result(name, taken(settings, events, more), "µs/event", 20)
    events = 10_000 if settings.short else 1_000_000
    with kafka.broker(settings) as broker:
        yield result("analytics_event_from_kafka", taken(settings, events, ["kafka", broker]), "µs/event", 20)


def taken(settings, events, more):
    pinned = ["taskset", "-c", str(kafka.CORE)] if more[:1] == ["kafka"] else []
    with tempfile.TemporaryDirectory(dir=settings.out) as folder:
        program = settings.example("analytics")
        text = run(*pinned, program, str(events), folder, *more, timeout=PATIENCE_SECONDS)
    return 1e6 / json.loads(text)["per_second"]
