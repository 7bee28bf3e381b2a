"""The figures of finished cells: read off their runs once, then found in a file of lines. Free of torch."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.errors import RequestError
from engine.record.layout import SUMMARY
from engine.record.reading import read_summary
from engine.sweeps.layout import RESULTS, RUNS, append_lines, held, read_lines

FIGURES = ("acc", "asr", "ra", "base")


def of_run(cell: str, summary: Mapping[str, Any]) -> dict[str, Any]:
    """The line of a finished run; percentages 0-100, null where there is no figure."""
    stages = [stage for stage in summary.get("stages", ()) if isinstance(stage, Mapping)]
    suspect = next((stage for stage in stages if stage.get("role") == "suspect"), {})
    after = next((stage for stage in reversed(stages) if stage.get("role") == "purified"), suspect)
    return {
        "cell": cell,
        **{name: _finite(after.get(name)) for name in FIGURES},
        "suspect": {name: _finite(suspect.get(name)) for name in FIGURES},
        "seconds": _finite(summary.get("seconds")),
    }


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """The lines of the cells whose runs are there and finished, by cell; those that lack one are not looked for.

    A run may have been deleted since, and begun anew.
    """
    runs = Path(folder) / RUNS
    there = {cell for cell in run_folders(folder) if (runs / cell / SUMMARY).is_file()}
    return {line["cell"]: line for line in read_lines(Path(folder) / RESULTS) if line.get("cell") in there}


def run_folders(folder: Path) -> set[str]:
    """The names of the runs in a sweep's folder."""
    try:
        return {entry.name for entry in os.scandir(Path(folder) / RUNS) if not entry.name.startswith(".")}
    except OSError:
        return set()


def unwritten(folder: Path, cells: Collection[str], known: Collection[str]) -> list[dict[str, Any]]:
    """The lines of finished cells that the file lacks: somebody was cut off between a run's end and its line."""
    lines = []
    for cell in sorted(run_folders(folder).intersection(cells).difference(known)):
        run = Path(folder) / RUNS / cell
        if (run / SUMMARY).is_file():
            with suppress(RequestError):  # damaged: its run says so itself
                lines.append(of_run(cell, read_summary(run) or {}))
    return lines


def write(folder: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Add lines to the file.

    Raises:
        RequestError: it cannot be written.
    """
    if lines:
        with held(folder):
            append_lines(Path(folder) / RESULTS, lines)


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
