"""Erased, or only asleep: what a run's verification says, as a table and in lines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.events import Verified
from engine.record.stage_view import StageView
from engine.record.view import RunView
from nadtui import formatting

TITLE = "Erased, or only asleep?"
_ABSENT = formatting.percentage(None)
_NONE = {"t50": "never"}
"""How a figure that was measured and is NaN, null in a summary, is said where it means something."""


@dataclass(frozen=True)
class Measure:
    """A figure that a verification comes to."""

    title: str
    test: str
    figure: str
    percent: bool = True
    controlled: bool = False
    """Whether a clean model's stands beside it."""

    def said(self, figures: Mapping[str, float | None] | None) -> str:
        """The figure among those of its test; a dash where there is none, a word where that itself says something."""
        if not figures or self.figure not in figures:
            return _ABSENT
        value = figures[self.figure]
        return self.unreached or _ABSENT if value is None or math.isnan(value) else self.shown(value)

    @property
    def name(self) -> str:
        """As a column of the book is called: `retuned`, `t50`."""
        return self.title.partition(" ")[0]

    @property
    def unreached(self) -> str:
        """What is said where the figure was measured and there is none; empty where that says nothing."""
        return _NONE.get(self.figure, "")

    @property
    def beside(self) -> str:
        """The title of a column that has a clean model's figure in brackets, where there is such a thing."""
        return f"{self.title.removesuffix(' ASR')} (clean)" if self.controlled else self.title

    def of(self, stage: Mapping[str, Any]) -> float | None:
        """The figure of a summary's stage; None where there is none."""
        return self._told(stage).get("figures", {}).get(self.figure)

    def of_stage(self, stage: Mapping[str, Any]) -> str:
        """The figure of a summary's stage, a clean model's behind it: `41.2 (12.0)`."""
        told = self._told(stage)
        control = f" ({self.said(told.get('control'))})" if self.controlled and told.get("control") else ""
        return self.said(told.get("figures")) + control

    def _told(self, stage: Mapping[str, Any]) -> Mapping[str, Any]:
        return (stage.get("verified") or {}).get(self.test) or {}

    def shown(self, value: float) -> str:
        """The figure as it is written."""
        return formatting.percentage(value) if self.percent else f"{value:.2f}"


MEASURES = (
    Measure("retuned ASR", "retuning", "asr_after", controlled=True),
    Measure("t50", "linear-path", "t50", percent=False, controlled=True),
    Measure("existence", "existence", "coefficient", percent=False),
    Measure("woken ASR", "perturbation", "asr", controlled=True),
)
COLUMNS = ("model", *(title for each in MEASURES for title in (each.title, *["clean"] * each.controlled)))
LEGEND = (
    "retuned: ASR after 5 epochs on 2 % of the training data with five triggered images. t50: how far from the suspect "
    "to the model, on the straight line, ASR falls below 50 %. existence: 1 = the trigger's channels answer as the "
    "suspect's do, 0 = as a clean model's. woken: ASR with a perturbation of 0.05 on top of the trigger. clean: the "
    "same of a clean model of the zoo."
)


def measured_in(stages: Iterable[Mapping[str, Any]]) -> list[Measure]:
    """The figures that summaries' stages have, any of them."""
    tests = {test for stage in stages for test in stage.get("verified") or {}}
    return [each for each in MEASURES if each.test in tests]


def rows(view: RunView) -> list[tuple[str, ...]]:
    """A row for each purified model that was verified; a dash for what was not, or could not be, measured."""
    return [_row(stage) for stage in view.stages.values() if stage.verified]


def _row(stage: StageView) -> tuple[str, ...]:
    cells = [stage.name]
    for each in MEASURES:
        event = stage.verified.get(each.test)
        cells.append(each.said(event and event.figures))
        if each.controlled:
            cells.append(each.said(event and event.control))
    return tuple(cells)


def remarks(view: RunView) -> list[str]:
    """Why there are dashes in the table, a line each, none twice."""
    return list(dict.fromkeys(line for stage in view.stages.values() for line in remarks_on(stage)))


def remarks_on(stage: StageView) -> list[str]:
    """The same of one model."""
    return list(dict.fromkeys(line for event in stage.verified.values() for line in _why(stage, event)))


def _why(stage: StageView, event: Verified) -> Iterator[str]:
    if event.unfit:
        yield f"{stage.name}, {event.test}: {event.unfit}."
    elif event.uncontrolled:
        yield f"No control for {event.test}: {event.uncontrolled}."


def line(event: Verified) -> str:
    """One measurement, for a log."""
    if event.unfit:
        return f"{event.stage}, {event.test}: {event.unfit}"
    control = f" (a clean model: {_named(event.control)})" if event.control else ""
    without = f" (no control: {event.uncontrolled})" if event.uncontrolled else ""
    cost = f", {formatting.count(event.image_steps)} image steps" if event.image_steps else ""
    return f"{event.stage}, {event.test}: {_named(event.figures)}{control}{without}{cost}"


def _named(figures: Mapping[str, float]) -> str:
    """Figures of a measurement with their names; what was not reached on the way has none."""
    return ", ".join(
        f"{name} {_NONE.get(name, _ABSENT) if math.isnan(value) else formatting.number(value)}"
        for name, value in figures.items()
    )
