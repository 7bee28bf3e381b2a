"""The tables of results: made of plain values, as wide as the terminal allows; in a pipe, as wide as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from nadtui import formatting
from nadtui.cli.output import UNBOUNDED
from nadtui.runs import side_by_side
from nadtui.runs.digest import not_trained, titles


def make(columns: Sequence[str], rows: Iterable[Sequence[str]], *, figures: int = 0) -> Table:
    """Aligned columns without rules: text, and from the second to the one numbered `figures` figures."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, title in enumerate(columns):
        table.add_column(title, justify="right" if 1 <= place < figures else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(formatting.clean(cell)) for cell in row))
    return table


def fitting(width: int, *tables: Table) -> Table:
    """The first of the tables that is at most `width` columns wide, else the last."""
    console = Console(width=UNBOUNDED)
    fits = (table for table in tables if Measurement.get(console, console.options, table).maximum <= width)
    return next(fits, tables[-1])


def stages(summary: Mapping[str, Any], width: int) -> Table:
    """A run's stages: ACC, ASR, RA and base in percent, seconds; with 95 % intervals where `width` has room."""
    return fitting(width, _stages(summary, intervals=True), _stages(summary, intervals=False))


def _stages(summary: Mapping[str, Any], *, intervals: bool) -> Table:
    columns = ["stage", "ACC", *["95 % interval"] * intervals, "ASR", *["95 % interval"] * intervals]
    columns += ["RA", "base", "seconds", "note"]
    known = zip(titles(summary), summary["stages"], strict=True)
    rows = [[*_row(title, stage, intervals=intervals), note(summary, stage)] for title, stage in known]
    if not any(row[-1] for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return make(columns, rows, figures=columns.index("seconds") + 1)


def _row(title: str, stage: Mapping[str, Any], *, intervals: bool) -> list[str]:
    cells = [title]
    for figure in ("acc", "asr"):
        cells += [formatting.percentage(stage[figure]), *[formatting.interval(stage[f"{figure}_ci"])] * intervals]
    return [
        *cells,
        formatting.percentage(stage["ra"]),
        formatting.percentage(stage["base"]),
        f"{stage['seconds']:.1f}",
    ]


def defenses(summary: Mapping[str, Any], order: str) -> Table | None:
    """A run's defenses side by side, in that order; None where there are not several."""
    found = side_by_side.table(summary, order)
    return None if found is None else make(found.columns, found.cells, figures=found.figures)


def note(summary: Mapping[str, Any], stage: Mapping[str, Any]) -> str:
    """What a reader of a stage's figures must know of them."""
    if stage["state"] != "finished":
        return f"after epoch {stage['epochs']}, {formatting.count(stage['images'])} test images"
    return not_trained(summary, stage) if stage["cached"] else ""
