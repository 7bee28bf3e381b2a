"""`nadtui compare`: runs side by side, each against the first."""

from __future__ import annotations

import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.errors import RequestError
from nadtui import output, tables, text
from nadtui.records import load
from nadtui.report import Report, flatten

MOST = 6
"""Runs that one table holds."""
FIGURES = (("acc", "ACC"), ("asr", "ASR"), ("ra", "RA"), ("base", "base"), ("seconds", "seconds"))


def compare_runs(references: Sequence[str], out: Path | None) -> None:
    """Print the runs' figures stage by stage with differences to the first, then the fields in which they differ.

    Raises:
        RequestError: fewer than two runs or too many, or one that is not there.
    """
    if not 2 <= len(references) <= MOST:
        raise RequestError(f"compare: 2 to {MOST} runs are wanted, not {len(references)}")
    reports = [load(reference, out) for reference in references]
    letters = string.ascii_uppercase[: len(reports)]
    for letter, report in zip(letters, reports, strict=True):
        output.line(f"{letter}  {report.view.run}{'' if report.complete else f' ({report.state})'}")
    output.line()
    rows = figures(reports)
    columns = ["stage", "figure", *letters]
    output.show(lambda width: tables.make(columns, rows))
    output.line()
    fields = differences(reports)
    if fields:
        output.show(lambda width: tables.make(["field", *letters], fields))
    else:
        output.line("the configurations are the same")


def figures(reports: Sequence[Report]) -> list[list[str]]:
    """A row for each stage and figure: the first run's value, then every other's with its difference."""
    by_stage = [{stage["stage"]: stage for stage in report.summary["stages"]} for report in reports]
    names = dict.fromkeys(name for stages in by_stage for name in stages)
    rows = []
    for name in names:
        for key, title in FIGURES:
            values = [stages.get(name, {}).get(key) for stages in by_stage]
            rows.append([name if key == "acc" else "", title, *_cells(values)])
    return rows


def _cells(values: Sequence[float | None]) -> list[str]:
    first = values[0]
    cells = [text.percentage(first)]
    for value in values[1:]:
        difference = "" if value is None or first is None else f" ({value - first:+.1f})"
        cells.append(text.percentage(value) + difference)
    return cells


def differences(reports: Sequence[Report]) -> list[list[str]]:
    """A row for each field of the configuration in which the runs are not all the same; a dash where it is absent."""
    tables_ = [dict(flatten(report.view.config)) for report in reports]
    names = dict.fromkeys(name for table in tables_ for name in table)
    return [
        [name, *(_shown(table, name) for table in tables_)]
        for name in names
        if any(table.get(name, _ABSENT) != tables_[0].get(name, _ABSENT) for table in tables_)
    ]


_ABSENT = object()


def _shown(table: dict[str, Any], name: str) -> str:
    return "–" if name not in table else str(table[name])
