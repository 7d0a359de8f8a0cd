"""What the aiortc peers share: JSON lines on standard output, HTTP signalling, the stamp."""

import asyncio
import binascii
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def request(method, url, body=None, headers=None):
    """Gives (status, headers, text); an HTTP error is an answer too."""
    call = urllib.request.Request(url, method=method, headers=headers or {},
                                  data=body.encode() if body is not None else None)
    try:
        with urllib.request.urlopen(call, timeout=15) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


async def exchange(connection, url, token=None):
    """Offers over WHIP or WHEP and gives the session's URL."""
    from aiortc import RTCSessionDescription

    await connection.setLocalDescription(await connection.createOffer())
    headers = {"content-type": "application/sdp"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    status, answer_headers, answer = await asyncio.to_thread(
        request, "POST", url, connection.localDescription.sdp, headers)
    if status != 201:
        say("refused", status=status, body=answer)
        sys.exit(1)
    session = urllib.parse.urljoin(url, answer_headers["location"])
    say("answered", session=session, sdp=answer)
    await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    return session


def read_stamp(frame):
    """(capture time in Unix ms, frame number) from the synthetic camera's picture, or None."""
    plane = frame.planes[0]
    luma, stride = memoryview(plane), plane.line_size
    width, height = frame.width, frame.height
    bits = 0
    for row in range(2):
        top, bottom = row * height // 20, (row + 1) * height // 20
        rows = (top + bottom) // 2 * stride, ((top + bottom) // 2 - 1) * stride
        for column in range(48):
            left, right = column * width // 48, (column + 1) * width // 48
            middle = (left + right) // 2
            values = [luma[r + x] for r in rows for x in (middle - 1, middle)]
            bits = bits << 1 | (sum(values) > 126 * len(values))
    head, check = bits >> 16, bits & 0xffff
    if binascii.crc_hqx(head.to_bytes(10, "big"), 0xffff) != check or head >> 76 != 0b1010:
        return None
    return head >> 32 & (1 << 44) - 1, head & 0xffffffff


def now_ms():
    return time.time() * 1000
