"""Watches a channel with aiortc: `whep.py URL [--codec h264|vp8] [--seconds N] [--token T]
[--relay udp|tcp]`. With `--relay` it uses the TURN server that the daemon tells of.

Says `answered`, `connected`, a `frame` per decoded picture, `audio` once a second, `ended`.
SIGINT, or the time's end, sends DELETE first.
"""

import argparse
import asyncio
import json
import signal
import urllib.parse

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpreceiver import RTCRtpReceiver
from common import exchange, now_ms, read_stamp, request, say


async def follow_video(track):
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        at = now_ms()
        stamp = read_stamp(frame) if frame.format.name == "yuv420p" else None
        say("frame", at_ms=at, width=frame.width, height=frame.height,
            number=stamp and stamp[1], latency_ms=stamp and at - stamp[0])


async def follow_audio(track):
    count, said = 0, 0
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        count += 1
        if now_ms() - said > 1000:
            said = now_ms()
            say("audio", count=count, rate=frame.sample_rate, channels=len(frame.layout.channels))


def ice_servers(options):
    """The server's own list, as its page gets it, for one transport."""
    url = urllib.parse.urljoin(options.url, "/api/v1/server")
    headers = {"authorization": f"Bearer {options.token}"} if options.token else {}
    status, _, text = request("GET", url, None, headers)
    assert status == 200, text
    return [RTCIceServer(urls=url, username=server["username"], credential=server["credential"])
            for server in json.loads(text)["ice_servers"] for url in server["urls"]
            if url.endswith(f"transport={options.relay}")]


async def main(options):
    servers = await asyncio.to_thread(ice_servers, options) if options.relay else []
    connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)

    @connection.on("track")
    def on_track(track):
        asyncio.ensure_future(follow_video(track) if track.kind == "video" else follow_audio(track))

    @connection.on("connectionstatechange")
    def on_state():
        say(connection.connectionState)
        if connection.connectionState in ("failed", "closed"):
            stop.set()

    video = connection.addTransceiver("video", direction="recvonly")
    if options.codec:
        codecs = RTCRtpReceiver.getCapabilities("video").codecs
        video.setCodecPreferences(
            [c for c in codecs if c.mimeType.lower() == f"video/{options.codec}"])
    connection.addTransceiver("audio", direction="recvonly")
    session = await exchange(connection, options.url, options.token)
    try:
        await asyncio.wait_for(stop.wait(), options.seconds)
    except TimeoutError:
        pass
    headers = {"authorization": f"Bearer {options.token}"} if options.token else {}
    status, _, _ = await asyncio.to_thread(request, "DELETE", session, None, headers)
    await connection.close()
    say("ended", delete=status)


parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("--codec")
parser.add_argument("--seconds", type=float, default=60)
parser.add_argument("--token")
parser.add_argument("--relay", choices=["udp", "tcp"])
asyncio.run(main(parser.parse_args()))
