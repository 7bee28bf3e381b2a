"""A run small enough for tests: a few hundred drawn signs, a WRN-10-1, two epochs a stage."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.config.layers import merge, parse_override
from engine.config.presets import resolve
from engine.config.run import RunConfig
from engine.events import Event, StageFinished
from engine.running.request import RunRequest

TINY: dict[str, Any] = {
    "precision": "fp32",
    "threads": 1,
    "data": {"train_images": 300, "test_images": 120, "clean_fraction": 0.2, "size": 16},
    "model": {"name": "wrn-10-1"},
    "training": {"epochs": 3, "batch_size": 64, "lr": 0.1},
    "defenses": {
        "nad": {
            "teacher": {"training": {"epochs": 2, "batch_size": 32}},
            "distill": {"training": {"epochs": 2, "batch_size": 32}},
        },
        "fine-tuning": {"training": {"epochs": 2, "batch_size": 32}},
    },
    "evaluation": {"images": 60, "samples": 2},
}

SET = [
    *("--set", "precision=fp32", "--threads", "1"),
    *("--set", "data.train_images=300", "--set", "data.test_images=120", "--set", "data.clean_fraction=0.2"),
    *("--set", "data.size=16"),
    *("--set", "model.name=wrn-10-1"),
    *("--set", "training.batch_size=64", "--set", "training.lr=0.1"),
    *("--set", "defenses.nad.teacher.training.batch_size=32"),
    *("--set", "defenses.nad.distill.training.batch_size=32"),
    *("--epochs", "attack=3", "--epochs", "teacher=2", "--epochs", "nad=2"),
    *("--set", "evaluation.images=60", "--set", "evaluation.samples=2"),
]
"""The same as options of `nadtui run`."""


ENDLESS = "training.epochs=10000"
"""What has a run still be in its first stage whenever a test comes to it, on the fastest machine and the slowest."""


def tiny_config(
    preset: str | None = "badnets",
    *overrides: str,
    defended_by: Sequence[str] = ("nad",),
    dataset: str = "signs",
    **layers: Any,
) -> RunConfig:
    """The tiny configuration of a preset, `overrides` in the form of --set on top."""
    known = {name: settings for name, settings in TINY["defenses"].items() if name in defended_by}
    values = merge({**TINY, "defenses": known}, layers)
    for text in overrides:
        values = merge(values, parse_override(text))
    return resolve(preset, dataset=dataset, overrides=[values], defenses=defended_by)


def run_all(config: RunConfig, out: Path, **request: Any) -> list[Event]:
    """Run to the end; every event, those of the preparation included."""
    from engine import run

    return list(run(RunRequest(config=config, out=out, **request)))


def finished(events: list[Event]) -> dict[str, StageFinished]:
    """The finished stages by name."""
    return {event.stage: event for event in events if isinstance(event, StageFinished)}


def outcome(folder: Path) -> list[tuple]:
    """The figures and the weights of a finished run: all that a resumed one must share with it."""
    summary = json.loads((folder / "summary.json").read_text())
    return [(s["stage"], s["acc"], s["asr"], s["ra"], s["base"], s["sha256"]) for s in summary["stages"]]


def runs_in(out: Path) -> list[Path]:
    """The run folders in `out`."""
    return [path for path in out.iterdir() if not path.name.startswith(".")] if out.is_dir() else []


def begin(out: Path, *options: str) -> tuple[subprocess.Popen, Path]:
    """Start `nadtui run --headless` in a process of its own; return it and its folder once that is there."""
    command = [sys.executable, "-m", "nadtui", "run", "--headless", "--no-cache", "--out", str(out), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not runs_in(out):
        if process.poll() is not None:
            raise RuntimeError(f"the run ended with {process.returncode} before it began")
        time.sleep(0.01)
    return process, runs_in(out)[0]


def resume(folder: Path) -> subprocess.CompletedProcess:
    """Resume a run in a process of its own, to its end."""
    command = [sys.executable, "-m", "nadtui", "run", "--headless", "--resume", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
