"""What a bench run is made of: sizes, spans, and where the programs are."""

import pathlib
import subprocess

from harness import Missing

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Settings:
    def __init__(self, short, profile):
        self.short = short
        target = pathlib.Path(subprocess.run(
            ["cargo", "metadata", "--format-version", "1", "--no-deps", "--offline"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout.split('"target_directory":"')[1].split('"')[0])
        self.programs = target / ("debug" if profile == "dev" else profile)
        self.out = target / "bench"
        self.out.mkdir(parents=True, exist_ok=True)
        self.viewers = 20 if short else 200
        self.span_seconds = 3 if short else 15
        self.joins = 50 if short else 500

    def program(self, name):
        path = self.programs / name
        if not path.exists():
            raise Missing(f"{path.relative_to(self.programs.parent)} is not built (`make bench` and `make bench-short` build it)")
        return path

    def example(self, name):
        return self.program(f"examples/{name}")

    def log(self, name):
        return self.out / f"{name}.log"


def result(name, value, unit, bound=None):
    return {"name": name, "value": value, "unit": unit, "bound": bound,
            "holds": bound is None or value <= bound}
