"""What was tried of a cell that is not finished: when work on it began, and how it ended. Free of torch.

A line is written when a worker begins and one when it ends, however it does, unless it dies; then the sweep's process
writes one, which lives on and sees it. So whoever looks knows how often workers have died of a cell, and why one has
failed; that a sweep was killed, its workers with it, or a machine lost its power, is no fault of a cell's.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.sweeps.layout import TRIES, append_lines, read_lines

DEATHS = 3
"""Workers that may die of a cell before it is given up."""
UNFIT = 3
"""How a cell ends whose network cannot bear its defense: there is no such figure."""
FINAL = (1, 2, UNFIT)
"""What a cell comes to by itself, and would come to again."""
NOT_THERE = "n/a"
"""Its status."""


@dataclass(frozen=True)
class Tried:
    """What is known of a cell's tries."""

    deaths: int = 0
    """Workers that a sweep has seen die of it."""
    code: int | None = None
    """How the last one that had a word ended: an exit code."""
    error: str = ""
    """What it said."""
    silent: bool = False
    """Whether who began last has said nothing since: it is at work, was cut off, or died."""

    @property
    def failed(self) -> bool:
        """Whether it ended by itself without a figure: it would again."""
        return self.code in FINAL

    @property
    def unfit(self) -> bool:
        """Whether that is no failure: there is no such figure."""
        return self.code == UNFIT

    @property
    def given_up(self) -> bool:
        """Whether so many workers have died of it that nobody tries again unasked."""
        return self.deaths >= DEATHS

    @property
    def said(self) -> str:
        """Why nobody goes on with it, in a line."""
        return self.error if self.failed else f"{self.deaths} workers died of it" if self.given_up else ""


def of(folder: Path, cell: str) -> Tried:
    """What was tried of one cell."""
    deaths, code, error, silent = 0, None, "", False
    for line in read_lines(Path(folder) / TRIES / cell):
        if "ended" in line:
            if type(line["ended"]) is not int:  # damaged, as a torn line is
                continue
            code, error = line["ended"], str(line.get("error", ""))
        else:
            deaths, code, error = deaths + ("died" in line), None, ""
        silent = "began" in line
    return Tried(deaths, code, error, silent)


def all_of(folder: Path) -> dict[str, Tried]:
    """What was tried of every cell that is not finished and was begun."""
    try:
        names = [entry.name for entry in os.scandir(Path(folder) / TRIES)]
    except OSError:
        return {}
    return {name: of(folder, name) for name in names}


def began(folder: Path, cell: str) -> None:
    """A worker begins with a cell."""
    append_lines(Path(folder) / TRIES / cell, [{"began": socket.gethostname(), "pid": os.getpid()}])


def ended(folder: Path, cell: str, code: int, error: str = "") -> None:
    """It has ended with that exit code; a finished cell's tries are forgotten."""
    if code == 0:
        forget(folder, [cell])
    else:
        append_lines(Path(folder) / TRIES / cell, [{"ended": code, "error": error}])


def died(folder: Path, cell: str) -> Tried:
    """Its worker is seen to have died of it; what is known of its tries by now."""
    append_lines(Path(folder) / TRIES / cell, [{"died": socket.gethostname()}])
    return of(folder, cell)


def forget(folder: Path, cells: Iterable[str]) -> None:
    """Begin with these cells as if none had tried: they are done, or asked for again."""
    for cell in cells:
        (Path(folder) / TRIES / cell).unlink(missing_ok=True)
