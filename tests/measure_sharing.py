"""Measures what two runs at a time cost each other: `python -m tests.measure_sharing`.

A measurement, not a test: one run alone, then two started together in each of three ways. "Blind" is what happens
where runs do not know of each other (each is given a machine folder of its own), "queued" what nadtui does,
"--threads 1" what a person can ask for instead. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.tiny import runs_in


def start(scratch: Path, name: str, machine: str, *options: str) -> subprocess.Popen:
    """Start a headless run in a process of its own; runs that share `machine` know of each other."""
    command = [sys.executable, "-m", "nadtui", "run", "--preset", "badnets", "--headless", "--no-cache"]
    environment = {**os.environ, "NADTUI_MACHINE": str(scratch / machine)}
    return subprocess.Popen(
        [*command, "--out", str(scratch / name), *options],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def attack_speed(out: Path) -> float:
    """Images a second of the attack stage of the one run in `out`."""
    summary = json.loads((runs_in(out)[0] / "summary.json").read_text())
    return summary["stages"][0]["images_per_second"]


def measure(scratch: Path, title: str, machines: list[str], *options: str) -> None:
    """Start a run for each of `machines` at once and print their speeds and the time until all are done."""
    since = time.perf_counter()
    names = [f"{title}-{number}" for number in range(len(machines))]
    runs = [start(scratch, name, machine, *options) for name, machine in zip(names, machines, strict=True)]
    codes = [run.wait() for run in runs]
    if any(codes):
        raise SystemExit(f"{title}: the runs ended with {codes}")
    speeds = ", ".join(f"{attack_speed(scratch / name):,.0f}" for name in names)
    print(f"{title:12}  attack images/s: {speeds:14}  all done after {time.perf_counter() - since:.0f} s", flush=True)


def main() -> None:
    """Measure the four cases in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=6_000, help="training images of each run")
    parser.add_argument("--epochs", type=int, default=3, help="of the attack")
    given = parser.parse_args()
    options = ["--set", f"data.train_images={given.images}", "--set", "data.test_images=500"]
    options += ["--epochs", f"attack={given.epochs}", "--epochs", "teacher=1", "--epochs", "nad=1"]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        measure(scratch, "alone", ["one"], *options)
        measure(scratch, "blind", ["first", "second"], *options)
        measure(scratch, "queued", ["shared", "shared"], *options)
        measure(scratch, "--threads 1", ["parted", "parted"], "--threads", "1", *options)


if __name__ == "__main__":
    main()
