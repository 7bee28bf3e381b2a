"""`nadtui compare`: runs side by side, each against the first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.errors import RequestError
from engine.storage.paths import write_atomically
from nadtui import diagnostics
from nadtui.cli import output, tables
from nadtui.cli.runs import load
from nadtui.runs import comparison
from nadtui.runs.comparison import MOST, Table
from nadtui.runs.digest import Report


def compare_runs(
    references: Sequence[str], out: Path | None, form: str | None = None, file: Path | None = None
) -> None:
    """Print the runs' figures stage by stage with differences to the first, and the fields in which they differ.

    With a format, or a file whose ending is one, the comparison is written as one table instead.

    Raises:
        RequestError: fewer than two runs or too many, one that is not there, or an unknown format.
    """
    if not 2 <= len(references) <= MOST:
        raise RequestError(f"compare: 2 to {MOST} runs are wanted, not {len(references)}")
    reports = [load(reference, out) for reference in references]
    if form is None and file is None:
        _show(reports)
    else:
        _export(reports, form, file)


def _show(reports: Sequence[Report]) -> None:
    letters = comparison.letters(len(reports))
    for letter, report in zip(letters, reports, strict=True):
        output.line(f"{letter}  {report.view.run}{'' if report.complete else f' ({report.state})'}")
    output.line()
    output.show(lambda width: _drawn(comparison.table(reports)))
    output.line()
    fields = comparison.fields(reports)
    if fields.rows:
        output.show(lambda width: _drawn(fields))
    else:
        output.line("the configurations are the same")


def _drawn(table: Table) -> tables.Table:
    """A table whose first column names only what is new."""
    before = [None, *(row[0] for row in table.rows)]
    rows = [("" if row[0] == above else row[0], *row[1:]) for row, above in zip(table.rows, before, strict=False)]
    return tables.make(table.columns, rows)


def _export(reports: Sequence[Report], form: str | None, file: Path | None) -> None:
    from nadtui.export.comparison import FORMATS, render

    ending = file.suffix.removeprefix(".") if file is not None else ""
    document = render(reports, form or (ending if ending in FORMATS else "md"))
    for report in reports:
        if report.caution:
            diagnostics.note(f"warning: {report.view.run}: {report.caution}")
    if file is None:
        output.document(document)
        return
    write_atomically(file, document.encode())
    diagnostics.note(f"written: {file}")
