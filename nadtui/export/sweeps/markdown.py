"""Markdown: the table, the groups in full, the differences in pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nadtui.export.markdown import escape
from nadtui.export.sweeps import cells
from nadtui.runs.sweep_report import AGAINST, EQUAL_COST, PAIRED, SweepReport


def render(report: SweepReport) -> str:
    """The sweep as a Markdown document; text from records is escaped, so that it is only ever text."""
    parts = [f"# {escape(report.name)}"]
    if report.caution:
        parts.append(f"**{escape(report.caution)}**")
    parts.append("\n".join(f"- {escape(fact)}" for fact in report.facts()))
    parts += ["ACC / ASR:", _table(*cells.overview(report), named=len(report.table.down))]
    named = len(report.table.down) + 1
    parts += ["## In full", _table(*cells.details(report), named=named), escape(report.explained)]
    if report.pairs:
        parts += ["## In pairs", _table(*cells.pairs(report), named=named), PAIRED.format(report.pairs[0].against)]
    if report.published:
        parts += ["## Beside what was published", _table(*cells.published(report), named=2)]
    if report.equal_cost:
        head, rows = cells.equal_cost(report)
        said = EQUAL_COST.format(*reversed(AGAINST))
        parts += ["## At equal cost", _table(head, rows, named=len(head) - 6), said]
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, named: int) -> str:
    """A table of which the first `named` columns are names, the others figures."""
    rule = [*["---"] * named, *["---:"] * (len(head) - named)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (_escaped(head), rule, *map(_escaped, rows)))


def _escaped(cells: Iterable[str]) -> list[str]:
    return [escape(cell) for cell in cells]
