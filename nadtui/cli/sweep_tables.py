"""A sweep's tables in the terminal: what was asked, ours, the paper's, and differences in pairs."""

from __future__ import annotations

from collections.abc import Sequence

from nadtui.cli import output, tables
from nadtui.export.sweeps import cells
from nadtui.runs.sweep_report import AGAINST, EQUAL_COST, PAIRED, SweepReport


def show(report: SweepReport) -> None:
    """The table of ACC / ASR, and what stands beside it, where there is such a thing."""
    for fact in report.facts():
        output.line(fact)
    _table("ACC / ASR", *cells.overview(report))
    if report.published:
        _table("beside what was published", *cells.published(report))
    if report.pairs:
        _table(PAIRED.format(report.pairs[0].against), *cells.pairs(report))
    if report.equal_cost:
        _table(EQUAL_COST.format(*reversed(AGAINST)), *cells.equal_cost(report))


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    output.line()
    output.line(title)
    output.show(lambda width: tables.make(head, rows))
