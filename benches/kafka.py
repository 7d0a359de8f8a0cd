"""A real Kafka on this machine, on a core of its own."""

import contextlib
import os
import pathlib
import socket
import subprocess
import tempfile

from harness import Missing, until

# What is measured has the first to itself.
CORE, KAFKA_CORE = 0, 1
JAVA = ["java", "-XX:+UseSerialGC", "-Xmx512m"]


@contextlib.contextmanager
def broker(settings):
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
