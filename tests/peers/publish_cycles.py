"""Publishes, is connected, and leaves, COUNT times: `publish_cycles.py URL --count N [--token T]`."""

import argparse
import asyncio

from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from common import exchange, request, say


async def once(options):
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connected = asyncio.Event()

    @connection.on("connectionstatechange")
    def on_state():
        if connection.connectionState == "connected":
            connected.set()

    connection.addTransceiver(VideoStreamTrack(), direction="sendonly")
    connection.addTransceiver(AudioStreamTrack(), direction="sendonly")
    session = await exchange(connection, options.url, options.token)
    await asyncio.wait_for(connected.wait(), 20)
    headers = {"authorization": f"Bearer {options.token}"} if options.token else {}
    status, _, body = await asyncio.to_thread(request, "DELETE", session, None, headers)
    await connection.close()
    if status != 200:
        raise SystemExit(f"DELETE: {status} {body}")


async def main(options):
    for count in range(options.count):
        await once(options)
        say("cycle", count=count)
    say("done")


parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("--count", type=int, default=10)
parser.add_argument("--token")
asyncio.run(main(parser.parse_args()))
