"""A run's defenses side by side: what each lost and left, what it chose, what it cost, and those that were n/a."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from engine.errors import RequestError
from nadtui import formatting

TITLE = "Side by side"
COLUMNS = ("defense", "ACC", "ASR", "RA", "base", "image steps", "chosen")
FIGURES = COLUMNS.index("chosen")
"""Columns in front of this one are figures, but for the first."""
AS_RUN = "run"

_By = Callable[[Mapping[str, Any]], Any]


def _rising(figure: str) -> _By:
    return lambda row: math.inf if row[figure] is None else row[figure]


def _falling(figure: str) -> _By:
    return lambda row: math.inf if row[figure] is None else -row[figure]


ORDERS: Mapping[str, _By] = {
    AS_RUN: lambda row: 0,
    "name": lambda row: row["defense"],
    "acc": _falling("acc"),
    "asr": _rising("asr"),
    "ra": _falling("ra"),
    "steps": _rising("image_steps"),
}
"""By what the rows may be sorted: best, or least, first; as they ran by default."""


def check_order(order: str) -> None:
    """Refuse what is no order (RequestError)."""
    if order not in ORDERS:
        raise RequestError(f"--sort {order}: allowed: {', '.join(ORDERS)}")


def rows(summary: Mapping[str, Any], order: str = AS_RUN) -> list[tuple[str, ...]]:
    """A row for each defense that has figures, below the suspect's, and one for each that is n/a; none where the run
    has but one of them.

    ACC, ASR, RA and base are the purified model's, the cost that of all its stages.
    """
    found = list(_found(summary))
    unfit = summary.get("unfit") or {}
    if len(found) + len(unfit) < 2:
        return []
    first = [_row("(suspect)", stage) for stage in summary["stages"] if stage.get("role") == "suspect"]
    absent = formatting.percentage(None)
    none = [(name, *[absent] * (FIGURES - 1), f"n/a: {why}") for name, why in unfit.items()]
    return [*first, *(_row(row["defense"], row) for row in sorted(found, key=ORDERS[order])), *none]


def _found(summary: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """By defense, its last purified model's entry, with what all of its stages chose and cost."""
    for name in dict.fromkeys(stage["defense"] for stage in summary["stages"] if stage.get("defense")):
        own = [stage for stage in summary["stages"] if stage["defense"] == name]
        purified = next((stage for stage in reversed(own) if stage["role"] == "purified"), None)
        if purified is not None:
            steps = [stage.get("image_steps") or 0 for stage in own]
            yield {
                **purified,
                "image_steps": sum(steps) or None,
                "chosen": [c for stage in own for c in stage["chosen"]],
            }


def _row(name: str, stage: Mapping[str, Any]) -> tuple[str, ...]:
    chosen = "; ".join(f"{each['what']} {each['choice']}" for each in stage.get("chosen") or ())
    unfinished = "" if stage["state"] == "finished" else f"after epoch {stage['epochs']}"
    return (
        name,
        *(formatting.percentage(stage[figure]) for figure in ("acc", "asr", "ra", "base")),
        formatting.count(stage.get("image_steps") or None),
        "; ".join(filter(None, (chosen, unfinished))),
    )
