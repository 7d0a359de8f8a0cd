"""Events from the call that hands them in, through the log on disk, to a real Kafka on this machine.

The process has core 0 to itself, Kafka has core 1. An event is a device's report, of about 450
bytes. What an event takes is the CPU time of the whole process: handing in, writing, reading,
compressing, sending. The caller's side is the call alone.
"""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import tempfile

from harness import Missing, until
from settings import result

CORE, KAFKA_CORE = 0, 1
JAVA = ["java", "-XX:+UseSerialGC", "-Xmx512m"]


def measure(settings):
    batches = 5 if settings.short else 75
    program = settings.example("events")
    with kafka(settings) as broker:
        ran = subprocess.run(["taskset", "-c", str(CORE), program, broker, str(batches)],
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


@contextlib.contextmanager
def kafka(settings):
    jars = settings.out.parent / "kafka"
    if not jars.is_dir():
        raise Missing("Kafka's jars are missing (`make test-deps` installs them)")
    port, control = free_port(), free_port()
    environment = {**os.environ, "CLASSPATH": f"{jars}/*"}
    with tempfile.TemporaryDirectory(prefix="stentor-bench-") as temporary:
        folder = pathlib.Path(temporary)
        (folder / "server.properties").write_text(f"""
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{control}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{control}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={folder}/data
num.partitions=3
offsets.topic.replication.factor=1
""")
        pinned = ["taskset", "-c", str(KAFKA_CORE), *JAVA]
        subprocess.run([*pinned, "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c",
                        "server.properties"], cwd=folder, env=environment, check=True, capture_output=True)
        with open(settings.log("kafka"), "w") as log:
            process = subprocess.Popen([*pinned, "kafka.Kafka", "server.properties"], cwd=folder,
                                       env=environment, stdout=log, stderr=log)
        try:
            until("Kafka listens", 60, lambda: listens(port))
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def listens(port):
    with socket.socket() as found:
        return found.connect_ex(("127.0.0.1", port)) == 0
