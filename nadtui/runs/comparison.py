"""Runs side by side: their figures in one table, mean and spread over seeds, the fields in which they differ."""

from __future__ import annotations

import math
import statistics
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nadtui import formatting
from nadtui.runs.digest import Report, flatten

MOST = 6
"""Runs that one comparison holds."""
FIGURES = (("acc", "ACC"), ("asr", "ASR"), ("ra", "RA"), ("base", "base"), ("seconds", "seconds"))
_OF_A_REPEAT = ("seed", "attack.seed", "device", "threads")
"""Fields that repeats of one experiment may differ in."""


@dataclass(frozen=True)
class Group:
    """Finished runs that differ by their seeds alone."""

    letters: str
    """Their letters in the comparison, as in `AC`."""
    reports: tuple[Report, ...]

    @property
    def title(self) -> str:
        """`mean A C`."""
        return "mean " + " ".join(self.letters)

    def figure(self, stage: str, key: str) -> tuple[float, float, int] | None:
        """Mean, sample standard deviation and number of the runs' figures; None for fewer than two."""
        values = [_figure(report, stage, key) for report in self.reports]
        known = [value for value in values if value is not None]
        return (statistics.fmean(known), statistics.stdev(known), len(known)) if len(known) > 1 else None


@dataclass(frozen=True)
class Table:
    """A comparison as text: a row for each stage and figure, a column for each run and group of seeds."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def letters(count: int) -> str:
    """A, B, C, ..."""
    return string.ascii_uppercase[:count]


def groups(reports: Sequence[Report]) -> list[Group]:
    """The groups of at least two finished runs that differ by their seeds alone."""
    found: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for place, report in enumerate(reports):
        if report.complete:
            fields = ((name, repr(value)) for name, value in flatten(report.view.config) if name not in _OF_A_REPEAT)
            found.setdefault(tuple(sorted(fields)), []).append(place)
    named = letters(len(reports))
    return [
        Group("".join(named[place] for place in places), tuple(reports[place] for place in places))
        for places in found.values()
        if len({_seeds(reports[place]) for place in places}) == len(places) > 1
    ]


def _seeds(report: Report) -> tuple[Any, Any]:
    """A run that was only repeated under the same seed says nothing of the spread."""
    attack = report.view.config.get("attack")
    return report.view.config.get("seed"), attack.get("seed") if isinstance(attack, Mapping) else None


def _figure(report: Report, stage: str, key: str) -> float | None:
    found = next((each for each in report.summary["stages"] if each["stage"] == stage), {})
    value = found.get(key)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def stages(reports: Sequence[Report]) -> list[str]:
    """The names of all stages that have figures, in the order of the runs."""
    return list(dict.fromkeys(str(stage["stage"]) for report in reports for stage in report.summary["stages"]))


def table(reports: Sequence[Report]) -> Table:
    """Each run's figures, those from the second on with the difference to the first; then mean ± deviation by group.

    A dash stands where there is no figure. ACC, ASR, RA and base in percent.
    """
    found = groups(reports)
    columns = ("stage", "figure", *letters(len(reports)), *(group.title for group in found))
    rows = []
    for stage in stages(reports):
        for key, title in FIGURES:
            values = [_figure(report, stage, key) for report in reports]
            cells = [formatting.percentage(values[0]), *(_changed(value, values[0]) for value in values[1:])]
            rows.append((stage, title, *cells, *(_spread(group.figure(stage, key)) for group in found)))
    return Table(columns, tuple(rows))


def _changed(value: float | None, first: float | None) -> str:
    shown = formatting.percentage(value)
    return shown if value is None or first is None else f"{shown} ({value - first:+.1f})"


def _spread(figure: tuple[float, float, int] | None) -> str:
    return formatting.percentage(None) if figure is None else f"{figure[0]:.1f} ± {figure[1]:.1f}"


def fields(reports: Sequence[Report]) -> Table:
    """The fields of the configuration in which not all runs are the same; a dash where a run has none."""
    configs = [dict(flatten(report.view.config)) for report in reports]
    names = dict.fromkeys(name for config in configs for name in config)
    rows = [
        (name, *(str(config[name]) if name in config else formatting.percentage(None) for config in configs))
        for name in names
        if any(config.get(name, _ABSENT) != configs[0].get(name, _ABSENT) for config in configs)
    ]
    return Table(("field", *letters(len(reports))), tuple(rows))


_ABSENT = object()
