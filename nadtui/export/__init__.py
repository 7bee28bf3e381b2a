"""Exports: a run as a document for others. A format is one file beside this one and one entry in `FORMATS`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

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
"""Name, which is also the file's ending -> module; each has `render(report) -> str`, or bytes where it is no text."""


def render(report: Report, form: str) -> str | bytes:
    """The run in the format of that name."""
    return importlib.import_module(FORMATS[form]).render(report)
