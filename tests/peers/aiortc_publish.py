#!/usr/bin/env python3
"""Publishes a moving picture and a tone over WHIP with aiortc, a WebRTC stack that is not ours.

    aiortc_publish.py URL [--seconds N] [--codec h264|vp8] [--no-audio] [--no-video]
                          [--size WxH] [--token T] [--trickle] [--lose PERCENT]

Prints one line of JSON when it is connected and one when it ends. With --lose that share of the
RTP packets is dropped on their way out, and the last line says how many, how many were sent again
on request, and how many keyframes were asked for. Exit status 0: it was connected
and the session was deleted; 1: refused (the status and the problem are in the JSON); 2: no
connection.
"""

import argparse
import asyncio
import fractions
import json
import random
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import av
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpSender, RTCSessionDescription


class Picture(MediaStreamTrack):
    """A grey ramp that scrolls, 30 pictures a second."""

    kind = "video"

    def __init__(self, width, height):
        super().__init__()
        self.start = None
        self.count = 0
        self.width, self.height = width, height
        self.line = bytes((x * 255 // width) for x in range(width)) * 2

    async def recv(self):
        self.start = self.start or time.time()
        await asyncio.sleep(max(0, self.start + self.count / 30 - time.time()))
        frame = av.VideoFrame(self.width, self.height, "yuv420p")
        shift = self.count * 4 % self.width
        luma = frame.planes[0]
        row = self.line[shift : shift + self.width].ljust(luma.line_size, b"\0")
        luma.update(row * luma.height)
        for plane in frame.planes[1:]:
            plane.update(b"\x80" * (plane.line_size * plane.height))
        frame.pts, frame.time_base = self.count * 3000, fractions.Fraction(1, 90000)
        self.count += 1
        return frame


class Tone(MediaStreamTrack):
    """A square wave in blocks of 20 ms."""

    kind = "audio"

    def __init__(self):
        super().__init__()
        self.start = None
        self.count = 0
        self.block = (b"\x00\x10" * 2 * 24 + b"\x00\xf0" * 2 * 24) * 20

    async def recv(self):
        self.start = self.start or time.time()
        await asyncio.sleep(max(0, self.start + self.count / 50 - time.time()))
        frame = av.AudioFrame(format="s16", layout="stereo", samples=960)
        frame.planes[0].update(self.block)
        frame.sample_rate = 48000
        frame.pts, frame.time_base = self.count * 960, fractions.Fraction(1, 48000)
        self.count += 1
        return frame


def request(method, url, body=None, kind=None, token=None):
    """Status, headers and text; an error status is no exception."""
    headers = {"Content-Type": kind} if kind else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = body.encode() if body is not None else None
    call = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(call, timeout=20) as reply:
            return reply.status, reply.headers, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def say(**what):
    print(json.dumps(what), flush=True)


def lose(pc, percent):
    """Drops packets at random from here on, and counts them and what the receiver asks for."""
    count = {"dropped": 0, "sent_again": 0, "keyframes_asked": 0}
    for transport in {sender.transport for sender in pc.getSenders()}:

        async def send(data, through=transport._send_rtp):
            # RTCP's packet types, 200 and up, are 72 to 95 without the marker bit (RFC 5761).
            is_rtp = not 72 <= data[1] & 0x7F < 96
            if is_rtp and random.random() * 100 < percent:
                count["dropped"] += 1
                return
            await through(data)

        transport._send_rtp = send
    for sender in pc.getSenders():

        async def again(sequence, through=sender._retransmit):
            count["sent_again"] += 1
            await through(sequence)

        def keyframe(through=sender._send_keyframe):
            count["keyframes_asked"] += 1
            through()

        sender._retransmit, sender._send_keyframe = again, keyframe
    return count


async def publish(args):
    pc = RTCPeerConnection()
    connected = asyncio.Event()
    closed = asyncio.Event()

    @pc.on("connectionstatechange")
    def changed():
        if pc.connectionState == "connected":
            connected.set()
        if pc.connectionState in ("failed", "closed"):
            closed.set()

    if not args.no_audio:
        pc.addTrack(Tone())
    if not args.no_video:
        pc.addTrack(Picture(*map(int, args.size.split("x"))))
        transceiver = next(t for t in pc.getTransceivers() if t.kind == "video")
        wanted = f"video/{args.codec}".lower()
        codecs = [
            c
            for c in RTCRtpSender.getCapabilities("video").codecs
            if c.mimeType.lower() in (wanted, "video/rtx")
        ]
        transceiver.setCodecPreferences(codecs)
    await pc.setLocalDescription(await pc.createOffer())
    offer = pc.localDescription.sdp
    fragment = []
    if args.trickle:
        lines = offer.splitlines()
        fragment = [line for line in lines if line.startswith("a=candidate:")]
        offer = "".join(f"{line}\r\n" for line in lines if line not in fragment)
    loop = asyncio.get_running_loop()

    async def call(*what):
        return await loop.run_in_executor(None, lambda: request(*what, token=args.token))

    status, headers, text = await call("POST", args.url, offer, "application/sdp")
    if status != 201:
        say(refused=status, problem=text)
        await pc.close()
        return 1
    session = urllib.parse.urljoin(args.url, headers["Location"])
    await pc.setRemoteDescription(RTCSessionDescription(sdp=text, type="answer"))
    if fragment:
        ufrag = next(line for line in offer.splitlines() if line.startswith("a=ice-ufrag:"))
        body = "\r\n".join([ufrag, "m=audio 9 RTP/AVP 0", "a=mid:0", *fragment, ""])
        status, _, text = await call("PATCH", session, body, "application/trickle-ice-sdpfrag")
        say(trickled=status)
    try:
        await asyncio.wait_for(connected.wait(), 20)
    except asyncio.TimeoutError:
        say(connected=False)
        await pc.close()
        return 2
    lost = lose(pc, args.lose) if args.lose else {}
    say(connected=True, session=session)
    try:
        await asyncio.wait_for(closed.wait(), args.seconds)
    except asyncio.TimeoutError:
        pass
    sent = {}
    for sender in pc.getSenders():
        for stats in (await sender.getStats()).values():
            if stats.type == "outbound-rtp":
                sent[stats.kind] = stats.packetsSent
    status, _, _ = await call("DELETE", session)
    await pc.close()
    say(ended=True, sent=sent, deleted=status, **lost)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--codec", default="h264", choices=["h264", "vp8"])
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--no-audio", action="store_true")
    parser.add_argument("--no-video", action="store_true")
    parser.add_argument("--trickle", action="store_true")
    parser.add_argument("--lose", type=float, default=0)
    parser.add_argument("--token")
    sys.exit(asyncio.run(publish(parser.parse_args())))


if __name__ == "__main__":
    main()
