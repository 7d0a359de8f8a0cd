"""From the clock burnt into the picture to the same picture in a real browser."""

import json
import os
import pathlib
import subprocess
import tempfile

from harness import Missing, until
from settings import ROOT, result

PORT = 45090


def measure(settings):
    frames = 45 if settings.short else 300
    with tempfile.TemporaryDirectory(prefix="stentor-bench-") as temporary:
        folder = pathlib.Path(temporary)
        (folder / "stentor.toml").write_text(f"""
[server]
state_directory = "{folder}"
[http]
listen = ["127.0.0.1:{PORT}"]
[fanout]
shards = 1
bind = ["127.0.0.1"]
first_port = 0
""")
        with open(settings.log("latency"), "wb") as log:
            server = subprocess.Popen(
                [settings.program("stentor"), "serve", "--demo", "--config", folder / "stentor.toml"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            until("the demo channel is live", 60, lambda: state() == "live")
            for name, rendition, bound in (("passed_through", "source", 80), ("ladder", "360p", 150)):
                done = subprocess.run(
                    ["node", ROOT / "benches/latency.mjs", f"http://127.0.0.1:{PORT}/", rendition, str(frames)],
                    capture_output=True, text=True, timeout=180, env=dict(os.environ))
                if done.returncode != 0:
                    raise Missing(f"browser: {done.stderr.strip()[-400:]}")
                seen = json.loads(done.stdout)
                if seen["unread"] > frames / 10:
                    raise Missing(f"{seen['unread']} frames had no readable clock, {frames} had")
                figures = sorted(seen["milliseconds"])
                yield result(f"latency_{name}_p50", figures[len(figures) // 2], "ms")
                yield result(f"latency_{name}_p95", figures[int(len(figures) * 0.95)], "ms", bound)
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait(5)


def state():
    import urllib.request
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/v1/channels/demo", timeout=2) as reply:
        return json.load(reply)["source_state"]
