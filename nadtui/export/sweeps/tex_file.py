"""LaTeX: the table for a paper, with the package booktabs: two columns, ACC and ASR, for each defense."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeGuard

from nadtui import formatting
from nadtui.export.tex_file import tex
from nadtui.runs.sweep_report import EXPLAINED, SweepReport
from nadtui.runs.sweep_table import figure, marks, shown, title

if TYPE_CHECKING:
    from nadtui.runs.sweep_groups import Group


def render(report: SweepReport) -> str:
    """The sweep as a `table`, the best ASR of each line in bold, among those that are whole; what it is stands above it
    in comments."""
    table = report.table
    named, columns = len(table.down), (*["before"] * table.alike, *table.columns)
    comments = [f"% {formatting.clean(said)}" for said in (report.name, *report.facts(), report.caution) if said]
    spans = " & ".join(rf"\multicolumn{{2}}{{c}}{{{tex(column)}}}" for column in columns)
    rules = " ".join(rf"\cmidrule(lr){{{named + 2 * at + 1}-{named + 2 * at + 2}}}" for at in range(len(columns)))
    lines = [
        *comments,
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_caption(report)}}}",
        rf"\label{{tab:{re.sub('[^A-Za-z0-9-]+', '-', report.name)}}}",
        rf"\begin{{tabular}}{{{'l' * named}{'r' * 2 * len(columns)}}}",
        r"\toprule",
        f"{' &' * named} {spans} \\\\".lstrip(),
        rules,
        " & ".join([*(tex(title(axis)) for axis in table.down), *["ACC & ASR"] * len(columns)]) + r" \\",
        r"\midrule",
        *(_line(report, at) for at in range(len(table.lines))),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
        f"% {EXPLAINED}",
    ]
    return "\n".join(lines) + "\n"


def _caption(report: SweepReport) -> str:
    """What a reader of the figures must know, in as many words as a paper has for it."""
    fixed = ", ".join(
        f"{title(name)} {shown(value)}" for name, value in report.table.fixed.items() if value is not None
    )
    counts = sorted({found.count for each in report.details if (found := each.group.figure("acc")) is not None})
    said = "ACC and ASR in percent, mean ± standard deviation over suspects, each the mean over its clean subsets"
    measured = f" ({', '.join(counts)} suspects x subsets)" if counts else ""
    return tex(f"{said}{measured}{'; ' if fixed else ''}{fixed}.")


def _line(report: SweepReport, at: int) -> str:
    table = report.table
    groups = [table.groups.get((at, place)) for place in range(len(table.columns))]
    whole = [asr.mean for group in groups if _is_whole(group) and (asr := group.figure("asr")) is not None]
    least = f"{min(whole):.1f}" if len(whole) > 1 else ""
    before, cells = table.before(at), list(map(tex, table.lines[at]))
    if table.alike:
        cells += [tex(figure(before.figure(name))) for name in ("suspect_acc", "suspect_asr")]
    for group in groups:
        cells += _cells(group, least)
    return " & ".join(cells) + r" \\"


def _is_whole(group: Group | None) -> TypeGuard[Group]:
    """Whether nothing is missing that might change its place among others."""
    return group is not None and not marks(group)


def _cells(group: Group | None, least: str) -> Sequence[str]:
    if group is None or not group.done:
        return tex(figure(None)), tex(figure(None))
    acc, asr = group.figure("acc"), group.figure("asr")
    best = _is_whole(group) and asr is not None and f"{asr.mean:.1f}" == least
    said = rf"\textbf{{{tex(figure(asr))}}}" if best else tex(figure(asr))
    return tex(figure(acc)), " ".join(filter(None, (said, tex(marks(group)))))
