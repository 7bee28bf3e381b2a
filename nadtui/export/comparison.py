"""A comparison of runs as one table: a row for each stage and figure, a column for each run and group of seeds."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from engine.errors import RequestError
from nadtui.export.csv_file import as_data
from nadtui.export.html_page import page
from nadtui.export.markdown import escape
from nadtui.export.tex_file import tex
from nadtui.formatting import clean
from nadtui.runs import comparison
from nadtui.runs.comparison import FIGURES
from nadtui.runs.digest import Report


def render(reports: Sequence[Report], form: str) -> str:
    """The comparison in the format of that name.

    Raises:
        RequestError: no such format.
    """
    if form not in FORMATS:
        raise RequestError(f"--format {form}: unknown for a comparison; allowed: {', '.join(FORMATS)}")
    return FORMATS[form](reports)


def _legend(reports: Sequence[Report]) -> list[tuple[str, str]]:
    named = comparison.letters(len(reports))
    return [
        (letter, report.view.run + ("" if report.complete else f" ({report.state})"))
        for letter, report in zip(named, reports, strict=True)
    ]


def _markdown(reports: Sequence[Report]) -> str:
    table = comparison.table(reports)
    lines = [f"- {letter}: {escape(run)}" for letter, run in _legend(reports)]
    head = [
        f"| {' | '.join(table.columns)} |",
        f"| {' | '.join('---' if place < 2 else '---:' for place in range(len(table.columns)))} |",
    ]
    rows = [f"| {' | '.join(map(escape, row))} |" for row in table.rows]
    return "\n".join([*lines, "", *head, *rows, "", _NOTE]) + "\n"


_NOTE = (
    "Percentages, but for seconds; in parentheses the difference to A; mean ± sample standard deviation over runs that "
    "differ by their seeds alone."
)


def _csv(reports: Sequence[Report]) -> str:
    """A row for each run, stage and group in the long form that tools read: numbers as they are, no differences."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["letter", "run", "stage", "figure", "value", "deviation", "runs"])
    for stage in comparison.stages(reports):
        for key, _ in FIGURES:
            for (letter, _), report in zip(_legend(reports), reports, strict=True):
                found = next((each for each in report.summary["stages"] if each["stage"] == stage), {})
                writer.writerow([letter, as_data(report.view.run), as_data(stage), key, found.get(key), "", 1])
            for group in comparison.groups(reports):
                figure = group.figure(stage, key)
                if figure is not None:
                    writer.writerow([group.letters, group.title, as_data(stage), key, *figure])
    return buffer.getvalue()


def _json(reports: Sequence[Report]) -> str:
    found = comparison.groups(reports)
    values: dict[str, Any] = {
        "runs": {letter: report.summary for (letter, _), report in zip(_legend(reports), reports, strict=True)},
        "groups": [
            {"runs": list(group.letters), "stages": _spread(group, comparison.stages(reports))} for group in found
        ],
        "differences": {
            row[0]: dict(zip(comparison.letters(len(reports)), row[1:], strict=True))
            for row in comparison.fields(reports).rows
        },
    }
    return json.dumps(values, indent=2, allow_nan=False) + "\n"


def _spread(group: comparison.Group, stages: Sequence[str]) -> dict[str, Any]:
    return {
        stage: {
            key: dict(zip(("mean", "deviation", "runs"), figure, strict=True))
            for key, _ in FIGURES
            if (figure := group.figure(stage, key)) is not None
        }
        for stage in stages
    }


def _tex(reports: Sequence[Report]) -> str:
    table = comparison.table(reports)
    comments = "".join(f"% {letter}: {clean(run)}\n" for letter, run in _legend(reports))
    lines = [f"\\begin{{tabular}}{{ll{'r' * (len(table.columns) - 2)}}}", "\\hline", _tex_row(table.columns), "\\hline"]
    before = ""
    for row in table.rows:
        lines.append(_tex_row(("" if row[0] == before else row[0], *row[1:])))
        before = row[0]
    return comments + "\n".join([*lines, "\\hline", "\\end{tabular}"]) + "\n"


def _tex_row(cells: Sequence[str]) -> str:
    return " & ".join(map(tex, cells)) + r" \\"


def _html(reports: Sequence[Report]) -> str:
    table = comparison.table(reports)
    runs = "".join(f"<li>{letter}: {html.escape(clean(run))}</li>" for letter, run in _legend(reports))
    head = "".join(f"<th>{html.escape(title)}</th>" for title in table.columns)
    rows = "".join(f"<tr>{''.join(f'<td>{html.escape(clean(cell))}</td>' for cell in row)}</tr>" for row in table.rows)
    body = f"<h1>Comparison</h1><ul>{runs}</ul><table><tr>{head}</tr>{rows}</table><p>{html.escape(_NOTE)}</p>"
    return page("Comparison", body)


FORMATS: dict[str, Callable[[Sequence[Report]], str]] = {
    "md": _markdown,
    "csv": _csv,
    "json": _json,
    "tex": _tex,
    "html": _html,
}
"""Name, which is also the file's ending -> what writes it."""
