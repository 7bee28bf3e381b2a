"""Runs as commands find them: what is printed for a person to type."""

from __future__ import annotations

from pathlib import Path

from engine.storage.paths import runs_dir
from nadtui.formatting import quoted


def typed(folder: Path) -> str:
    """A run in a command line, found without --out from any folder: its id where it lies among the runs, else its path.

    As a shell takes it, whatever is in its name.
    """
    return quoted(folder.name if folder.parent == runs_dir() else str(folder.absolute()))
