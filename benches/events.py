"""Events from the call that hands them in, through the log on disk, to a real Kafka on this machine.

The process has core 0 to itself, Kafka has core 1. An event is a device's report, of about 450
bytes. What an event takes is the CPU time of the whole process: handing in, writing, reading,
compressing, sending. The caller's side is the call alone.
"""

import json
import subprocess

import kafka
from harness import Missing
from settings import result


def measure(settings):
    batches = 5 if settings.short else 75
    program = settings.example("events")
    with kafka.broker(settings) as broker:
        ran = subprocess.run(["taskset", "-c", str(kafka.CORE), program, broker, str(batches)],
                             capture_output=True, text=True, timeout=300)
    if ran.returncode != 0:
        raise Missing(f"the program ended with {ran.returncode}: {ran.stderr[-300:]}")
    found = json.loads(ran.stdout)
    yield result("events_dropped", found["dropped"], "events", 0)
    yield result("events_handed_in_p50", found["p50_us"], "µs")
    yield result("events_handed_in_p99", found["p99_us"], "µs", 5)
    yield result("events_to_kafka", found["events"] / found["seconds"], "events/s")
    yield result("events_20000_to_kafka", 20_000 * found["seconds"] / found["events"], "s", 1)
    yield result("events_cpu_each", found["cpu"] * 1e6 / found["events"], "µs", 50)
