"""The columns of the list of runs: what each says of a run, and which of them a width holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from rich.cells import set_cell_size

from engine.record.state import RunState
from engine.record.verdict import Word
from nadtui.draw.run_states import LOOKS
from nadtui.formatting import clean
from nadtui.runs import grouping
from nadtui.runs.catalog import RunRow
from nadtui.runs.grouping import Group


@dataclass(frozen=True)
class Column:
    """A column: `text` tells what it shows of a row in `width` cells."""

    title: str
    width: int
    text: Callable[[RunRow, int], str]
    align: Literal["left", "right"] = "left"
    tone: str = ""
    """The component class that colors it; empty = the row's own; `state` = that of the row's state."""
    of_group: Callable[[Group], str] = lambda group: ""
    """What it shows of several runs."""
    field: str = ""
    """Of a person's own choice, the field that it shows."""

    @property
    def name(self) -> str:
        """What rows are sorted by it under."""
        return self.field or self.title


def _percentage(value: float | None, digits: int) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _change(values: tuple[float | None, float | None], digits: int) -> str:
    """`97.1→96.5`; a single figure where there is no second."""
    before, after = (_percentage(value, digits) for value in values)
    return "" if before == after == "–" else before if after == "–" else f"{before}→{after}"


def _named(row: RunRow, width: int) -> str:
    """A run's name or preset, and what sets it off from one that looks alike: that is not cut for the name's sake."""
    name = row.notes.name or row.preset or row.id
    if not row.apart:
        return name
    whole = " ".join(row.apart)
    said = whole if len(whole) + _LEAST <= width else " ".join(part.partition(" ")[2] or part for part in row.apart)
    room = max(_LEAST, width - len(said) - 1)
    return f"{name if len(name) <= room else f'{name[: room - 1]}…'} {said}"


_LEAST = 5
"""Cells that are left to a name, and to the space behind it."""


def _progress(row: RunRow, width: int) -> str:
    """How far the stage under way is, as a bar where there is room; of others the stage they ended in."""
    if row.state is RunState.QUEUED:
        return (
            "waits" if row.queue is None else f"no. {row.queue} in line"[:width] if width >= 12 else f"no. {row.queue}"
        )
    if row.progress is None:
        return row.stage if row.state.alive or row.state.resumable else ""
    share = f"{100 * row.progress:.0f}%"
    bar = width - 18
    if bar < 4:
        name = row.stage[: max(1, width - len(share) - 1)]
        return f"{name} {share}"
    done = round(row.progress * bar)
    return f"{row.stage[:11]:<11} {'━' * done}{'─' * (bar - done)} {share:>4}"


def _condition(row: RunRow, width: int) -> str:
    """State and progress in one column, where there is room for one only."""
    if row.state in (RunState.RUNNING, RunState.QUEUED):
        return _progress(row, width)
    return row.state


_SHORT = {Word.NEVER_PLANTED: "unplanted", Word.NO_TRIGGER: "no trigger"}


def _condition_or_verdict(row: RunRow, width: int) -> str:
    """The same; of a finished run what it has come to: that it is finished, its mark tells."""
    if row.state is RunState.FINISHED and row.verdict:
        return _SHORT.get(row.verdict, row.verdict)
    return _condition(row, width)


def columns(width: int, *, several: bool = False, alike: bool = False, chosen: Sequence[str] = ()) -> list[Column]:
    """The columns that `width` cells hold, between single spaces, the preset's and the data set's taking the rest.

    Args:
        width: cells there are.
        several: some run has more than one purified model; how many more than is shown has a column then.
        alike: some runs look alike but for what their configurations differ in: that wants the room of the data set.
        chosen: a person's own columns, by title, or by any field that a filter knows; those that have no room are left
            out, the last ones first. Empty = as the width allows.
    """
    if chosen:
        return _own(width, chosen)
    more = [Column("", 3, lambda row, _: f"+{row.more}" if row.more else "")] * several
    seed = Column("seed", 4, lambda row, _: "" if row.seed is None else str(row.seed), "right")
    age = Column("age", 6, lambda row, _: row.age, "right")
    verdict = Column("verdict", 13, lambda row, _: row.verdict, tone="verdict", of_group=_verdict_in(13))
    mark = Column("", 1, lambda row, _: LOOKS[row.state].mark, tone="state")
    preset = Column("preset", 10, _named)
    data = Column("data", 5 if alike else 8, lambda row, _: row.dataset)
    if width < (70 if alike else 66):
        changes = [_figures("ACC", "acc", 9, 1), _figures("ASR", "asr", 7, 0), *more]
        state = Column("state", 10, _condition_or_verdict, tone="verdict", of_group=_verdict_in(10))
        narrow = [mark, preset, replace(data, width=min(7, data.width)), seed, state, *changes, age]
        return _filled(narrow, width, (1,))
    changes = [_figures("ACC", "acc", 11, 1), _figures("ASR", "asr", 11, 1), *more]
    state = Column("state", 8, lambda row, _: row.state, tone="state")
    if width < 104:
        both = Column("state", 12, _condition, tone="state")
        if width < 84:
            both = Column("state", 12, _condition_or_verdict, tone="verdict", of_group=_verdict_in(12))
        medium = [mark, preset, data, seed, both, *changes, *[verdict] * (width >= 84), age]
        return _filled(medium, width, (1,) if alike else (1, 2))
    stage = Column("stage", 28 if width >= 118 else 20, _progress)
    identity = Column("run", 20, lambda row, _: row.id)
    wide = [mark, identity, state, preset, data, seed, stage, *changes, verdict, age]
    wide = wide if width >= 132 else [*wide[:1], *wide[2:]]
    return _filled(wide, width, (wide.index(preset) if alike else 1,))


