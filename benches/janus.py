"""Janus with its streaming plugin, as Debian ships it, in the server's namespace."""

import contextlib
import pathlib
import tempfile

from harness import SERVER, SERVER_ADDRESS, Process, get_json, until
from media import AUDIO_PORT, VIDEO_PORT

PORT = 45088
LIBRARY = "/usr/lib/x86_64-linux-gnu/janus"


@contextlib.contextmanager
def running(settings, core):
    with tempfile.TemporaryDirectory(prefix="stentor-janus-") as temporary:
        folder = pathlib.Path(temporary)
        plugins = [p.name for p in pathlib.Path(LIBRARY, "plugins").glob("*.so") if "streaming" not in p.name]
        transports = [p.name for p in pathlib.Path(LIBRARY, "transports").glob("*.so") if "http" not in p.name]
        (folder / "janus.jcfg").write_text(f"""
general: {{
  configs_folder = "{folder}"
  plugins_folder = "{LIBRARY}/plugins"
  transports_folder = "{LIBRARY}/transports"
  debug_level = 2
  # Nobody polls a session once its viewer runs.
  session_timeout = 0
  # One loop for all sessions: a thread each costs Janus more.
  event_loops = 1
}}
nat: {{ ice_lite = true  ice_enforce_list = "{SERVER_ADDRESS}" }}
media: {{ ipv6 = false }}
plugins: {{ disable = "{','.join(plugins)}" }}
transports: {{ disable = "{','.join(transports)}" }}
""")
        (folder / "janus.transport.http.jcfg").write_text(f"""
general: {{ json = "compact"  base_path = "/janus"  http = true  port = {PORT}  https = false }}
admin: {{ admin_http = false }}
""")
        (folder / "janus.plugin.streaming.jcfg").write_text(f"""
bench: {{
  type = "rtp"  id = 1  description = "bench"
  audio = true  audioport = {AUDIO_PORT}  audiopt = 97  audiocodec = "opus"
  video = true  videoport = {VIDEO_PORT}  videopt = 96  videocodec = "h264"
  videofmtp = "profile-level-id=42e01f;packetization-mode=1"
}}
""")
        with Process(["janus", "--config", folder / "janus.jcfg", "--configs-folder", folder],
                     SERVER, core, settings.log("janus")) as process:
            url = f"http://{SERVER_ADDRESS}:{PORT}/janus"
            until("Janus answers", 20, lambda: get_json(f"{url}/info", SERVER).get("janus") == "server_info")
            process.url = url
            yield process
