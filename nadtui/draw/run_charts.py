"""Charts of a run: its ACC, ASR and losses, stage after stage. Free of textual and torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from engine.record.view import EvaluationPoint, LossPoint, RunView, StageView
from nadtui.draw import colors
from nadtui.draw.terminal_plot import Chart, Series, smooth

Axis = Literal["step", "epoch", "seconds"]
AXES: tuple[Axis, ...] = ("step", "epoch", "seconds")
SMOOTHING = (0.0, 0.6, 0.9, 0.97)
"""Weights of the past that a key steps through; 0 = the measured values."""
MARKS = ("braille", "o", "x", "+", "*", "#", "%")
"""What a series is drawn with where there is no color; where there is, all are drawn in braille."""


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


def figure_points(view: RunView, figure: Literal["acc", "asr"], axis: Axis) -> tuple[list[float], list[float]]:
    """A run's ACC or ASR in percent over all its stages, with a gap between two of them.

    Each stage after the attack begins with the figures of the backdoored model, whose copy it trains.
    """
    xs: list[float] = []
    ys: list[float] = []
    backdoored = view.stages.get("attack")
    for span in spans(view, axis):
        points = span.stage.evaluations
        if not points:
            continue
        if xs:
            xs.append(span.begin)
            ys.append(math.nan)
        trained = bool(span.stage.epochs) and points[0].epoch > 0
        if span.stage is not backdoored and trained and backdoored is not None and backdoored.finished is not None:
            xs.append(span.begin)
            ys.append(getattr(backdoored.finished.metrics, figure))
        xs += [place_of(span, point, axis) for point in points]
        ys += [getattr(point.metrics, figure) for point in points]
    return xs, ys


def figures_chart(view: RunView, axis: Axis, *, zoom: str | None = None, dark: bool = True) -> Chart:
    """ACC and ASR across all stages on one axis."""
    places = (("ACC", "acc", colors.ACC), ("ASR", "asr", colors.ASR))
    series = tuple(
        Series(name, colors.series(place, dark=dark), *figure_points(view, figure, axis), MARKS[place])
        for name, figure, place in places
    )
    found = spans(view, axis)
    return Chart(
        series,
        tuple((span.begin, span.stage.name) for span in found),
        axis,
        (0.0, 100.0),
        _x_range(found, zoom),
        unit=" %",
    )


def loss_chart(
    view: RunView,
    axis: Axis,
    *,
    zoom: str | None = None,
    smoothing: float = 0.0,
    log_y: bool = False,
    dark: bool = True,
) -> Chart:
    """The loss and its summands across all stages."""
    found = spans(view, axis)
    names = dict.fromkeys(name for span in found for point in span.stage.losses[:1] for name in point.parts)
    parts = list(names) if len(names) > 1 else []
    series = []
    xs = _over_stages(found, lambda span: [place_of(span, point, axis) for point in span.stage.losses], math.nan)
    for place, name in enumerate(["loss", *parts]):
        ys = _over_stages(found, partial(_losses, name=name, smoothing=smoothing), math.nan)
        series.append(Series(name, colors.series(place, dark=dark), xs, ys, MARKS[place % len(MARKS)]))
    boundaries = tuple((span.begin, span.stage.name) for span in found)
    return Chart(tuple(series), boundaries, axis, None, _x_range(found, zoom), log_y)


def _over_stages(found: list[Span], values: Callable[[Span], list[float]], gap: float) -> list[float]:
    """The values of all stages that have losses, one after another, with a gap between two stages."""
    joined: list[float] = []
    for span in found:
        if span.stage.losses:
            joined += [gap, *values(span)] if joined else values(span)
    return joined


def _losses(span: Span, name: str, smoothing: float) -> list[float]:
    points = span.stage.losses
    values = [point.loss for point in points] if name == "loss" else [p.parts.get(name, math.nan) for p in points]
    return smooth(values, smoothing)


def _x_range(found: list[Span], zoom: str | None) -> tuple[float, float] | None:
    chosen = [span for span in found if span.stage.name == zoom] or found
    if not chosen:
        return None
    low, high = chosen[0].begin, chosen[-1].end
    return (low, high) if high > low else None