def _own(width: int, chosen: Sequence[str]) -> list[Column]:
    """The columns of a person's choice, what tells a run from others among them."""
    listed = {column.title.casefold(): column for column in columns(132) if column.title}
    found = [listed.get(name.casefold()) or _of_field(name) for name in dict.fromkeys(chosen)]
    if not any(column.title in _TELLING for column in found):
        found.insert(0, listed["preset"])
    found.insert(0, columns(132)[0])
    narrow = [replace(column, width=_NARROWEST.get(column.title, column.width)) for column in found]
    while len(narrow) > 2 and sum(column.width + 1 for column in narrow) - 1 > width:
        narrow.pop()
    return _filled(narrow, width, [next(place for place, each in enumerate(narrow) if each.title in _TELLING)])


_TELLING = ("run", "preset")
_NARROWEST = {"run": 8, "preset": 8, "stage": 12}
"""Cells of columns that can do with fewer than they have where there is room."""


def _of_field(name: str) -> Column:
    title = name.rpartition(".")[2] if name.rpartition(".")[2] not in _FIGURES else name

    def text(row: RunRow, width: int) -> str:
        return " ".join(map(grouping.shown, row.values(name)))

    return Column(title, max(7, min(16, len(title) + 1)), text, "right", of_group=lambda g: g.spread(name), field=name)


_FIGURES = ("acc", "asr", "ra", "base")


def _verdict_in(width: int) -> Callable[[Group], str]:
    """A group's verdict for a column so wide: as much as has room of how many have it, and how many have another."""

    def said(group: Group) -> str:
        counted = group.verdict.partition(" +")[0]
        word = counted.partition(" ")[2]
        return next((each for each in (group.verdict, counted) if len(each) <= width), word)

    return said


def _last(value: float | None) -> tuple[bool, float]:
    """What has no figure comes last."""
    return value is None, value or 0.0


SORTS: dict[str, Callable[[RunRow], Any]] = {
    "age": lambda row: -(row.started or math.inf),
    "preset": lambda row: (row.notes.name or row.preset).casefold(),
    "data": lambda row: row.dataset.casefold(),
    "seed": lambda row: _last(row.seed),
    "run": lambda row: row.id,
    "stage": lambda row: row.stage.casefold(),
    "state": lambda row: row.state,
    "ACC": lambda row: _last(None if row.acc[1] is None else -row.acc[1]),
    "ASR": lambda row: _last(row.asr[1] if row.asr[1] is not None else row.asr[0]),
    "verdict": lambda row: (row.verdict == "", row.verdict),
}
"""By the title of a column, in what order its rows come first: newest, best ACC, least ASR."""


def sort_key(name: str) -> Callable[[RunRow], Any]:
    """In what order the rows come first by the column of that name."""
    return SORTS.get(name) or (lambda row: grouping.order(row, name))


def _figures(title: str, name: str, width: int, digits: int) -> Column:
    def spread(group: Group) -> str:
        return group.figure(name, digits)

    return Column(title, width, lambda row, _: _change(getattr(row, name), digits), "right", name, spread)


def _filled(chosen: list[Column], width: int, growing: Sequence[int]) -> list[Column]:
    """Widen the columns at these places until all together are `width` wide; where there is too little, narrow them."""
    spare = width - sum(column.width for column in chosen) - (len(chosen) - 1)
    for turn, place in enumerate(growing):
        share = spare // (len(growing) - turn)
        spare -= share
        column = chosen[place]
        chosen[place] = replace(column, width=max(4, column.width + share))
    return chosen


def fitted(text: str, width: int, align: Literal["left", "right"] = "left") -> str:
    """Text in exactly so many cells, cut with an ellipsis."""
    shown = clean(text)
    if len(shown) > width:
        shown = shown[: width - 1] + "…" if width > 1 else shown[:width]
    return set_cell_size(shown.rjust(width) if align == "right" else shown, width)
