"""A run's defenses side by side: what each lost and left, what it chose, what it cost, and those that were n/a."""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from engine.errors import RequestError
from nadtui import formatting
from nadtui.runs import asleep, shadowed

TITLE = "Side by side"
AS_RUN = "run"
SUSPECT = "(suspect)"
_FIGURES = ("acc", "asr", "ra", "base")
_HEAD = ("defense", "ACC", "ASR", "RA", "base", "image steps")
_LETTERS = string.ascii_letters

_By = Callable[[Mapping[str, Any]], Any]


def _rising(figure: str) -> _By:
    return lambda row: _or_last(row[figure])


def _falling(figure: str) -> _By:
    return lambda row: math.inf if row[figure] is None else -row[figure]


def _verified(measure: asleep.Measure) -> _By:
    return lambda row: _or_last(measure.of(row))


def _or_last(value: float | None) -> float:
    return math.inf if value is None or math.isnan(value) else value


ORDERS: Mapping[str, _By] = {
    AS_RUN: lambda row: 0,
    "name": lambda row: row["defense"],
    "acc": _falling("acc"),
    "asr": _rising("asr"),
    "ra": _falling("ra"),
    "base": _rising("base"),
    "steps": _rising("image_steps"),
    "shadow": lambda row: _or_last(shadowed.of_summary(row)),
    **{each.title.removesuffix(" ASR"): _verified(each) for each in asleep.MEASURES},
}
"""By what the rows may be sorted: best, or least, first, and last what has no such figure; as they ran by default."""


def check_order(order: str) -> None:
    """Refuse what is no order (RequestError)."""
    if order not in ORDERS:
        raise RequestError(f"--sort {order}: allowed: {', '.join(ORDERS)}")


def orders_in(summary: Mapping[str, Any]) -> list[str]:
    """Those by which a run's rows can be told apart: by a figure that some defense of it has."""
    found = list(_found(summary))
    return [name for name, by in ORDERS.items() if any(by(row) != math.inf for row in found)] or [AS_RUN]


@dataclass(frozen=True)
class Row:
    """A defense's purified model, the suspect, or a defense that the network cannot bear."""

    defense: str
    cells: tuple[str, ...]
    stage: str = ""
    """Whose model it is; empty where there is none."""
    letter: str = ""
    """What stands for it in a picture, whatever the order of the rows; of the suspect and of no model none."""
    lost: float | None = None
    """Points of ACC, as soon as its figures are final."""
    left: float | None = None
    """ASR in percent, likewise."""


@dataclass(frozen=True)
class Table:
    """The rows below their titles."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def figures(self) -> int:
        """Columns in front of this one are figures, but for the first."""
        return len(self.columns) - 1

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """What stands in the rows."""
        return [row.cells for row in self.rows]


def table(summary: Mapping[str, Any], order: str = AS_RUN) -> Table | None:
    """The whole table; None where the run has but one defense: there is nothing beside it."""
    found = whole(summary, order)
    return found if sum(row.defense != SUSPECT for row in found.rows) > 1 else None


def whole(summary: Mapping[str, Any], order: str = AS_RUN) -> Table:
    """A row for each defense that has figures, below the suspect's, and one for each that is n/a.

    ACC, ASR, RA and base are the purified model's, the cost that of all its stages. What the verification says of them
    has columns where there was one.
    """
    found = list(_found(summary))
    unfit = summary.get("unfit") or {}
    measures = asleep.measured_in(found)
    shadow = any(shadowed.of_summary(row) is not None for row in found)
    columns = (*_HEAD, *[shadowed.TITLE] * shadow, *(each.beside for each in measures), "chosen")
    suspect = next((stage for stage in summary["stages"] if stage.get("role") == "suspect"), None)
    of = partial(_cells, measures=measures, shadow=shadow)
    rows = [] if suspect is None else [Row(SUSPECT, of(SUSPECT, suspect), suspect["stage"])]
    for row in sorted(found, key=ORDERS[order]):
        cells = of(row["defense"], row)
        rows.append(Row(row["defense"], cells, row["stage"], row["letter"], *_place(suspect, row)))
    absent = [formatting.percentage(None)] * (len(columns) - 2)
    rows += [Row(name, (name, *absent, f"n/a: {why}")) for name, why in unfit.items()]
    return Table(columns, tuple(rows))


def _found(summary: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """By defense, its last purified model's entry, with what all of its stages chose and cost."""
    names = dict.fromkeys(stage["defense"] for stage in summary["stages"] if stage.get("defense"))
    for place, name in enumerate(names):
        own = [stage for stage in summary["stages"] if stage["defense"] == name]
        purified = next((stage for stage in reversed(own) if stage["role"] == "purified"), None)
        if purified is not None:
            steps = [stage.get("image_steps") or 0 for stage in own]
            yield {
                **purified,
                "letter": _LETTERS[place % len(_LETTERS)],
                "image_steps": sum(steps) or None,
                "chosen": [c for stage in own for c in stage["chosen"]],
            }


def choices(stage: Mapping[str, Any]) -> str:
    """What a summary's stage chose, in a line, and where that is beyond its budget."""
    return "; ".join(map(_choice, stage.get("chosen") or ()))


def _choice(each: Mapping[str, Any]) -> str:
    cost = each.get("cost") or {"within": True}
    beyond = "" if cost["within"] else f", {formatting.percentage(cost['lost'])} lost of {cost['budget']:g}"
    return f"{each['what']} {each['choice']}{beyond}"


def _place(suspect: Mapping[str, Any] | None, row: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """ACC lost and ASR left, of a model that is done and where both are known."""
    known = suspect is not None and row["state"] == "finished"
    if not known or None in (suspect["acc"], row["acc"], row["asr"]):
        return None, None
    return suspect["acc"] - row["acc"], row["asr"]


def _cells(name: str, stage: Mapping[str, Any], measures: Sequence[asleep.Measure], *, shadow: bool) -> tuple[str, ...]:
    chosen = choices(stage)
    unfinished = "" if stage["state"] == "finished" else f"after epoch {stage['epochs']}"
    return (
        name,
        *(formatting.percentage(stage[figure]) for figure in _FIGURES),
        formatting.count(stage.get("image_steps") or None),
        *[formatting.percentage(shadowed.of_summary(stage))] * shadow,
        *(each.of_stage(stage) for each in measures),
        "; ".join(filter(None, (chosen, unfinished))),
    )
