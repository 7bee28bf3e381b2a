"""A sweep small enough for tests and measurements: cells of a few hundred drawn signs and a WRN-10-1."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.config.layers import merge
from engine.events import Evaluation
from engine.record.liveness import read_heartbeat
from engine.record.reading import read_events
from engine.sweeps.grid import Grid
from engine.sweeps.layout import RUNS
from engine.sweeps.rows import rows
from tests.tiny import TINY

BASE: dict[str, Any] = {
    "precision": "fp32",
    "data": TINY["data"],
    "model": TINY["model"],
    "training": TINY["training"],
    "defenses": {"fine-tuning": {"training": {"epochs": 2, "batch_size": 32}}},
    "evaluation": {"every": 1, "images": 60, "samples": 0},
}


def grid(base: dict[str, Any] | None = None, **axes: Any) -> Grid:
    """Fine-tuning of a suspect of badnets; `axes` and `base` on top."""
    return Grid({"preset": ["badnets"], "defense": ["fine-tuning"], **axes}, merge(BASE, base or {}))


def options(base: dict[str, Any], prefix: str = "") -> list[str]:
    """A base as options of `nadtui sweep`."""
    found: list[str] = []
    for name, value in base.items():
        inner = isinstance(value, dict)
        found += options(value, f"{prefix}{name}.") if inner else ["--set", f"{prefix}{name}={value}"]
    return found


def table(folder: Path) -> list[tuple[Any, ...]]:
    """The figures of a sweep, cell for cell: all that two ways of carrying it out must share."""
    return sorted((row.cell, row.status, row.acc, row.asr, row.ra, row.suspect_acc) for row in rows(folder))


def trained_twice(folder: Path) -> list[tuple[str, str, int]]:
    """Cells, stages and epochs that were trained to their end, and then again: each is measured at its end."""
    found = []
    for run in (folder / RUNS).iterdir():
        ends = [(event.stage, event.epoch) for event in read_events(run).events if isinstance(event, Evaluation)]
        found += [(run.name, *end) for end, times in Counter(ends).items() if times > 1]
    return found


def until(there: Callable[[], Any], seconds: float = 300.0) -> Any:
    """What `there` says as soon as it says something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = there()
        if found:
            return found
        time.sleep(0.02)
    raise TimeoutError(f"nothing within {seconds:g} s")


def saved(folder: Path) -> Path | None:
    """A run that has saved an epoch of a training it is in."""
    state = next((folder / RUNS).glob("*/checkpoints/*.state.safetensors"), None)
    return None if state is None else state.parents[1]


def kill_writer(run: Path) -> int:
    """SIGKILL to the process that writes a run; its number."""
    heartbeat = read_heartbeat(run)
    assert heartbeat is not None
    os.kill(heartbeat.pid, signal.SIGKILL)
    return heartbeat.pid
