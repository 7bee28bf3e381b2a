"""Run folders that are deleted: moved into a trash inside the folder of runs, from where they can be taken back."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.record.liveness import is_running

TRASH = ".trash"
"""The folder, inside that of runs, with one folder for each deletion: when it was, in seconds since the epoch, and a
few letters."""
KEPT_DAYS = 30
"""Days for which a deleted run can be taken back."""


@dataclass(frozen=True)
class Deletion:
    """Runs that were deleted together."""

    folder: Path
    """Where they are now."""
    runs: tuple[Path, ...]
    """Where they were."""
    problems: tuple[str, ...]
    """What went wrong, a line each; a run that it names is where it was."""


def delete_runs(folders: Sequence[Path]) -> Deletion:
    """Move run folders of one folder of runs into its trash. Runs at work, and links, are left alone."""
    bin_ = folders[0].parent / TRASH / f"{int(time.time())}-{secrets.token_hex(3)}"
    moved, problems = [], []
    for folder in folders:
        problem = _moved(folder, bin_)
        if problem:
            problems.append(problem)
        else:
            moved.append(folder)
    return Deletion(bin_, tuple(moved), tuple(problems))


def _moved(folder: Path, bin_: Path) -> str:
    """What kept it from being moved; empty where it is in the trash, or was gone before."""
    if folder.is_symlink():
        return f"{folder} is a link: delete it by hand"
    if is_running(folder):
        return f"{folder.name} is at work: stop it first"
    try:
        bin_.mkdir(parents=True, exist_ok=True)
        folder.rename(bin_ / folder.name)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{folder} cannot be deleted: {error.strerror or error}"
    return ""


def take_back(deletion: Deletion) -> list[str]:
    """Undo a deletion; what went wrong, a line each."""
    problems = []
    for folder in deletion.runs:
        if folder.exists():
            problems.append(f"{folder} is there again: {deletion.folder / folder.name} stays in the trash")
            continue
        try:
            (deletion.folder / folder.name).rename(folder)
        except OSError as error:
            problems.append(f"{folder.name} cannot be taken back: {error.strerror or error}")
    if not problems:
        shutil.rmtree(deletion.folder, ignore_errors=True)
    return problems


def empty_trash(runs: Path, *, older_than_days: float = 0.0) -> int:
    """Delete for good what was deleted that long ago; how many runs those were.

    Raises:
        OSError: something cannot be deleted.
    """
    until, count = time.time() - 86_400 * older_than_days, 0
    for bin_ in _bins(runs):
        if int(bin_.name.partition("-")[0]) <= until:
            count += sum(1 for _ in bin_.iterdir())
            shutil.rmtree(bin_)
    return count


def _bins(runs: Path) -> Iterator[Path]:
    """The deletions in the trash, and nothing else that may lie there; the trash is no link, nor is what is in it."""
    trash = runs / TRASH
    if trash.is_symlink() or not trash.is_dir():
        return
    for entry in sorted(trash.iterdir()):
        if entry.is_dir() and not entry.is_symlink() and entry.name.partition("-")[0].isdecimal():
            yield entry
