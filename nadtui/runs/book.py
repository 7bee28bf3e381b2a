"""The laboratory's book: measured results as data, read, filtered, and written down.

`presets/results/DATASET.jsonl` ships with the program; a person's own rows lie under `results/` in their folder of
presets (NADTUI_PRESETS) and are read as well. One JSON object a line, because most cells of most rows are unknown and
are left out, lists and numbers keep their types, a new column changes no line, and a row can be added at the end.
Free of torch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from engine.data import SOURCES
from engine.errors import RequestError
from engine.storage.paths import entries, presets_dir
from nadtui.runs.columns import COLUMNS, STATUSES
from nadtui.runs.query import parse
from nadtui.runs.result_rows import Row

FOLDER = "results"
_ENDING = ".jsonl"


def shipped() -> list[Row]:
    """The rows that come with the program, data set by data set."""
    return list(_rows(resources.files("presets").joinpath(FOLDER)))


def read() -> list[Row]:
    """All rows, a person's own ones last.

    Raises:
        RequestError: one line with the file and the line that is no row.
    """
    own, ours = presets_dir() / FOLDER, resources.files("presets").joinpath(FOLDER)
    same = isinstance(ours, Path) and ours.resolve() == own.resolve()
    return [*shipped(), *([] if same else _rows(own))]


def _rows(folder: Traversable) -> Iterator[Row]:
    known = list(SOURCES)
    files = {entry.name.removesuffix(_ENDING): entry for entry in entries(folder) if entry.name.endswith(_ENDING)}
    for name in sorted(files, key=lambda name: (known.index(name) if name in known else len(known), name)):
        yield from _read(files[name])


def _read(file: Traversable) -> Iterator[Row]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{file}: cannot be read ({error})") from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield Row(_checked(line, f"{file}, line {number}"))


def _checked(line: str, where: str) -> dict[str, Any]:
    try:
        cells = json.loads(line)
    except (ValueError, RecursionError):
        cells = None
    if not isinstance(cells, dict):
        raise RequestError(f"{where}: one JSON object is wanted")
    for name, value in cells.items():
        if name not in COLUMNS:
            raise RequestError(f"{where}: unknown column {name!r}; known: {', '.join(COLUMNS)}")
        if not COLUMNS[name].takes(value):
            raise RequestError(f"{where}: {name} = {json.dumps(value)}: {COLUMNS[name].wanted} is wanted")
    if cells.get("status") not in STATUSES:
        raise RequestError(f"{where}: status must be one of {', '.join(STATUSES)}")
    return cells


def found(rows: Sequence[Row], text: str) -> list[Row]:
    """The rows that a filter leaves (`nadtui.runs.query`); a word that names something whole stands for just that.

    Raises:
        RequestError: a term that cannot be understood.
    """
    names = {row[column]: column for column in ("recipe", "defense", "preset", "data", "status") for row in rows}
    query = parse(" ".join(f"{names[word]}={word}" if word in names else word for word in text.split()))
    if query.problem:
        raise RequestError(query.problem)
    return [row for row in rows if query.matches(row)]


def append(rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
    """Write rows down, each at the end of its data set's file under `folder`; the files.

    Raises:
        RequestError: a file cannot be written.
    """
    written: dict[Path, None] = {}
    for cells in rows:
        file = folder / FOLDER / f"{_slug(str(cells.get('data', '')))}{_ENDING}"
        ordered = {name: cells[name] for name in COLUMNS if name in cells}
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a", encoding="utf-8") as book:
                book.write(json.dumps(ordered, ensure_ascii=False) + "\n")
        except OSError as error:
            raise RequestError(f"cannot write {file}: {error.strerror or error}") from error
        written[file] = None
    return list(written)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-") or "data"
