"""Erased, or only asleep: what a run's verification says, as a table and in lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from engine.events import Verified
from engine.record.stage_view import StageView
from engine.record.view import RunView
from nadtui import formatting

TITLE = "Erased, or only asleep?"
COLUMNS = ("model", "retuned ASR", "clean", "t50", "existence", "woken ASR", "clean")
LEGEND = (
    "retuned: ASR after 5 epochs on 2 % of the training data with five triggered images. t50: how far from the suspect "
    "to the model, on the straight line, ASR falls below 50 %. existence: 1 = the trigger's channels answer as the "
    "suspect's do, 0 = as a clean model's. woken: ASR with a perturbation of 0.05 on top of the trigger. clean: the "
    "same of a clean model of the zoo."
)


def rows(view: RunView) -> list[tuple[str, ...]]:
    """A row for each purified model that was verified; a dash for what was not, or could not be, measured."""
    return [_row(stage) for stage in view.stages.values() if stage.verified]


def _row(stage: StageView) -> tuple[str, ...]:
    found = stage.verified
    return (
        stage.name,
        _percent(found, "retuning", "asr_after"),
        _percent(found, "retuning", "asr_after", control=True),
        _plain(found, "linear-path", "t50"),
        _plain(found, "existence", "coefficient"),
        _percent(found, "perturbation", "asr"),
        _percent(found, "perturbation", "asr", control=True),
    )


def _figure(found: Mapping[str, Verified], test: str, name: str, *, control: bool = False) -> float:
    event = found.get(test)
    figures = {} if event is None else event.control if control else event.figures
    return figures.get(name, math.nan)


def _percent(found: Mapping[str, Verified], test: str, name: str, *, control: bool = False) -> str:
    return formatting.percentage(_figure(found, test, name, control=control))


def _plain(found: Mapping[str, Verified], test: str, name: str) -> str:
    value = _figure(found, test, name)
    return formatting.percentage(None) if math.isnan(value) else f"{value:.2f}"


def remarks(view: RunView) -> list[str]:
    """Why there are dashes in the table, a line each, none twice."""
    said = (line for stage in view.stages.values() for event in stage.verified.values() for line in _why(stage, event))
    return list(dict.fromkeys(said))


def _why(stage: StageView, event: Verified) -> Iterator[str]:
    if event.unfit:
        yield f"{stage.name}, {event.test}: {event.unfit}."
    elif event.uncontrolled:
        yield f"No control: {event.uncontrolled}."


def line(event: Verified) -> str:
    """One measurement, for a log."""
    if event.unfit:
        return f"{event.stage}, {event.test}: {event.unfit}"
    figures = ", ".join(f"{name} {formatting.number(value)}" for name, value in event.figures.items())
    control = ", ".join(f"{name} {formatting.number(value)}" for name, value in event.control.items())
    return f"{event.stage}, {event.test}: {figures}" + (f" (a clean model: {control})" if control else "")
