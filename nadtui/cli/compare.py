"""`nadtui compare`: runs side by side, each against the first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from engine.errors import RequestError
from nadtui.cli import output
from nadtui.cli.documents import deliver, form_of
from nadtui.cli.options import File, Json, Out
from nadtui.export.formats import COMPARISONS, check, of_comparison

if TYPE_CHECKING:
    from pathlib import Path

    from nadtui.runs.digest import Report

PAPER = "paper"


def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Ids, their beginnings, or folders.")],
    form: Annotated[
        str | None, typer.Option("--format", metavar="|".join(COMPARISONS), help="As one table in this format.")
    ] = None,
    file: File = None,
    out: Out = None,
    layout: Annotated[
        str | None,
        typer.Option(metavar=PAPER, help="One table for a paper: a line a preset, a column a defense; any runs."),
    ] = None,
    json: Json = False,
) -> None:
    """Runs side by side: figures with differences, and the fields in which they differ."""
    from nadtui.runs.comparison import MOST, to_dict
    from nadtui.runs.loading import load

    if json and (layout, form, file) != (None, None, None):
        raise RequestError("--json: the figures for programs, on standard output; leave --layout, --format, --file out")
    if layout is not None:
        _as_a_paper_has_it(layout, runs, form, file, out)
        return
    if not 2 <= len(runs) <= MOST:
        raise RequestError(f"compare: 2 to {MOST} runs are wanted, not {len(runs)}")
    reports = [load(reference, out) for reference in runs]
    if json:
        output.json_document(to_dict(reports))
        return
    if form is None and file is None:
        _show(reports)
        return
    form = form_of(form, file, COMPARISONS)
    cautions = [f"{report.view.run}: {report.caution}" for report in reports if report.caution]
    deliver(of_comparison(reports, form), form, file, cautions)


def _as_a_paper_has_it(layout: str, runs: Sequence[str], form: str | None, file: Path | None, out: Path | None) -> None:
    """Runs of any number as one table: mean and spread over suspects and clean subsets, in a sweep's formats."""
    from nadtui.export.sweeps.formats import FORMATS, of_sweep
    from nadtui.runs.loading import load
    from nadtui.runs.paper import report_of

    if layout != PAPER:
        raise RequestError(f"--layout {layout}: {PAPER} is what there is")
    form = form_of(form, file, FORMATS)
    check(form, FORMATS, " for a table of runs")
    deliver(of_sweep(report_of([load(reference, out) for reference in runs]), form), form, file, ())


def _show(reports: Sequence[Report]) -> None:
    from nadtui.cli import tables
    from nadtui.runs import comparison

    for letter, run in comparison.named(reports):
        output.line(f"{letter}  {run}")
    output.line()
    figures, fields = comparison.table(reports), comparison.fields(reports)
    output.show(lambda width: tables.make(figures.columns, figures.sparse()))
    output.line()
    if fields.rows:
        output.show(lambda width: tables.make(fields.columns, fields.sparse()))
    else:
        output.line("the configurations are the same")
