"""Where a document goes that a command has made: into the file that was named, else to standard output."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from engine.errors import RequestError
from engine.plain import utf8
from nadtui import diagnostics
from nadtui.cli import output


def form_of(form: str | None, file: Path | None, known: Collection[str]) -> str:
    """The format's name: as it was given, else by the file's ending, else Markdown."""
    ending = file.suffix.removeprefix(".") if file is not None else ""
    return form or (ending if ending in known else "md")


def deliver(document: str | bytes, form: str, file: Path | None, cautions: Iterable[str]) -> None:
    """Write the document; what its reader must know of it goes to standard error.

    Raises:
        RequestError: the file cannot be written, or the document is not for a terminal.
    """
    for caution in cautions:
        diagnostics.note(f"warning: {caution}")
    if file is None:
        if isinstance(document, bytes):
            raise RequestError(f"--format {form}: not for a terminal; name a file with -o")
        output.document(document)
        return
    from engine.storage.paths import write_atomically

    write_atomically(file, document if isinstance(document, bytes) else utf8(document))
    diagnostics.note(f"written: {file}")
