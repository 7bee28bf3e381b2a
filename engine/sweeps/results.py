"""The figures of finished cells: read off their runs once, then found in a file of lines. Free of torch."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from engine.errors import RequestError
from engine.record.layout import SUMMARY
from engine.record.reading import read_summary
from engine.sweeps.layout import RESULTS, RUNS, append_lines, held, read_lines

FIGURES = ("acc", "asr", "ra", "base")


def summary_of(run: Path) -> dict[str, Any] | None:
    """The summary of a run, None where there is none; its `stages` are a list of tables.

    Raises:
        RequestError: it is damaged.
    """
    summary = read_summary(run)
    stages = [] if summary is None else summary.get("stages")
    if not isinstance(stages, list) or not all(isinstance(stage, dict) for stage in stages):
        raise RequestError(f"{run / SUMMARY} cannot be read: stages: a list of tables is wanted")
    return summary


def of_run(cell: str, summary: Mapping[str, Any]) -> dict[str, Any]:
    """The line of a finished run, by what `summary_of` has; percentages 0-100, null where there is no figure.

    Of its seconds, `training_seconds` are the suspect's; null where it was not trained in this run.
    """
    stages = summary["stages"]
    suspect = next((stage for stage in stages if stage.get("role") == "suspect"), {})
    after = next((stage for stage in reversed(stages) if stage.get("role") == "purified"), suspect)
    return {
        "cell": cell,
        **{name: _finite(after.get(name)) for name in FIGURES},
        "suspect": {name: _finite(suspect.get(name)) for name in FIGURES},
        "seconds": _finite(summary.get("seconds")),
        "training_seconds": None if suspect.get("cached", True) else _finite(suspect.get("seconds")),
        "image_steps": _steps(stages),
        **beyond(after),
    }


def beyond(stage: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What a summary's stage has beside the figures that all have: `shadow`, by made-up trigger, and `verified`, by
    test and figure; null where a figure does not exist, nothing of what was not measured."""
    shadow, verified = stage.get("shadow"), stage.get("verified")
    found: dict[str, dict[str, Any]] = {}
    if isinstance(shadow, Mapping):
        found["shadow"] = dict(shadow)
    if isinstance(verified, Mapping):
        found["verified"] = {test: dict(told.get("figures") or {}) for test, told in verified.items()}
    return found


def _steps(stages: Sequence[Mapping[str, Any]]) -> float | None:
    """What the defense cost, with those on which it stands, in image steps; None of older runs, which do not say."""
    return sum(_finite(stage.get("image_steps")) or 0.0 for stage in stages if stage.get("defense")) or None


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """The lines of the cells whose runs are there and finished, by cell; those that lack one are not looked for.

    A run may have been deleted since, and begun anew.
    """
    runs = Path(folder) / RUNS
    there = {cell for cell in run_folders(folder) if (runs / cell / SUMMARY).is_file()}
    found = (line for line in read_lines(Path(folder) / RESULTS) if _is_whole(line))
    return {line["cell"]: line for line in found if line["cell"] in there}


def _is_whole(line: Mapping[str, Any]) -> bool:
    """Whether a line is one of `of_run`; of another, an older version's too, the run is read again."""
    before = line.get("suspect")
    if not isinstance(line.get("cell"), str) or not isinstance(before, dict):
        return False
    figures = [of.get(name, "") for of in (line, before) for name in FIGURES]
    costs = [line.get(name, "") for name in ("seconds", "training_seconds", "image_steps")]
    try:
        shadow, verified = line.get("shadow", {}).values(), line.get("verified", {}).values()
        further = [*shadow, *(value for told in verified for value in told.values())]
    except AttributeError:
        return False
    return all(value is None or _is_finite(value) for value in (*figures, *costs, *further))


def run_folders(folder: Path) -> set[str]:
    """The names of the runs in a sweep's folder."""
    try:
        return {entry.name for entry in os.scandir(Path(folder) / RUNS) if not entry.name.startswith(".")}
    except OSError:
        return set()


def unwritten(folder: Path, cells: Collection[str], known: Collection[str]) -> list[dict[str, Any]]:
    """The lines of finished cells that the file lacks: somebody was cut off between a run's end and its line."""
    lacking = sorted(run_folders(folder).intersection(cells).difference(known))
    return [line for cell in lacking if (line := line_of(folder, cell)) is not None]


def line_of(folder: Path, cell: str) -> dict[str, Any] | None:
    """The line of a cell by its run's summary; None where there is none, or a damaged one."""
    try:
        summary = summary_of(Path(folder) / RUNS / cell)
    except RequestError:  # its run says so itself
        return None
    return None if summary is None else of_run(cell, summary)


def write(folder: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Add those of the lines that the file lacks: another process may have noted the same down just now.

    Raises:
        RequestError: it cannot be written.
    """
    if lines:
        with held(folder):
            last = {str(line.get("cell")): line for line in read_lines(Path(folder) / RESULTS)}
            append_lines(Path(folder) / RESULTS, [line for line in lines if last.get(line["cell"]) != line])


def _finite(value: Any) -> float | None:
    return float(value) if _is_finite(value) else None


def _is_finite(value: Any) -> TypeGuard[float]:
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False
