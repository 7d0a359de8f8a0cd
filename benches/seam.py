"""CPU per packet on each side of the seam between worker and daemon."""

from harness import run
from settings import result


def measure(settings):
    sides = {}
    for line in run(settings.example("seam")).splitlines():
        side, microseconds, _ = line.split()
        sides[side] = float(microseconds)
    yield result("seam_send", sides["send"], "µs/packet", 2.0)
    yield result("seam_receive", sides["receive"], "µs/packet", 2.0)
