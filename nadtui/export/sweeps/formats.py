"""The formats of a sweep's exports, by name, which is also the file's ending; each is loaded when it is asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from nadtui.export.formats import check

if TYPE_CHECKING:
    from nadtui.runs.sweep_report import SweepReport

FORMATS: dict[str, str] = {
    "md": "nadtui.export.sweeps.markdown",
    "csv": "nadtui.export.sweeps.csv_file",
    "tex": "nadtui.export.sweeps.tex_file",
    "json": "nadtui.export.sweeps.json_file",
    "html": "nadtui.export.sweeps.html_file",
    "svg": "nadtui.export.sweeps.svg_file",
    "pdf": "nadtui.export.sweeps.pdf_file",
}
"""Name -> module; each has `render(report) -> str`, or bytes where it is no text."""


def of_sweep(report: SweepReport, form: str) -> str | bytes:
    """The sweep in the format of that name.

    Raises:
        RequestError: no such format, nothing in the sweep that it could show, or a package that it needs is missing.
    """
    check(form, FORMATS, " for a sweep")
    return importlib.import_module(FORMATS[form]).render(report)
