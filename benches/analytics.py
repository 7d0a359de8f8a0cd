"""Analytics: from a log of events on the disk into the roll-ups."""

import json
import tempfile

from harness import run
from settings import result


def measure(settings):
    """Microseconds for each event: 20 are 50,000 a second."""
    events = 40_000 if settings.short else 1_000_000
    for name, more in (("analytics_event", []), ("analytics_event_dumped", ["dump"])):
        with tempfile.TemporaryDirectory(dir=settings.out) as folder:
            found = json.loads(run(settings.example("analytics"), str(events), folder, *more))
        yield result(name, 1e6 / found["per_second"], "µs/event", 20)
