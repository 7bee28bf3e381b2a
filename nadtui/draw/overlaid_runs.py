"""The curves of several runs over each other, on one axis."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from nadtui.draw import colors
from nadtui.draw.axis import Axis, place_of, spans
from nadtui.draw.chart import Chart, Series
from nadtui.draw.run_charts import MARKS, figure_points
from nadtui.runs.comparison import groups, letters
from nadtui.runs.digest import Report

CURVES: tuple[tuple[Literal["acc", "asr"], str], ...] = (("acc", "ACC"), ("asr", "ASR"))


Points = tuple[list[float], list[float]]
"""x and y."""


def chart(
    reports: Sequence[Report],
    figure: Literal["acc", "asr"],
    axis: Axis,
    *,
    zoom: str | None = None,
    means: bool = False,
    dark: bool = True,
) -> Chart:
    """One figure of all runs over one axis, each in its own color; zoomed to a stage, each begins it at 0.

    With `means`, finished runs that differ by their seeds alone are one curve, their mean, in a band of one sample
    standard deviation to either side.
    """
    named = letters(len(reports))
    series: dict[str, Series] = {}
    for place, (letter, report) in enumerate(zip(named, reports, strict=True)):
        color = colors.series(place, dark=dark)
        points = _stage_points(report, figure, axis, zoom) if zoom else figure_points(report.view, figure, axis)
        series[letter] = Series(letter, color, *points, MARKS[place % len(MARKS)])
    boundaries = ((0.0, zoom),) if zoom else _shared_boundaries(reports, axis, list(series.values()))
    for group in groups(reports) if means else ():
        own = [series[letter] for letter in group.letters]
        joined = _mean(group.title, own)
        if joined is not None:
            series[group.letters[0]] = joined
            for letter in group.letters[1:]:
                del series[letter]
    return Chart(
        tuple(series.values()),
        boundaries,
        axis,
        (0.0, 100.0),
        _x_range(reports, axis, zoom, series.values()),
        unit=" %",
    )


def key(place: int, *, color: bool) -> str:
    """What stands for a run's curve in a legend or a heading, by the run's place."""
    return Series("", "", (), (), MARKS[place % len(MARKS)]).key(color=color)


def _x_range(
    reports: Sequence[Report], axis: Axis, zoom: str | None, curves: Iterable[Series]
) -> tuple[float, float] | None:
    """From where the first stage begins, before it was first measured, to the last point; None without any."""
    points = [x for each in curves for x in each.x if math.isfinite(x)]
    begins = [0.0] if zoom else [span.begin for report in reports for span in spans(report.view, axis)[:1]]
    return (min([*begins, *points]), max(points)) if points else None


def _mean(name: str, several: Sequence[Series]) -> Series | None:
    """The mean of curves that were measured at the same moments, with their spread; None for others."""
    if len({len(each.x) for each in several}) != 1:
        return None
    xs = [statistics.fmean(column) for column in zip(*(each.x for each in several), strict=True)]
    columns = list(zip(*(each.y for each in several), strict=True))
    known = [all(math.isfinite(value) for value in column) for column in columns]
    means = [statistics.fmean(column) if whole else math.nan for column, whole in zip(columns, known, strict=True)]
    spread = [statistics.stdev(column) if whole else math.nan for column, whole in zip(columns, known, strict=True)]
    lower = [mean - by for mean, by in zip(means, spread, strict=True)]
    upper = [mean + by for mean, by in zip(means, spread, strict=True)]
    return replace(several[0], name=name, x=xs, y=means, band=(lower, upper))


def _stage_points(report: Report, figure: Literal["acc", "asr"], axis: Axis, stage: str) -> Points:
    span = next((span for span in spans(report.view, axis) if span.stage.name == stage), None)
    if span is None:
        return [], []
    points = span.stage.evaluations
    xs = [place_of(span, point, axis) - span.begin for point in points]
    ys = [getattr(point.metrics, figure) for point in points]
    before = report.view.suspect
    if before is not None and before is not span.stage and before.finished and points and points[0].epoch > 0:
        xs, ys = [0.0, *xs], [getattr(before.finished.metrics, figure), *ys]
    return xs, ys


def _shared_boundaries(
    reports: Sequence[Report], axis: Axis, curves: Sequence[Series]
) -> tuple[tuple[float, str], ...]:
    """Where stages begin, of those that every run begins there, but for runs that have come no further than there."""
    begun = [{(span.begin, span.stage.name) for span in spans(report.view, axis)} for report in reports]
    ends = [max(filter(math.isfinite, curve.x), default=-math.inf) for curve in curves]

    def shared(mark: tuple[float, str]) -> bool:
        return all(
            mark in own or (end <= mark[0] and all(begin < mark[0] for begin, _ in own))
            for own, end in zip(begun, ends, strict=True)
        )

    return tuple(sorted(filter(shared, set().union(*begun))))


def zooms(reports: Sequence[Report]) -> list[str]:
    """The stages to which the curves can be zoomed: those that some run was measured in more than once."""
    every = [(name, stage) for report in reports for name, stage in report.view.stages.items()]
    return list(dict.fromkeys(name for name, stage in every if len(stage.evaluations) > 1))
