"""Runs by the value of a field, with what their figures come to: mean and sample standard deviation."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.record.state import RunState
from engine.record.verdict import Word
from nadtui import formatting
from nadtui.runs.catalog import RunRow

NOTHING = "–"
"""The group of the runs that the field says nothing of."""


@dataclass(frozen=True)
class Group:
    """The runs that agree in a field. Its figures are of the finished ones."""

    field: str
    value: str
    runs: tuple[RunRow, ...]

    @property
    def id(self) -> str:
        """What tells it from other groups, and from runs."""
        return f"{self.field}={self.value}"

    @property
    def title(self) -> str:
        """`sig · 3 runs`."""
        return f"{self.value} · {formatting.plural(len(self.runs), 'run')}"

    @property
    def finished(self) -> tuple[RunRow, ...]:
        """Those of its runs that went to their end."""
        return tuple(run for run in self.runs if run.state is RunState.FINISHED)

    def spread(self, field: str) -> str:
        """A field of the finished runs as mean ± deviation, `96.5±0.3`; what all of them say where they agree."""
        told = [value for run in self.finished for value in run.values(field)[:1]]
        if not told or len(told) < len(self.finished):
            return ""
        if len(set(map(str, told))) == 1:
            return shown(told[0])
        if not all(map(_is_number, told)):
            return ""
        return f"{statistics.fmean(told):.4g}±{statistics.stdev(told):.2g}"

    def figure(self, field: str, digits: int) -> str:
        """Mean ± deviation of a figure in percent, with so many digits behind the point, over the runs that have it."""
        known = [value for run in self.finished for value in run.values(field)[:1] if _is_number(value)]
        if len(known) < 2:
            return "".join(f"{value:.{digits}f}" for value in known)
        return f"{statistics.fmean(known):.{digits}f}±{statistics.stdev(known):.{digits}f}"

    @property
    def verdict(self) -> str:
        """The most frequent, of several such the worst, and how many runs have another: `3 erased`, `2 erased +1`."""
        words = Counter(run.verdict for run in self.finished if run.verdict)
        if not words:
            return ""
        word = max(words, key=lambda word: (words[word], list(Word).index(Word(word))))
        others = words.total() - words[word]
        return f"{words[word]} {word}" + f" +{others}" * bool(others)


def grouped(runs: Sequence[RunRow], field: str) -> list[Group]:
    """The runs by what they say of a field, groups in the order of their first runs."""
    found: dict[str, list[RunRow]] = {}
    for run in runs:
        value = " ".join(map(shown, run.values(field))) or NOTHING
        found.setdefault(value, []).append(run)
    return [Group(field, value, tuple(own)) for value, own in found.items()]


def shown(value: Any) -> str:
    """A field's value as a list has room for it."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no"}.get(value, NOTHING)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    return formatting.clean(value)


def order(run: RunRow, field: str) -> tuple[int, float, str]:
    """For sorting by a field: numbers first, then text, what has no value last."""
    value = next(iter(run.values(field)), None)
    if value is None:
        return 2, 0.0, ""
    return (0, float(value), "") if _is_number(value) else (1, 0.0, shown(value).casefold())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
