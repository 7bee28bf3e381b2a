"""A recorded run, found by what a person calls it, and folded: what commands and screens read of it."""

from __future__ import annotations

from pathlib import Path

from engine.errors import RequestError
from engine.record.listing import find_run, status
from engine.record.reading import read_events
from engine.record.state import RunState
from engine.record.view import fold
from engine.storage.paths import runs_dir
from nadtui.runs.digest import Report


def load(reference: str, out: Path | None) -> Report:
    """The run that `reference` means: an id, the beginning of one, a folder, or `latest`.

    Raises:
        RequestError: there is none, or its record cannot be read.
    """
    folder = find_run(out or runs_dir(), reference)
    state = status(folder)
    if state is RunState.NEWER:
        raise RequestError(f"{folder} was written by a newer nadtui: update nadtui to read it")
    log = read_events(folder)
    try:
        view = fold(log.events)
        report = Report(folder, view, _state(state, view.status), log.damaged)
        report.facts()
    except (TypeError, ValueError, AttributeError, KeyError, OverflowError, OSError):
        raise RequestError(f"{folder}: its record is damaged") from None
    if not view.run:
        raise RequestError(f"{folder}: its record is {'damaged' if log.damaged else 'empty'}")
    return report


def _state(of_the_folder: RunState, of_the_record: RunState) -> RunState:
    """The folder knows whether the writer lives, the record whether it holds still."""
    holds_still = of_the_folder is RunState.RUNNING and of_the_record is RunState.PAUSED
    return of_the_record if holds_still else of_the_folder
