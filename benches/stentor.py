"""A Stentor daemon in the server's namespace, its worker on the client's core.

Only the daemon is on the measured core: the fan-out's cost is the daemon's whole process.
"""

import contextlib
import json
import pathlib
import tempfile

import harness
from harness import SERVER, SERVER_ADDRESS, Process, get_json, run, until

PORT = 45080
URL = f"http://{SERVER_ADDRESS}:{PORT}"


class Server:
    def __init__(self, process, folder, settings):
        self.process = process
        self.folder = folder
        self.settings = settings

    def token(self, role):
        return run(self.settings.program("stentor"), "token", "mint", "--key", self.folder / "private.pem",
                   "--role", role, "--channel", "*", "--for", "1h").strip()

    def api(self, path):
        return get_json(f"{URL}/api/v1{path}", SERVER, headers=[f"authorization: Bearer {self.token('admin')}"])


@contextlib.contextmanager
def running(settings, source, core, ladder="ladder = []", name="bench"):
    """One rendition unless asked: with several, the cost would be that of whom the server moves where."""
    with tempfile.TemporaryDirectory(prefix="stentor-bench-") as temporary:
        folder = pathlib.Path(temporary)
        run("openssl", "genpkey", "-algorithm", "ed25519", "-out", folder / "private.pem")
        run("openssl", "pkey", "-in", folder / "private.pem", "-pubout", "-out", folder / "public.pem")
        # The worker has its own core, so that the daemon's is the daemon's alone.
        worker = folder / "worker"
        worker.write_text(f"#!/bin/sh\nexec taskset -c {1 - core} {settings.program('stentor-worker')} \"$@\"\n")
        worker.chmod(0o755)
        config = folder / "stentor.toml"
        config.write_text(f"""
[server]
state_directory = "{folder}"
file_folders = ["{settings.out}"]
[http]
listen = ["{SERVER_ADDRESS}:{PORT}"]
requests_per_second = 10000
request_burst = 10000
[access]
keys = ["{folder}/public.pem"]
[calls]
rings_per_minute = 1000
[fanout]
shards = 1
bind = ["{SERVER_ADDRESS}"]
first_port = 45100
[worker]
path = "{worker}"
thumbnail_interval = "0s"
[[channels]]
name = "{name}"
source = {source}
{ladder}
""")
        with Process([settings.program("stentor"), "serve", "--config", config], SERVER, core,
                     settings.log("stentor")) as process:
            server = Server(process, folder, settings)
            until("the channel is live", 60,
                  lambda: server.api(f"/channels/{name}")["source_state"] == "live")
            yield server


def viewers(settings, server, count, rate, seconds, core, extra=(), name="load"):
    """The load generator's viewers, as a process on the client's core."""
    return Process(
        [settings.program("stentor"), "load", "whep", f"{URL}/whep/bench", "--viewers", count,
         "--rate", f"{rate}/s", "--for", f"{seconds}s", "--token", server.token("view"), "--json", *extra],
        harness.CLIENT, core, settings.log(name), stdout=open(settings.log(f"{name}-summary"), "wb"))


def summary(settings, process, seconds, name="load"):
    until("the load generator ends", seconds, lambda: not process.running())
    text = settings.log(f"{name}-summary").read_text().strip()
    if not text:
        raise harness.Missing(f"no summary; {settings.log(name).read_text()[-300:]}")
    return json.loads(text)
