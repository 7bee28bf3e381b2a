"""`nadtui export`: a run as a document, or one of its models as a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.errors import RequestError
from nadtui import diagnostics
from nadtui.cli.documents import deliver, form_of
from nadtui.cli.options import File, Out, Run
from nadtui.export import checkpoint, tensorboard
from nadtui.export.formats import FORMATS, check, of_run

if TYPE_CHECKING:
    from nadtui.runs.digest import Report

KNOWN = (*FORMATS, checkpoint.NAME, tensorboard.NAME)


def export(
    run: Run,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="|".join(KNOWN), help="Left out: by FILE's ending, else md."),
    ] = None,
    file: File = None,
    out: Out = None,
    stage: Annotated[
        str | None,
        typer.Option("--stage", metavar="NAME", help="checkpoint: whose model (default: the last purified one)."),
    ] = None,
) -> None:
    """A run as a document for others, or its purified model as a checkpoint for its owner."""
    from nadtui.runs.loading import load

    ending = file.suffix.lower() if file is not None else ""
    form = form or (checkpoint.NAME if ending in checkpoint.ENDINGS else form_of(form, file, FORMATS))
    check(form, KNOWN)
    if stage is not None and form != checkpoint.NAME:
        raise RequestError(f"--stage {stage}: only a checkpoint is of one stage; add --format checkpoint")
    report = load(run, out)
    if form == checkpoint.NAME:
        _checkpoint(report, stage, file)
    elif form == tensorboard.NAME:
        _event_files(report, file)
    else:
        deliver(of_run(report, form), form, file, [report.caution] if report.caution else [])


def _checkpoint(report: Report, stage: str | None, file: Path | None) -> None:
    if file is None:
        raise RequestError(f"--format {checkpoint.NAME}: not for a terminal; name a file with -o")
    content, notes = checkpoint.render(report, stage, file)
    for note in notes:
        diagnostics.note(note)
    deliver(content, checkpoint.NAME, file, [report.caution] if report.caution else [])


def _event_files(report: Report, folder: Path | None) -> None:
    if folder is None:
        raise RequestError(f"--format {tensorboard.NAME}: not for a terminal; name a folder with -o")
    if report.caution:
        diagnostics.note(f"warning: {report.caution}")
    tensorboard.write(report, folder)
    diagnostics.note(f"written: {folder} (tensorboard --logdir {folder})")
