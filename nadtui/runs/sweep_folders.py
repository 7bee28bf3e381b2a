"""Sweeps' folders among others: looked for by name alone, at a start that waits for nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engine.sweeps.layout import GRID


def is_sweep(folder: Path) -> bool:
    """Whether a folder is a sweep's."""
    return (folder / GRID).is_file()


def sweeps_in(folders: Iterable[Path]) -> list[Path]:
    """The sweeps that are, or lie in, these folders, the newest first."""
    found: dict[Path, float] = {}
    for folder in folders:
        try:
            inside = [folder, *folder.iterdir()]
        except OSError:
            continue
        for each in inside:
            if is_sweep(each):
                found[each.resolve()] = (each / GRID).stat().st_mtime
    return sorted(found, key=lambda folder: -found[folder])
