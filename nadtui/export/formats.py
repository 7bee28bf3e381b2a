"""The formats of the exports, by name, which is also the file's ending; each is loaded when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from engine.errors import RequestError

if TYPE_CHECKING:
    from nadtui.runs.digest import Report

FORMATS: dict[str, str] = {
    "md": "nadtui.export.markdown",
    "json": "nadtui.export.json_file",
    "csv": "nadtui.export.csv_file",
    "tex": "nadtui.export.tex_file",
    "html": "nadtui.export.html_file",
    "png": "nadtui.export.png_file",
}
"""Name -> module; each has `render(report) -> str`, or bytes where it is no text."""
COMPARISONS = ("md", "csv", "json", "tex", "html")
"""Those whose modules have `render_comparison(reports) -> str` too."""


def check(form: str, known: Collection[str], what: str = "") -> None:
    """Refuse a format that is not known.

    Raises:
        RequestError: it names those that are.
    """
    if form not in known:
        raise RequestError(f"--format {form}: unknown{what}; allowed: {', '.join(known)}")


def of_run(report: Report, form: str) -> str | bytes:
    """The run in the format of that name.

    Raises:
        RequestError: no such format, or nothing in the run that it could show.
    """
    check(form, FORMATS)
    return importlib.import_module(FORMATS[form]).render(report)


def of_comparison(reports: Sequence[Report], form: str) -> str:
    """The comparison of these runs as one table, in the format of that name.

    Raises:
        RequestError: no such format.
    """
    check(form, COMPARISONS, " for a comparison")
    return importlib.import_module(FORMATS[form]).render_comparison(reports)
