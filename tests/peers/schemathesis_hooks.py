"""What schemathesis can't know by itself: session descriptions, and fragments of them."""

import pathlib

import schemathesis
from hypothesis import strategies

CORPUS = pathlib.Path(__file__).parent.parent / "corpus" / "sdp"
OFFERS = [
    (CORPUS / f"{name}.sdp").read_bytes()
    for name in ("chromium-recvonly-gathered", "firefox-recvonly-gathered", "aiortc-recvonly")
]
FRAGMENT = b"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n"

schemathesis.openapi.media_type("application/sdp", strategies.sampled_from(OFFERS))
schemathesis.openapi.media_type("application/trickle-ice-sdpfrag", strategies.just(FRAGMENT))


@schemathesis.hook
def filter_case(context, case):
    """Leaves out what fits the schema and yet can't be done on this server: that is a 422."""
    if case.meta is not None and case.meta.generation.mode.is_negative:
        return True
    if (case.query or {}).get("rendition", "auto") != "auto":
        return False
    body = case.body
    if not isinstance(body, dict):
        return True
    if body.get("rid") not in (None, "auto"):
        return False
    source = body.get("source")
    if isinstance(source, dict):
        rate = source.get("frame_rate") or {"numerator": 30, "denominator": 1}
        if source.get("kind") == "file" or not 1 <= rate["numerator"] / rate["denominator"] <= 240:
            return False
    rungs = [rung for rung in body.get("ladder") or [] if isinstance(rung, dict)]
    names = [rung.get("name") or f"{rung.get('height'):.0f}p" for rung in rungs]
    return len(set(names)) == len(names) and not {"auto", "source"} & set(names)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Names the present ICE session, of which a generator knows no ETag."""
    if case.meta is not None and case.meta.generation.mode.is_positive and case.method == "PATCH":
        case.headers["If-Match"] = "*"
