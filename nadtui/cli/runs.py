"""Recorded runs, found and folded: `nadtui runs`, and what the other commands read."""

from __future__ import annotations

import time
from pathlib import Path

from engine.errors import RequestError
from engine.record import store
from engine.record.view import fold
from engine.storage.paths import runs_dir
from nadtui import diagnostics, formatting
from nadtui.cli import output
from nadtui.runs.digest import Report


def load(reference: str, out: Path | None) -> Report:
    """The run that `reference` means: an id, the beginning of one, a folder, or `latest`.

    Raises:
        RequestError: there is none, or its record cannot be read.
    """
    folder = store.find_run(out or runs_dir(), reference)
    state = store.status(folder)
    if state == "newer":
        raise RequestError(f"{folder} was written by a newer nadtui: update nadtui to read it")
    log = store.read_events(folder)
    try:
        view = fold(log.events)
        report = Report(folder, view, _state(state, view.status), log.damaged)
        report.facts()
    except (TypeError, ValueError, AttributeError, KeyError, OverflowError, OSError):
        raise RequestError(f"{folder}: its record is damaged") from None
    if not view.run:
        raise RequestError(f"{folder}: its record is {'damaged' if log.damaged else 'empty'}")
    return report


def _state(of_the_folder: str, of_the_record: str) -> str:
    """The store knows whether the writer lives, the record whether it holds still."""
    return of_the_record if of_the_folder == "running" and of_the_record == "paused" else of_the_folder


def list_runs(out: Path | None) -> None:
    """Print all runs, newest first."""
    root = out or runs_dir()
    heads = store.list_runs(root)
    if not heads:
        diagnostics.note(f"no runs in {root}")
        return
    from nadtui.cli import tables

    now = time.time()
    narrow = [_row(head, now) for head in heads]
    wide = [
        [*row[:2], str(head.preset or "–"), str(head.dataset or "–"), _seed(head), *row[2:]]
        for head, row in zip(heads, narrow, strict=True)
    ]
    output.show(
        lambda width: tables.fitting(
            width,
            tables.make(["run", "state", "preset", "dataset", "seed", "ACC", "ASR", "age"], wide),
            tables.make(["run", "state", "ACC", "ASR", "age"], narrow),
        )
    )


def _seed(head: store.RunHead) -> str:
    return "–" if head.seed is None else str(head.seed)


def _row(head: store.RunHead, now: float) -> list[str]:
    at = f" in {head.stage}" if head.stage and head.status not in ("finished", "damaged", "newer") else ""
    return [
        head.id,
        head.status + at,
        f"{formatting.percentage(head.acc_before)} → {formatting.percentage(head.acc_after)}",
        f"{formatting.percentage(head.asr_before)} → {formatting.percentage(head.asr_after)}",
        "–" if head.started is None else formatting.age(now - head.started),
    ]
