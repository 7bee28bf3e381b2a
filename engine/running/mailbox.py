"""What other processes ask of the one that carries a run out: a word in a file of the run folder.

Whoever wants something writes the word; the run's process takes it away between two steps. It is no signal: so it
reaches a workbench as well as a headless run, and a run on another host that shares the folder.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import get_args

from engine.control import Control, Wish
from engine.storage.paths import write_atomically

FILE = "wish"


def ask(folder: Path, wish: Wish) -> None:
    """Ask the process that writes this run to pause, to resume after a pause, or to stop; the last word counts.

    Raises:
        RequestError: the folder cannot be written.
    """
    write_atomically(Path(folder) / FILE, wish.encode(), within=Path(folder))


def take(folder: Path) -> Wish | None:
    """The word that was left for the run, which is thereby taken away; None where there is none that is understood."""
    left = Path(folder) / FILE
    taken = left.with_name(f".{FILE}.taken")
    try:
        left.replace(taken)  # so that a word written meanwhile is not lost
        word = taken.read_text(encoding="utf-8", errors="replace")
        taken.unlink()
    except OSError:
        return None
    return next((wish for wish in get_args(Wish) if wish == word), None)


@contextmanager
def heard(folder: Path, control: Control) -> Generator[None]:
    """While it lasts, `control` follows what is asked of the run, or was since its folder was opened.

    What is left in the end is forgotten. Whoever opens a folder again takes away what was asked of the process before.
    """
    control.listen(partial(take, folder))
    try:
        yield
    finally:
        control.listen(None)
        with suppress(OSError):
            (Path(folder) / FILE).unlink()
