"""LaTeX: the figures as a table for a paper, nothing but `tabular` needed."""

from __future__ import annotations

from collections.abc import Sequence

from nadtui import formatting
from nadtui.runs import asleep, comparison, side_by_side
from nadtui.runs.digest import Report, Way, titles

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "–": "--",
    "→": r"$\to$",
    "×": r"$\times$",
}


def render(report: Report) -> str:
    """The run's stages as a `tabular`; what the run was stands above it in comments."""
    lines = [f"% {name}: {formatting.clean(value)}" for name, value in report.facts()]
    if report.caution:
        lines.append(f"% {formatting.clean(report.caution)}")
    lines += [r"\begin{tabular}{lrrrrr}", r"\hline", r"stage & ACC & ASR & RA & base & epochs \\", r"\hline"]
    for title, stage in zip(titles(report.summary), report.summary["stages"], strict=True):
        name = tex(title) + ("" if stage["state"] == "finished" else " (unfinished)")
        figures = [_with_interval(stage[key], stage[f"{key}_ci"]) for key in ("acc", "asr")]
        plain = [tex(formatting.percentage(stage[key])) for key in ("ra", "base")]
        lines.append(" & ".join([name, *figures, *plain, str(stage["epochs"])]) + r" \\")
    lines += [r"\hline", r"\end{tabular}", _CAPTION, *(f"% {formatting.clean(said)}" for said in report.missing())]
    lines += _side_by_side(side_by_side.table(report.summary))
    lines += _verified(report)
    for said in report.choices():
        lines.append(f"% {formatting.clean(said)}")
    for way in report.ways():
        lines += _way(way)
    return "\n".join(lines) + "\n"


def _side_by_side(found: side_by_side.Table | None) -> list[str]:
    """The defenses, where there are several, as a `tabular` of its own."""
    if found is None:
        return []
    form = f"l{'r' * (found.figures - 1)}{'l' * (len(found.columns) - found.figures)}"
    head = [f"% {side_by_side.TITLE}", f"\\begin{{tabular}}{{{form}}}", r"\hline"]
    return [*head, _row(found.columns), r"\hline", *map(_row, found.cells), r"\hline", r"\end{tabular}"]


def _verified(report: Report) -> list[str]:
    """What a verification found of the purified models, as a `tabular` of its own."""
    rows = asleep.rows(report.view)
    if not rows:
        return []
    form = f"l{'r' * (len(asleep.COLUMNS) - 1)}"
    head = [f"% {asleep.TITLE}", f"\\begin{{tabular}}{{{form}}}", r"\hline"]
    said = [f"% {formatting.clean(line)}" for line in (*asleep.remarks(report.view), asleep.LEGEND)]
    return [*head, _row(asleep.COLUMNS), r"\hline", *map(_row, rows), r"\hline", r"\end{tabular}", *said]


def _way(way: Way) -> list[str]:
    """The figures of the models on the way to a stage's, as a `tabular` of its own."""
    head = [f"% {formatting.clean(way.title)}", f"\\begin{{tabular}}{{{'r' * len(way.columns)}}}", r"\hline"]
    return [*head, _row(way.columns), r"\hline", *map(_row, way.rows), r"\hline", r"\end{tabular}"]


_CAPTION = (
    "% Percent, in brackets the 95 % Wilson interval. ACC: all test images; ASR, RA, base: those not of the attacker's "
    "class."
)


def render_comparison(reports: Sequence[Report]) -> str:
    """The comparison as a `tabular`; which run is which stands above it in comments."""
    table = comparison.table(reports)
    comments = "".join(f"% {letter}: {formatting.clean(run)}\n" for letter, run in comparison.named(reports))
    lines = [f"\\begin{{tabular}}{{ll{'r' * (len(table.columns) - 2)}}}", "\\hline", _row(table.columns), "\\hline"]
    lines += map(_row, table.sparse())
    return comments + "\n".join([*lines, "\\hline", "\\end{tabular}"]) + "\n"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(tex, cells)) + r" \\"


def _with_interval(value: float | None, bounds: list[float] | tuple[float, ...]) -> str:
    between = formatting.interval(list(bounds))
    return tex(formatting.percentage(value)) + (rf" {{\small {between}}}" if between else "")


def tex(value: object) -> str:
    """Text that LaTeX sets as it is."""
    return "".join(_SPECIAL.get(letter, letter) for letter in formatting.clean(value))
