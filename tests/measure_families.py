"""Every family of networks at work: `python -m tests.measure_families [--size PIXELS] [FAMILY ...]`.

A measurement, not a test, on `signs`, or on `gtsrb` where a size is given: the smallest network of each family goes
through a short attack, teacher and NAD; the run is killed and resumed; its purified checkpoint goes out, and in again
as a suspect. Prints a line a family: the maps that were recorded, the smallest share of the loss that a tap has at the
first step, and what differs after the round.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engine.events import AttentionCaptured, AttentionHealth
from engine.models import FAMILIES
from engine.record.reading import read_events
from tests.tiny import begin, outcome, resume

SHORT = [
    *("--preset", "badnets", "--threads", "1", "--set", "precision=fp32"),
    *("--set", "data.train_images=500", "--set", "data.test_images=200", "--set", "data.clean_fraction=0.2"),
    *("--epochs", "attack=2", "--epochs", "teacher=1", "--epochs", "nad=2", "--set", "evaluation.samples=2"),
]


def killed_and_resumed(out: Path, after: float, *options: str) -> Path:
    """A run that is killed after so many seconds from its folder on, and carried to its end."""
    process, folder = begin(out, *options)
    time.sleep(after)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    if not (folder / "summary.json").exists():
        resume(folder)
    return folder


def out_and_in(folder: Path, out: Path, *options: str) -> tuple[float, float]:
    """ACC of a run's purified model, and ACC of the same as the suspect of another run."""
    file = out / "purified.safetensors"
    export = [sys.executable, "-m", "nadtui", "export", str(folder), "--format", "checkpoint", "-o", str(file)]
    subprocess.run(export, check=True, capture_output=True)
    process, again = begin(out / "in", *options, "--suspect", str(file), "--epochs", "nad=1")
    process.wait()
    return (stages(folder)[-1]["acc"], stages(again)[0]["acc"])


def stages(folder: Path) -> list[dict]:
    """The stages of a run's summary."""
    return json.loads((folder / "summary.json").read_text())["stages"]


def looked_at(folder: Path) -> tuple[int, float]:
    """How many taps have maps in the record, and the smallest share of the loss among them at NAD's first step."""
    events = read_events(folder).events
    mapped = {event.tap for event in events if isinstance(event, AttentionCaptured)}
    first = next(event for event in events if isinstance(event, AttentionHealth))
    return len(mapped), min(tap.share for tap in first.taps)


def measure(family: str, network: str, size: int | None, scratch: Path) -> str:
    """One family's line."""
    data = ["--dataset", "signs"] if size is None else ["--dataset", "gtsrb", "--set", f"data.size={size}"]
    options = [*SHORT, *data, "--model", network]
    process, whole = begin(scratch / "whole", *options)
    since = time.monotonic()
    if process.wait() != 0:
        return f"{family} ({network}): the run ended with {process.returncode}"
    length = time.monotonic() - since
    folder = killed_and_resumed(scratch / "cut", length * 0.7, *options)
    same = outcome(folder) == outcome(whole)
    before, again = out_and_in(whole, scratch, *options)
    taps, share = looked_at(whole)
    return (
        f"{family} ({network}): {taps} taps mapped, smallest share {100 * share:.2f} %; "
        f"resumed the same: {same}; out and in again: ACC {before:.2f} and {again:.2f}"
    )


def main() -> None:
    """Measure the families named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, help="of GTSRB's images")
    parser.add_argument("families", nargs="*")
    given = parser.parse_args()
    for name, family in FAMILIES.loaded().items():
        if family.smallest and (not given.families or name in given.families):
            with tempfile.TemporaryDirectory() as scratch:
                sys.stdout.write(measure(name, family.smallest, given.size, Path(scratch)) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
