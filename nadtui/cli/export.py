"""`nadtui export`."""

from __future__ import annotations

from pathlib import Path

from engine.errors import RequestError
from engine.storage.paths import write_atomically
from nadtui import diagnostics
from nadtui.cli import output
from nadtui.cli.runs import load
from nadtui.export import FORMATS, render


def export_run(reference: str, form: str | None, file: Path | None, out: Path | None) -> None:
    """Write a run in one format to a file, or to standard output.

    Raises:
        RequestError: an unknown format or run, or a file that cannot be written.
    """
    name = form or _by_ending(file)
    if name not in FORMATS:
        raise RequestError(f"--format {name}: unknown; allowed: {', '.join(FORMATS)}")
    report = load(reference, out)
    document = render(report, name)
    if report.caution:
        diagnostics.note(f"warning: {report.caution}")
    if file is None:
        if isinstance(document, bytes):
            raise RequestError(f"--format {name}: not for a terminal; name a file with -o")
        output.document(document)
        return
    write_atomically(file, document if isinstance(document, bytes) else document.encode())
    diagnostics.note(f"written: {file}")


def _by_ending(file: Path | None) -> str:
    ending = file.suffix.removeprefix(".") if file is not None else ""
    return ending if ending in FORMATS else "md"
