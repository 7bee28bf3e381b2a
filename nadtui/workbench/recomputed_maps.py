"""Attention maps under another operator than the run's, computed in the background from its checkpoints."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from engine import models
from engine.defenses.nad.settings import DistillSettings
from engine.errors import RequestError
from engine.events import AttentionCaptured, SampleShown
from engine.models.scale import USUAL, Size
from engine.record.folder import RunFolder
from engine.record.view import RunView

_ONE_AT_A_TIME = threading.Lock()
"""A training may want the processor."""
LARGEST = 2048
"""Side in pixels beyond which a record's images are not made as large again."""
OPERATORS: tuple[str, ...] = get_args(DistillSettings.model_fields["operator"].annotation)


@dataclass(frozen=True)
class Recomputed:
    """Maps under one operator, by stage, sample and tap, as far as they are there."""

    operator: str
    note: str = ""
    """Why a stage has none."""
    maps: dict[tuple[str, int, str], AttentionCaptured] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    """The same of those stages that have a reason of their own, by name."""


@dataclass(frozen=True)
class Task:
    """What there is to compute; made in the interface's thread, so that the other one needs no view."""

    folder: Path
    stages: Mapping[str, str]
    """Those that have a checkpoint, each with the defense whose it is; empty = the suspect's."""
    samples: Sequence[SampleShown]
    model: str
    classes: int
    operator: str
    p: float
    taps: Sequence[str] | None = None
    """The taps that the record names, if it does."""
    size: Size | None = None
    """Height and width of the run's images, if the record tells; the recorded samples of large ones are smaller."""


def own_operator(view: RunView) -> str:
    """The operator that the run recorded its maps with."""
    return str(view.attention.get("operator") or "sum_p")


def next_operator(view: RunView, now: str | None) -> str | None:
    """The operator after `now` (None = the run's own), the run's own left out; None = back to it."""
    others = [name for name in OPERATORS if name != own_operator(view)]
    place = others.index(now) + 1 if now in others else 0
    return others[place] if place < len(others) else None


def task(view: RunView, folder: Path, operator: str) -> Task:
    """What must be computed for a run.

    Raises:
        RequestError: the record does not tell enough of the run, or its network is a file's.
    """
    if models.from_file(str(view.model.get("name", ""))):
        raise RequestError("its network comes from a file, which is executed only when it is typed: recorded maps only")
    try:
        return Task(
            folder,
            {stage.name: stage.defense for stage in view.stages.values() if stage.finished is not None},
            [view.samples[number] for number in sorted(view.samples)],
            str(view.model["name"]),
            int(view.dataset["classes"]),
            operator,
            float(view.attention.get("p") or 2.0),
            view.model.get("taps"),
            _size(view.dataset.get("size")),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RequestError("the record does not tell the run's model: its maps cannot be recomputed") from None


def _size(told: object) -> Size | None:
    """Height and width as a record holds them, which a stranger may have written."""
    if told is None:
        return None
    height, width = map(int, told)  # type: ignore[call-overload]
    if not 0 < max(height, width) <= LARGEST:
        raise ValueError("no image is of that size")
    return height, width


def begun(view: RunView, folder: Path | None, operator: str) -> tuple[Recomputed, Task | None]:
    """What is shown until the maps are there, and what there is to compute for them; None = nothing can be."""
    if folder is None:
        return Recomputed(operator, "no checkpoint yet"), None
    try:
        wanted = task(view, folder, operator)
    except RequestError as error:
        return Recomputed(operator, str(error)), None
    return Recomputed(operator, f"computing {operator} from the checkpoints …"), wanted


def compute_if(task: Task, wanted: Callable[[], bool]) -> Recomputed | None:
    """Compute the maps unless, when their turn comes, they are not `wanted` any more; an error is a note of theirs."""
    with _ONE_AT_A_TIME:
        if not wanted():
            return None  # a person has gone on to the next operator
        try:
            return compute(task)
        except Exception as error:  # a stranger's checkpoint may be wrong in any way
            return Recomputed(task.operator, f"cannot be computed: {error}")


def compute(task: Task) -> Recomputed:
    """Compute them; loads torch, and is meant for a thread. What a defense edited is left out, with a note.

    Raises:
        RequestError: a checkpoint that is damaged, or a suspect's that does not fit.
    """
    from engine.attention.recompute import recapture
    from engine.storage.checkpoints import MisfitError

    if not task.stages or not task.samples:
        return Recomputed(task.operator, "no checkpoint yet")
    network = models.build(task.model, task.classes, seed=0, taps=task.taps, size=task.size or USUAL)
    done = Recomputed(task.operator, "no checkpoint yet")
    for stage, defense in task.stages.items():
        files = {stage: RunFolder(task.folder).checkpoint(stage)}
        try:
            found = recapture(files, task.samples, network, operator=task.operator, p=task.p, size=task.size)
            captured = list(found)
        except MisfitError:
            if not defense:
                raise
            done.notes[stage] = f"its network is {defense}'s own: recorded maps only"
        else:
            done.maps.update({(stage, each.sample, each.tap): each for each in captured})
    return done
