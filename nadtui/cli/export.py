"""`nadtui export`: a run as a document."""

from __future__ import annotations

from typing import Annotated

import typer

from nadtui.cli.documents import deliver, form_of
from nadtui.cli.options import File, Out, Run
from nadtui.export.formats import FORMATS, check, of_run


def export(
    run: Run,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="|".join(FORMATS), help="Left out: by FILE's ending, else md."),
    ] = None,
    file: File = None,
    out: Out = None,
) -> None:
    """A run as a document for others."""
    from nadtui.runs.loading import load

    form = form_of(form, file, FORMATS)
    check(form, FORMATS)
    report = load(run, out)
    deliver(of_run(report, form), form, file, [report.caution] if report.caution else [])
