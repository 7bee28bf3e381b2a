"""A sweep's folder: what lies in it, and the few ways in which its files are read and written. Free of torch.

    <sweep>/sweep.yaml          the grids that were asked for, the newest last, and which checkpoints are kept
            templates.jsonl     configurations without their seeds, one a line
            cells.jsonl         one point of a grid a line: its axes' values, its cell's id, its template
            runs/<cell>/        the run of a cell, a run folder like any other, named by the cell's id
            results.jsonl       the figures of finished cells, one a line: read off their runs, and made anew from them
            shared/             suspects of several runs, by their weights: each run's checkpoint is a hard link to one
            suspects/           trained suspects, by what shaped them (engine.storage.artifacts)
            tries/<cell>        when work on it began and how it ended, a line each; kept while it is not finished
            images.json         fingerprints of the images that its cells are made with, by the settings that name them
            members/<name>/     the processes at work on the sweep, each alive as a run is: lock and heartbeat
            sweep.lock          held for the milliseconds of every change of the files above

What a cell's state is follows from what lies there; nothing else remembers it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from engine.errors import RequestError
from engine.plain import utf8
from engine.storage.paths import write_atomically

GRID = "sweep.yaml"
TEMPLATES = "templates.jsonl"
CELLS = "cells.jsonl"
RUNS = "runs"
RESULTS = "results.jsonl"
SHARED = "shared"
SUSPECTS = "suspects"
TRIES = "tries"
IMAGES = "images.json"
MEMBERS = "members"
LOCK = "sweep.lock"

LOCK_WAIT_S = 60.0
"""How long to wait for the folder, which others hold for milliseconds at a time."""


def check_sweep(folder: Path) -> None:
    """Refuse a folder that is no sweep's.

    Raises:
        RequestError: it has no grid.
    """
    if not (Path(folder) / GRID).is_file():
        what = "is not a sweep's folder: it has no " + GRID if Path(folder).is_dir() else "no such folder"
        raise RequestError(f"{folder}: {what}")


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Have the sweep's files to oneself, among all processes, for the milliseconds of the block.

    Raises:
        RequestError: the folder cannot be written, or a stopped process holds it.
    """
    lock = FileLock(Path(folder) / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=LOCK_WAIT_S, poll_interval=0.01)
    except Timeout:
        raise RequestError(f"{folder}: another process holds the sweep for more than {LOCK_WAIT_S:g} s") from None
    except OSError as error:
        raise RequestError(f"{folder}: cannot be written: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def read_lines(file: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file to which lines are added, one a line; what is none is left out.

    For files that may lose a line: a power cut may tear the last one.
    """
    try:
        content = file.read_bytes()
    except OSError:
        return
    for line in content.split(b"\n"):
        values = _object(line)
        if values is not None:
            yield values


def read_whole(file: Path) -> list[tuple[str, dict[str, Any]]]:
    """The JSON objects of a file that is written whole (`write_lines`), one a line, each with where it stands.

    Every line counts, the last one too: nobody who is cut off leaves a part of such a file, so a line that is none is
    damage, and to pass it over would lose it for good when the file is written anew. A file that is not there is empty.

    Raises:
        RequestError: it cannot be read, or a line of it cannot.
    """
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RequestError(f"{file}: cannot be read ({error.strerror or error})") from None
    found = []
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n") if content else (), 1):
        values = _object(line)
        if values is None:
            raise RequestError(f"{file}, line {number}: damaged: a JSON object is wanted")
        found.append((f"{file}, line {number}", values))
    return found


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def write_lines(file: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write a file of lines whole, or not at all.

    Raises:
        RequestError: it cannot be written.
    """
    text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
    write_atomically(file, utf8(text))


def append_lines(file: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Add lines to a file, which nobody else may be writing; behind a torn line they begin a new one.

    Raises:
        RequestError: it cannot be written.
    """
    text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab+") as at:
            if at.seek(0, 2):
                at.seek(-1, 2)
                text = text if at.read(1) == b"\n" else "\n" + text
            at.write(utf8(text))
    except OSError as error:
        raise RequestError(f"cannot write {file}: {error.strerror or error}") from error
