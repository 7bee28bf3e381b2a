"""Exports from the workbench: a format is chosen, a file is named, and the document is written behind the screens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import App

from engine.errors import RequestError
from engine.places import expanded
from engine.plain import utf8
from engine.storage.paths import write_atomically
from nadtui import formatting
from nadtui.export import checkpoint
from nadtui.runs.digest import Report
from nadtui.workbench.dialogs import Ask, Choose

if TYPE_CHECKING:
    from nadtui.runs.sweep_report import SweepReport

Render = Callable[[str], str | bytes]
"""The document in the format of that name."""


class Exporting:
    """Asks and writes for the app."""

    def __init__(self, app: App) -> None:
        self._app = app

    def run(self, folder: Path) -> None:
        """Ask for a format and a file, then write the run there."""
        from nadtui.export.formats import FORMATS

        forms = (*FORMATS, checkpoint.NAME)
        self._ask_format(f"Export {folder.name} as", forms, folder.name, partial(_run, folder))

    def comparison(self, reports: Sequence[Report]) -> None:
        """The same for a comparison of runs, as one table."""
        from nadtui.export.formats import COMPARISONS, of_comparison

        self._ask_format("Export the comparison as", COMPARISONS, "comparison", partial(of_comparison, reports))

    def sweep(self, report: SweepReport) -> None:
        """The same for a sweep: its tables, or its figures."""
        from nadtui.export.sweeps.formats import FORMATS, of_sweep

        self._ask_format(f"Export {report.name} as", FORMATS, report.name, partial(of_sweep, report))

    def _ask_format(self, title: str, forms: Iterable[str], stem: str, render: Render) -> None:
        choices = [(form, form) for form in forms]
        self._app.push_screen(Choose(title, choices), partial(self._ask_file, stem, render))

    def _ask_file(self, stem: str, render: Render, form: str | None) -> None:
        if form is not None:
            ending = ".pth" if form == checkpoint.NAME else f".{form}"
            question = Ask("Write to", f"{stem}{ending}", note="A file of that name is replaced.", check=_file_wrong)
            self._app.push_screen(question, partial(self._write_if, render, form))

    def _write_if(self, render: Render, form: str, name: str | None) -> None:
        if name is not None:
            work = partial(self._write, render, form, expanded(name))
            self._app.run_worker(work, group="export", exit_on_error=False, thread=True)

    def _write(self, render: Render, form: str, file: Path) -> None:
        try:
            document = render(form)
            write_atomically(file, document if isinstance(document, bytes) else utf8(document))
        except RequestError as error:
            self._tell(str(error), "error")
        else:
            self._tell(f"written: {file.absolute()}", "information")

    def _tell(self, said: str, severity: str) -> None:
        self._app.call_later(partial(self._app.notify, formatting.clean(said), title="export", severity=severity))


def _run(folder: Path, form: str) -> str | bytes:
    from nadtui.export.formats import of_run
    from nadtui.runs.loading import load

    report = load(str(folder.absolute()), None)
    if form == checkpoint.NAME:
        return checkpoint.render(report, None, Path(f"{folder.name}.pth"))[0]
    return of_run(report, form)


def _file_wrong(name: str) -> str:
    if not name.strip():
        return "a file name is wanted"
    try:
        return "that is a folder" if expanded(name).is_dir() else ""
    except RequestError as error:
        return str(error)
