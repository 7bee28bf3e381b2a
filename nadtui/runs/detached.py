"""Runs and sweeps that go on in a process of their own, which outlives the workbench and its terminal."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.record.liveness import is_running

if TYPE_CHECKING:
    from engine.running.request import RunRequest


@dataclass(frozen=True)
class Detached:
    """A run that was handed over to a process of its own."""

    name: str
    folder: Path | None
    process: subprocess.Popen[bytes]
    log: Path
    """What the process says."""


def detach(request: RunRequest, folder: Path | None) -> Detached:
    """Go on with a run in a process of its own, which outlives this one and its terminal.

    `folder` is the run's, once it was stopped; None for one that had recorded nothing, which begins anew.
    """
    command = [sys.executable, "-m", "nadtui", "run", "--headless", "--out", str(request.out.absolute())]
    if folder is not None:
        command += ["--resume", str(folder.absolute())]
        log = folder / "headless.log"
    else:
        number, name = tempfile.mkstemp(prefix="nadtui-", suffix=".yaml")
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(request.config.to_yaml())
        command += ["--config", name]
        log = Path(name).with_suffix(".log")
    if request.typed_model:  # else the process would not execute the network's file
        command += ["--model", request.config.model.name]
    if not request.cache:
        command.append("--no-cache")
    process = _apart(command, log)
    return Detached(folder.name if folder else request.config.preset or "the run", folder, process, log)


def go_on(sweep: Path, workers: int) -> Detached:
    """Go on with a sweep in a process of its own and so many workers, which outlive this one and its terminal."""
    folder, log = sweep.absolute(), sweep / "sweep.log"
    command = [sys.executable, "-m", "nadtui", "sweep", "--resume", str(folder), "--workers", str(workers)]
    return Detached(sweep.name, folder, _apart(command, log), log)


def _apart(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)


def see_off(run: Detached, seconds: float) -> str:
    """Wait until the process has taken its run over, at most that long; says in a line what has become of it."""
    number, end = run.process.pid, time.monotonic() + seconds
    while run.process.poll() is None:
        if run.folder is not None and is_running(run.folder):
            return f"{run.name} goes on without the workbench, process {number}"
        if time.monotonic() > end:
            return f"{run.name} goes on without the workbench, process {number}; it writes to {run.log}"
        time.sleep(0.1)
    if run.process.returncode == 0:
        return f"{run.name} has gone on to its end"
    return failure(run)


def failure(run: Detached) -> str:
    """What a process that could not go on has said, in a line."""
    return f"{run.name} could not go on: {_last_line(run.log)}; all of it is in {run.log}"


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        lines = []
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")
