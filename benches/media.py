"""The same pictures and sound for everyone: one clip, and a feeder that plays it as RTP."""

from harness import SERVER, Process, run

VIDEO_PORT = 45004
AUDIO_PORT = 45006


def clip(settings, kilobits=1500, size="1280x720"):
    """A minute of H.264 at 30 frames a second, one slice a frame, and Opus at 64 kb/s."""
    path = settings.out / f"clip-{kilobits}k.mkv"
    if not path.exists():
        part = path.with_suffix(".part.mkv")
        run("ffmpeg", "-y", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=30",
            "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "60",
            "-vf", "noise=alls=12:allf=t", "-c:v", "libx264", "-preset", "ultrafast",
            "-tune", "zerolatency", "-profile:v", "baseline", "-pix_fmt", "yuv420p", "-g", "60",
            "-threads", "1", "-b:v", f"{kilobits}k", "-maxrate", f"{kilobits}k", "-bufsize", f"{kilobits // 5}k", "-ac", "2", "-c:a", "libopus", "-b:a", "64k", "-frame_duration", "20",
            part)
        part.rename(path)
    return path


def feeder(settings, core):
    """Plays the clip as RTP to two ports of the server's namespace."""
    source = clip(settings)
    return Process(
        ["gst-launch-1.0", "-q", "multifilesrc", "loop=true", f"location={source}", "!",
         "matroskademux", "name=d",
         "d.video_0", "!", "queue", "!", "h264parse", "!",
         "rtph264pay", "mtu=1200", "pt=96", "config-interval=-1", "aggregate-mode=zero-latency", "!",
         "udpsink", "host=127.0.0.1", f"port={VIDEO_PORT}", "sync=true",
         "d.audio_0", "!", "queue", "!", "rtpopuspay", "pt=97", "!",
         "udpsink", "host=127.0.0.1", f"port={AUDIO_PORT}", "sync=true"],
        SERVER, core, settings.log("feeder"))
