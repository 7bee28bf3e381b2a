"""A run's x axis: where its stages, its measured points and its recorded maps lie on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.record.stage_view import EvaluationPoint, LossPoint, StageView
from engine.record.view import RunView

Axis = Literal["step", "epoch", "seconds"]
AXES: tuple[Axis, ...] = ("step", "epoch", "seconds")


@dataclass(frozen=True)
class Span:
    """Where a stage lies on the x axis."""

    stage: StageView
    begin: float
    end: float


def spans(view: RunView, axis: Axis) -> list[Span]:
    """The stages that have begun, one after another on the axis; a running one reaches to its planned end."""
    found = []
    at = 0.0
    for stage in view.stages.values():
        if stage.state == "pending" and not stage.evaluations and stage.last is None:
            continue
        begin = stage.began if axis == "seconds" else at
        length = {
            "step": float(max(stage.total_steps, stage.step)),
            "epoch": float(max(stage.epochs, stage.epoch)),
            "seconds": stage.worked,
        }[axis]
        at = begin + length
        found.append(Span(stage, begin, at))
    return found


def place_of(span: Span, point: LossPoint | EvaluationPoint, axis: Axis) -> float:
    """Where a point of that stage lies on the axis."""
    if axis == "seconds":
        return span.begin + point.seconds
    if axis == "step":
        return span.begin + point.step
    return span.begin + (point.step / span.stage.steps if span.stage.steps else point.epoch)


def epoch_at(span: Span, x: float) -> int | None:
    """The epoch of the stage whose end is nearest to `x`, as the legend's figures are; None where it had not begun."""
    if x < span.begin - 1e-9:
        return None
    length = span.end - span.begin
    share = (x - span.begin) / length if length > 0 else 1.0
    return int(min(1.0, share) * max(span.stage.epochs, span.stage.epoch) + 0.5)


def moments(view: RunView, axis: Axis) -> list[float]:
    """Where on the axis attention maps were recorded, in order."""
    found = []
    for span in spans(view, axis):
        epochs = max(span.stage.epochs, span.stage.epoch)
        for epoch in span.stage.attention:
            share = epoch / epochs if epochs else 1.0
            found.append(span.begin + share * (span.end - span.begin))
    return sorted(found)


def scrubbed(places: Sequence[float], now: float | None, step: int) -> float | None:
    """The place before or after `now` (None = the newest, at which a run is followed), in the direction of `step`."""
    if not places:
        return now
    if now is None:
        return places[-2] if step < 0 and len(places) > 1 else places[-1] if step < 0 else None
    if step > 0:
        return next((x for x in places if x > now + 1e-9), None)
    return next((x for x in reversed(places) if x < now - 1e-9), places[0])


def translated(view: RunView, x: float, old: Axis, new: Axis) -> float | None:
    """The same moment on another axis."""
    before = {span.stage.name: span for span in spans(view, old)}
    after = {span.stage.name: span for span in spans(view, new)}
    for name, span in reversed(before.items()):
        if x >= span.begin and name in after:
            length = span.end - span.begin
            share = min(1.0, (x - span.begin) / length) if length else 0.0
            return after[name].begin + share * (after[name].end - after[name].begin)
    return None
