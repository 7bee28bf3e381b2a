"""A row of the laboratory's book as it is filtered, shown and put together with others. Free of torch."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nadtui.runs.columns import COLUMNS, FIGURES, STAGES

_WORDS = ("data", "preset", "network", "defense", "recipe", "status", "note")
_ALIASES = {"dataset": "data", "model": "network", "seed": "seeds"}
_SPARED = ("training", "augment", "objective")
"""Parts of a field's path that a table can do without."""


@dataclass(frozen=True)
class Row:
    """One row of the book; cells that are not known are None."""

    cells: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.cells.get(name)

    @property
    def n(self) -> int:
        """Of how many clean subsets its figures are."""
        return len(self["seeds"] or ())

    @cached_property
    def words(self) -> str:
        """What a bare word of a filter is looked for in: what a table shows of it in words, the note too."""
        return " ".join([*(self[name] or "" for name in _WORDS), *(self["differs"] or ())])

    def values(self, name: str) -> Sequence[Any]:
        """Every value that a filter knows by that name: a column's, or an override's by its path or the end of one."""
        if name in FIGURES:
            name = f"{name}.after" if self[f"{name}.after"] is not None else f"{name}.before"
        value = self.n if name == "n" else self[_ALIASES.get(name, name)]
        if value is not None:
            return value if isinstance(value, list) else (value,)
        pairs = (text.partition("=") for text in self["differs"] or ())
        return [_plain(given) for path, _, given in pairs if f".{path.casefold()}".endswith(f".{name}")]

    def shown(self, name: str) -> str:
        """A cell as a table shows it; empty where it is not known."""
        return "" if self[name] is None else COLUMNS[name].show(self[name])

    def figures(self, stage: str) -> str:
        """`ACC / ASR` of a stage, each with its spread; without a trigger `ACC (base rate)`; empty if not measured."""
        acc, asr, base = (self._figure(f"{figure}.{stage}") for figure in ("acc", "asr", "base"))
        if asr:
            return f"{acc or '–'} / {asr}"
        return f"{acc} (base {base})" if acc and base else acc

    def _figure(self, name: str) -> str:
        return " ± ".join(filter(None, (self.shown(name), self.shown(f"{name}.std"))))

    @property
    def defender(self) -> str:
        """The defense, and its recipe where it is not the default."""
        return ", ".join(filter(None, (self["defense"], self["recipe"] if self["recipe"] != "default" else "")))

    def changes(self) -> str:
        """What differs, for a table: `teacher: lr=0.2 crop=4; training: epochs=12`."""
        parts: dict[str, list[str]] = {}
        for text in self["differs"] or ():
            path, _, value = text.removeprefix(f"defenses.{self['defense']}.").partition("=")
            section, *names = path.split(".")
            name = ".".join(name for name in names if name not in _SPARED)
            parts.setdefault(section, []).append(f"{name}={value}" if name else value)
        return "; ".join(f"{section}: {' '.join(said)}" for section, said in parts.items())

    def to_dict(self) -> dict[str, Any]:
        """Every column in plain types, null where it is not known."""
        return {**{name: self[name] for name in COLUMNS}, "n": self.n}


def _plain(text: str) -> Any:
    """An override's value: JSON where it is any, else text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


_ONE = ("data", "preset", "network", "defense", "recipe", "differs", "suspect", "attack.seed", "status")
"""Rows that agree in these are of one suspect and one defense: they differ in their clean subset, or repeat a run."""


def groups(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows of one suspect and one defense together, in the order in which they first come."""
    return _alike(rows, lambda row: [row[name] for name in _ONE])


def merged(rows: Sequence[Row]) -> Row:
    """One group as one row: of several clean subsets mean and standard deviation, unless a row has these already."""
    widest = max(rows, key=lambda row: row.n)
    by_subset = {tuple(row["seeds"] or ()): row for row in rows}
    if widest.n > 1 or len(by_subset) == 1:
        return widest
    figures = _spread(list(by_subset.values()), alike="before")  # they are of one suspect
    return Row({**widest.cells, "seeds": sorted(seed for seeds in by_subset for seed in seeds), **figures})


def families(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows of one preset and one defense together, whichever the suspect, in the order in which they first come."""

    def kin(row: Row) -> list[Any]:
        zoo = re.sub(r"-\d+$", "", row["suspect"] or "")  # a suspect there is named by its attack seed, too
        return [zoo, *(row[name] for name in _ONE if name not in ("attack.seed", "suspect"))]

    return _alike(rows, kin)


def _alike(rows: Iterable[Row], key: Callable[[Row], list[Any]]) -> list[list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(json.dumps(key(row)), []).append(row)
    return list(found.values())


def across(rows: Iterable[Row]) -> Row:
    """One family as one row: of several suspects, each the mean of its clean subsets, mean and standard deviation."""
    suspects = [merged(group) for group in groups(rows)]
    if len(suspects) == 1:
        return suspects[0]
    seeds = sorted({seed for row in suspects for seed in row["seeds"] or ()})
    return Row({**suspects[0].cells, "attack.seed": None, "seeds": seeds, **_spread(suspects)})


def _spread(rows: Sequence[Row], alike: str | None = None) -> dict[str, float | None]:
    """Means of the figures that all rows have, and standard deviations, but of the stage that is alike in all."""
    cells: dict[str, float | None] = {}
    for figure in FIGURES:
        for stage in STAGES:
            name = f"{figure}.{stage}"
            values = [row[name] for row in rows if row[name] is not None]
            known = len(values) == len(rows)
            cells[name] = statistics.fmean(values) if known else None
            cells[f"{name}.std"] = statistics.stdev(values) if known and stage != alike else None
    return cells
