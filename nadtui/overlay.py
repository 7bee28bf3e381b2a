"""The curves of several runs over each other, on one axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from nadtui import colors
from nadtui.comparison import letters
from nadtui.report import Report
from nadtui.widgets.curves import MARKS, Axis, Chart, Series, figure_points, place_of, spans

CURVES: tuple[tuple[Literal["acc", "asr"], str], ...] = (("acc", "ACC"), ("asr", "ASR"))


def chart(
    reports: Sequence[Report], figure: Literal["acc", "asr"], axis: Axis, *, zoom: str | None = None, dark: bool = True
) -> Chart:
    """One figure of all runs over one axis, each in its own color; zoomed to a stage, each begins it at 0."""
    series = []
    for place, (letter, report) in enumerate(zip(letters(len(reports)), reports, strict=True)):
        color = colors.series(place, dark=dark)
        points = _stage_points(report, figure, axis, zoom) if zoom else figure_points(report.view, figure, axis)
        series.append(Series(letter, color, *points, MARKS[place % len(MARKS)]))
    boundaries = ((0.0, zoom),) if zoom else _shared_boundaries(reports, axis)
    return Chart(tuple(series), boundaries, axis, (0.0, 100.0), unit=" %")


def _stage_points(
    report: Report, figure: Literal["acc", "asr"], axis: Axis, stage: str
) -> tuple[list[float], list[float]]:
    span = next((span for span in spans(report.view, axis) if span.stage.name == stage), None)
    if span is None:
        return [], []
    points = span.stage.evaluations
    xs = [place_of(span, point, axis) - span.begin for point in points]
    ys = [getattr(point.metrics, figure) for point in points]
    before = report.view.stages.get("attack")
    if before is not None and before is not span.stage and before.finished and points and points[0].epoch > 0:
        xs, ys = [0.0, *xs], [getattr(before.finished.metrics, figure), *ys]
    return xs, ys


def _shared_boundaries(reports: Sequence[Report], axis: Axis) -> tuple[tuple[float, str], ...]:
    """Where stages begin, as far as the runs that have come to them agree; by seconds the first run's."""
    each = [{span.stage.name: span.begin for span in spans(report.view, axis)} for report in reports]
    if axis == "seconds":
        each = each[:1]
    begins: dict[str, set[float]] = {}
    for marks in each:
        for name, begin in marks.items():
            begins.setdefault(name, set()).add(begin)
    return tuple(sorted((places.pop(), name) for name, places in begins.items() if len(places) == 1))


def zooms(reports: Sequence[Report]) -> list[str]:
    """The stages to which the curves can be zoomed: those that some run was measured in more than once."""
    every = [(name, stage) for report in reports for name, stage in report.view.stages.items()]
    return list(dict.fromkeys(name for name, stage in every if len(stage.evaluations) > 1))
