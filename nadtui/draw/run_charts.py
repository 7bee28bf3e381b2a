"""Charts of a run: its ACC, ASR and losses, stage after stage. Free of textual and torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal

from engine.record.stage_view import EvaluationPoint, StageView
from engine.record.view import RunView
from nadtui.draw import colors
from nadtui.draw.axis import Axis, Span, place_of, spans
from nadtui.draw.chart import Chart, Series, smooth
from nadtui.runs import shadowed

SMOOTHING = (0.0, 0.6, 0.9, 0.97)
"""Weights of the past that a key steps through; 0 = the measured values."""
MARKS = ("braille", "o", "x", "+", "*", "#", "%", "@")
"""What a series is drawn with where there is no color; where there is, all are drawn in braille."""


_PLACES: tuple[tuple[str, Literal["acc", "asr"], int], ...] = (("ACC", "acc", colors.ACC), ("ASR", "asr", colors.ASR))


def figure_points(
    view: RunView, figure: Literal["acc", "asr"], axis: Axis, zoom: str | None = None
) -> tuple[list[float], list[float]]:
    """A run's ACC or ASR in percent over all its stages, or one, with a gap between two of them.

    Each stage after the suspect's begins with the figures of the suspect, whose copy it trains.
    """

    def measured(stage: StageView) -> list[_Measured]:
        return [(point, getattr(point.metrics, figure)) for point in stage.evaluations]

    return _curve(view, axis, zoom, measured)


def shadow_points(view: RunView, axis: Axis, zoom: str | None = None) -> tuple[list[float], list[float]]:
    """What the made-up triggers do over all stages, or one: as `figure_points` of an ASR."""

    def tried(stage: StageView) -> list[_Measured]:
        looked = {point.epoch: point for point in stage.evaluations}
        return [(looked[each.epoch], shadowed.main(each.figures)) for each in stage.shadows if each.epoch in looked]

    return _curve(view, axis, zoom, tried)


_Measured = tuple[EvaluationPoint, float]
"""When a model was looked at, and a figure of it."""


def _curve(
    view: RunView, axis: Axis, zoom: str | None, of: Callable[[StageView], list[_Measured]]
) -> tuple[list[float], list[float]]:
    xs: list[float] = []
    ys: list[float] = []
    suspect = view.suspect
    before = of(suspect)[-1:] if suspect is not None and suspect.finished is not None else []
    for span in _shown(spans(view, axis), zoom):
        points = of(span.stage)
        if not points:
            continue
        if xs:
            xs.append(span.begin)
            ys.append(math.nan)
        if span.stage is not suspect and span.stage.epochs and points[0][0].epoch > 0:
            xs += [span.begin for _ in before]
            ys += [value for _, value in before]
        xs += [place_of(span, point, axis) for point, _ in points]
        ys += [value for _, value in points]
    return xs, ys


def figures_chart(view: RunView, axis: Axis, *, zoom: str | None = None, dark: bool = True) -> Chart:
    """ACC and, as far as there are triggers, ASR and shadow ASR across all stages on one axis."""
    series = tuple(
        Series(name, colors.series(place, dark=dark), *figure_points(view, figure, axis, zoom), MARKS[place])
        for name, figure, place in _PLACES[: 2 if view.attacked else 1]
    )
    if view.proxies is not None:
        place = len(_PLACES)
        points = shadow_points(view, axis, zoom)
        series += (Series(shadowed.TITLE, colors.series(place, dark=dark), *points, MARKS[place]),)
    found = _shown(spans(view, axis), zoom)
    return Chart(
        series,
        tuple((span.begin, span.stage.name) for span in found),
        axis,
        (0.0, 100.0),
        _x_range(found),
        unit=" %",
    )


def way_chart(stage: StageView, *, attacked: bool = True, dark: bool = True) -> Chart:
    """ACC and, if there is a trigger, ASR of the models on the way to a stage's."""
    columns = {figure: [getattr(point.metrics, figure) for point in stage.curve] for _, figure, _ in _PLACES}
    return _by_t({"t": [point.at for point in stage.curve], **columns}, attacked=attacked, dark=dark)


def path_chart(stage: StageView, *, dark: bool = True) -> Chart:
    """ACC and ASR on the straight line from the suspect to a stage's model, where its verification has measured it."""
    event = stage.verified.get("linear-path")
    return _by_t(event.points if event is not None else {}, dark=dark)


def _by_t(columns: Mapping[str, Sequence[float]], *, attacked: bool = True, dark: bool) -> Chart:
    """ACC and, if there is a trigger, ASR over t, from columns of numbers by name: t, acc, asr."""
    series = tuple(
        Series(name, colors.series(place, dark=dark), columns.get("t", ()), columns.get(figure, ()), MARKS[place])
        for name, figure, place in _PLACES[: 2 if attacked else 1]
    )
    return Chart(series, (), "t", (0.0, 100.0), unit=" %")


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
    found = _shown(spans(view, axis), zoom)
    names = dict.fromkeys(name for span in found for point in span.stage.losses[:1] for name in point.parts)
    parts = list(names) if len(names) > 1 else []
    series = []
    xs = _over_stages(found, lambda span: [place_of(span, point, axis) for point in span.stage.losses], math.nan)
    for place, name in enumerate(["loss", *parts]):
        ys = _over_stages(found, partial(_losses, name=name, smoothing=smoothing), math.nan)
        series.append(Series(name, colors.series(place, dark=dark), xs, ys, MARKS[place % len(MARKS)]))
    boundaries = tuple((span.begin, span.stage.name) for span in found)
    return Chart(tuple(series), boundaries, axis, None, _x_range(found), log_y)


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


def _shown(found: list[Span], zoom: str | None) -> list[Span]:
    """The one stage that is zoomed to, where it has begun; else all: a legend then reads no other stage's values."""
    return [span for span in found if span.stage.name == zoom] or found


def _x_range(found: list[Span]) -> tuple[float, float] | None:
    if not found:
        return None
    low, high = found[0].begin, found[-1].end
    return (low, high) if high > low else None
