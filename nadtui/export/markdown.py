"""Markdown: the figures as a table, what the run was, its whole configuration."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from nadtui import formatting
from nadtui.export import explained
from nadtui.runs import asleep, comparison, side_by_side
from nadtui.runs.digest import Report, titles

_PUNCTUATION = re.compile(r"([\\`*_\[\]|~])")
_HEAD = ("stage", "ACC", "95 % interval", "ASR", "95 % interval", "RA", "base", "epochs", "seconds")


def render(report: Report) -> str:
    """The run as a Markdown document; text from the record is escaped, so that it is only ever text."""
    parts = [f"# {escape(report.view.run)}"]
    if report.caution:
        parts.append(f"**{escape(report.caution)}**")
    if report.view.failure is not None:
        parts.append(f"**Failed in {escape(report.view.failure.stage)}: {escape(report.view.failure.message)}**")
    parts.append("\n".join(f"- {name}: {escape(value)}" for name, value in report.facts()[1:]))
    parts += [_figures(report), escape(explained.figures(report))]
    if found := side_by_side.table(report.summary):
        parts += [f"## {side_by_side.TITLE}", _table(found.columns, [list(map(escape, row)) for row in found.cells])]
    if report.choices():
        parts.append("\n".join(f"- {escape(said)}" for said in report.choices()))
    for way in report.ways():
        parts += [f"## {escape(way.title)}", _table(way.columns, way.rows)]
    parts += _verified(report)
    for each in report.confusions():
        rows = [list(map(escape, row)) for row in each.rows()]
        parts += [f"## {escape(each.title)}", _table(list(map(escape, each.columns)), rows)]
    parts += ["## Configuration", _fenced(report.configuration())]
    return "\n\n".join(parts) + "\n"


def render_comparison(reports: Sequence[Report]) -> str:
    """The comparison as a list of its runs and one table."""
    table = comparison.table(reports)
    lines = [f"- {letter}: {escape(run)}" for letter, run in comparison.named(reports)]
    head = [
        f"| {' | '.join(table.columns)} |",
        f"| {' | '.join('---' if place < 2 else '---:' for place in range(len(table.columns)))} |",
    ]
    rows = [f"| {' | '.join(map(escape, row))} |" for row in table.rows]
    return "\n".join([*lines, "", *head, *rows, "", explained.COMPARISON]) + "\n"


def _figures(report: Report) -> str:
    rows = []
    for title, stage in zip(titles(report.summary, remarks=True), report.summary["stages"], strict=True):
        rows.append(
            (
                escape(title),
                formatting.percentage(stage["acc"]),
                formatting.interval(stage["acc_ci"]),
                formatting.percentage(stage["asr"]),
                formatting.interval(stage["asr_ci"]),
                formatting.percentage(stage["ra"]),
                formatting.percentage(stage["base"]),
                str(stage["epochs"]),
                f"{stage['seconds']:.1f}",
            )
        )
    return _table(_HEAD, rows)


def _verified(report: Report) -> list[str]:
    rows = asleep.rows(report.view)
    if not rows:
        return []
    told = "\n".join(escape(said) for said in (*asleep.remarks(report.view), asleep.LEGEND))
    return [f"## {escape(asleep.TITLE)}", _table(asleep.COLUMNS, [list(map(escape, row)) for row in rows]), told]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of a first column and figures."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def _fenced(content: str) -> str:
    """A code block whose fence is longer than any run of backticks inside."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", content)), default=0))
    return f"{fence}yaml\n{content}\n{fence}"


def escape(value: object) -> str:
    """Text that Markdown and the HTML made of it show as it is."""
    return _PUNCTUATION.sub(r"\\\1", html.escape(formatting.clean(value), quote=False))
