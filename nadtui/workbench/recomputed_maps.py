"""Attention maps under another operator than the run's, computed in the background from its checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from engine.config.run import DistillSettings
from engine.errors import RequestError
from engine.events import AttentionCaptured, SampleShown
from engine.record.view import RunView

OPERATORS: tuple[str, ...] = get_args(DistillSettings.model_fields["operator"].annotation)


@dataclass(frozen=True)
class Recomputed:
    """Maps under one operator, by stage, sample and tap, as far as they are there."""

    operator: str
    note: str = ""
    """Why a stage has none."""
    maps: dict[tuple[str, int, str], AttentionCaptured] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """What there is to compute; made in the interface's thread, so that the other one needs no view."""

    folder: Path
    stages: Sequence[str]
    samples: Sequence[SampleShown]
    model: str
    classes: int
    operator: str
    p: float


def own_operator(view: RunView) -> str:
    """The operator that the run recorded its maps with."""
    return str(view.config.get("distill", {}).get("operator", "sum_p"))


def next_operator(view: RunView, now: str | None) -> str | None:
    """The operator after `now` (None = the run's own), the run's own left out; None = back to it."""
    others = [name for name in OPERATORS if name != own_operator(view)]
    place = others.index(now) + 1 if now in others else 0
    return others[place] if place < len(others) else None


def task(view: RunView, folder: Path, operator: str) -> Task:
    """What must be computed for a run.

    Raises:
        RequestError: the record does not tell enough of the run.
    """
    try:
        return Task(
            folder,
            [stage.name for stage in view.stages.values() if stage.finished is not None],
            [view.samples[number] for number in sorted(view.samples)],
            str(view.model["name"]),
            int(view.dataset["classes"]),
            operator,
            float(view.config.get("distill", {}).get("p", 2.0)),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RequestError("the record does not tell the run's model: its maps cannot be recomputed") from None


def compute(task: Task) -> Recomputed:
    """Compute them; loads torch, and is meant for a thread.

    Raises:
        RequestError: a checkpoint that is absent, damaged or does not fit.
    """
    from engine.attention.recompute import recapture

    if not task.stages or not task.samples:
        return Recomputed(task.operator, "no checkpoint yet")
    captured = recapture(
        task.folder,
        task.stages,
        task.samples,
        model=task.model,
        classes=task.classes,
        operator=task.operator,
        p=task.p,
    )
    maps = {(each.stage, each.sample, each.tap): each for each in captured}
    return Recomputed(task.operator, "no checkpoint yet", maps)
