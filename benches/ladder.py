"""The software ladder beside the ffmpeg command line doing the same rungs."""

import os
import resource
import subprocess

from harness import Missing, run
from settings import result

# What hardware/ sets on libx264, as the command line spells it.
X264 = ["-preset", "veryfast", "-tune", "zerolatency", "-bf", "0", "-g", "100000",
        "-sc_threshold", "0", "-profile:v", "baseline", "-forced-idr", "1"]


def measure(settings):
    seconds = 5 if settings.short else 60
    clip = settings.out / f"ladder-{seconds}.h264"
    if not clip.exists():
        run("ffmpeg", "-y", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30",
            "-t", seconds, "-vf", "noise=alls=8:allf=t", "-c:v", "libx264", "-preset", "veryfast",
            "-tune", "zerolatency", "-profile:v", "baseline", "-pix_fmt", "yuv420p", "-b:v", "2500k", "-f", "h264", clip)
    rounds = 1 if settings.short else 3
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(cpu_seconds([settings.example("ladder"), clip]))
        theirs.append(cpu_seconds([
            "ffmpeg", "-y", "-v", "error", "-threads", "1", "-r", "30", "-f", "h264", "-i", clip,
            "-filter_complex", "[0:v]split[a][b];[a]scale=640:360:flags=bilinear[x];[b]scale=320:180:flags=bilinear[y]",
            "-map", "[x]", "-c:v", "libx264", *X264, "-b:v", "800k", "-maxrate", "800k", "-bufsize", "400k", "-threads", "1", "-f", "null", "-",
            "-map", "[y]", "-c:v", "libx264", *X264, "-b:v", "250k", "-maxrate", "250k", "-bufsize", "125k", "-threads", "1", "-f", "null", "-"]))
    yield result("ladder_cpu", min(ours) / seconds, "CPU s per media s")
    yield result("ladder_cpu_ffmpeg", min(theirs) / seconds, "CPU s per media s")
    yield result("ladder_vs_ffmpeg", min(ours) / min(theirs), "ratio", 1.0)


def cpu_seconds(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Missing(f"{os.path.basename(str(command[0]))}: {done.stderr.strip()[-300:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
