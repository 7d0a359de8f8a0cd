"""Recording a sender, and making files of it, beside the ffmpeg command line."""

import json
import resource
import shutil
import time

from harness import Missing, run
from ladder import X264
from settings import result

NAMES = ["Ann", "Ben", "Cleo", "Dan"]


def measure(settings):
    folder = settings.out / "recording"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield from one_sender(settings, folder)
        yield from composite(settings, folder)
        yield from an_hour(settings, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def one_sender(settings, folder):
    """The worker's CPU with a recording of a 1080p30 source, less that without, in turns."""
    seconds = 4 if settings.short else 40
    source = clip(settings, "1920x1080", 4000)
    shares = recorded(settings, source, folder / "large", seconds)
    yield result("recording_worker_without", shares["without"], "core")
    yield result("recording_1080p30", max(0, shares["with"] - shares["without"]), "core", 0.02)


def composite(settings, folder):
    """Four 720p30 senders in one 720p picture."""
    seconds = 4 if settings.short else 60
    source = clip(settings, "1280x720", 2000)
    recorded(settings, source, folder / "small", 8)
    chunks = repeated(settings, folder / "small", folder / "four", seconds)
    plan = {
        "form": "composite", "output": str(folder / "ours.mp4"),
        "sources": [{"name": name, "chunks": chunks} for name in NAMES],
        "speakers": [{"at_us": at * 1_000_000, "source": at // 5 % 4} for at in range(0, seconds, 5)],
        "resolution": {"width": 1280, "height": 720}, "frame_rate": 30}
    inputs = []
    track = {"form": "track", "output": str(folder / "track.mp4"), "sources": [{"chunks": chunks}]}
    compiled(settings, folder, track)
    for _ in NAMES:
        inputs += ["-i", folder / "track.mp4"]
    graph = ";".join(f"[{i}:v]scale=640:360:flags=bilinear[v{i}]" for i in range(4))
    graph += ";[v0][v1][v2][v3]xstack=inputs=4:layout=0_0|w0_0|0_h0|w0_h0,fps=30[v]"
    graph += ";[0:a][1:a][2:a][3:a]amix=inputs=4[a]"
    rate = int(1280 * 720 * 30 * 0.08)
    theirs = [
        "ffmpeg", "-y", "-v", "error", *inputs, "-filter_complex", graph, "-map", "[v]", "-map", "[a]",
        "-c:v", "libx264", *X264, "-g", "60", "-b:v", rate, "-maxrate", rate, "-bufsize", rate // 2,
        "-threads", "1", "-c:a", "aac", "-b:a", "128k", folder / "theirs.mp4"]
    ours, ffmpeg = [], []
    for _ in range(1 if settings.short else 3):
        ours.append(cpu_seconds(lambda: compiled(settings, folder, plan)))
        ffmpeg.append(cpu_seconds(lambda: run(*theirs)))
    yield result("composite_cpu", min(ours) / seconds, "CPU s per media s")
    yield result("composite_cpu_ffmpeg", min(ffmpeg) / seconds, "CPU s per media s")
    yield result("composite_vs_ffmpeg", min(ours) / min(ffmpeg), "ratio", 1.0)


def an_hour(settings, folder):
    """An hour of one sender's chunks at 1080p30 and 4 Mb/s into a finished file."""
    seconds = 120 if settings.short else 3600
    chunks = repeated(settings, folder / "large", folder / "hour", seconds)
    plan = {"form": "track", "output": str(folder / "hour.mp4"), "sources": [{"chunks": chunks}]}
    started = time.monotonic()
    done = compiled(settings, folder, plan)
    took = time.monotonic() - started
    if abs(done["duration_ms"] / 1000 - seconds) > 5 or done["left_out"]:
        raise Missing(f"the file isn't the recording: {done}")
    yield result("hour_of_tracks", took * 3600 / seconds, "s", 30)


def clip(settings, size, kilobits):
    """A minute of a moving picture with noise in it, and a tone."""
    path = settings.out / f"recording-{size}.mkv"
    if not path.exists():
        part = path.with_suffix(".part.mkv")
        run("ffmpeg", "-y", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=30",
            "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", 10 if settings.short else 60,
            "-vf", "noise=alls=8:allf=t", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency",
            "-profile:v", "baseline", "-pix_fmt", "yuv420p", "-g", "60", "-b:v", f"{kilobits}k",
            "-maxrate", f"{kilobits}k", "-bufsize", f"{kilobits}k", "-ac", "2", "-c:a", "libopus", "-b:a", "64k",
            part)
        part.rename(path)
    return path


def recorded(settings, source, folder, seconds):
    lines = run(settings.example("recording"), "record", settings.program("stentor-worker"), source, folder, seconds)
    return {name: float(value) for name, value in (line.split() for line in lines.splitlines())}


def repeated(settings, folder, out, seconds):
    run(settings.example("recording"), "hour", folder, out, seconds)
    return sorted(str(path) for path in out.glob("*.mkv"))


def compiled(settings, folder, plan):
    path = folder / "plan.json"
    path.write_text(json.dumps(plan))
    return json.loads(run(settings.program("stentor-worker"), "compile", path))


def cpu_seconds(work):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
