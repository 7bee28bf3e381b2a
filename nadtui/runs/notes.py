"""What a person says of a run: a name, tags, a note; kept in its folder, as YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from engine.record.reading import load_yaml
from engine.storage.paths import write_atomically

FILE = "notes.yaml"
NOTE = " -- "
"""What stands between name with tags and the note, where all is typed in one line."""


@dataclass(frozen=True)
class Notes:
    """Empty where a person has said nothing."""

    name: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""

    @property
    def line(self) -> str:
        """All of it in one line, as `parsed` reads it: `first try #paper #signs -- lr too high`."""
        head = " ".join(filter(None, (self.name, *(f"#{tag}" for tag in self.tags))))
        return f"{head}{NOTE}{self.note}".strip() if self.note else head

    @property
    def words(self) -> str:
        """For a search."""
        return " ".join((self.name, *self.tags, self.note))


def parsed(line: str) -> Notes:
    """What was typed in one line: a name, tags that begin with #, and behind ` -- ` a note."""
    head, _, note = f" {line} ".partition(NOTE)
    tags = re.findall(r"(?<=\s)#(\S+)", head)
    name = " ".join(re.sub(r"(?<=\s)#\S+", "", head).split())
    return Notes(name, tuple(dict.fromkeys(tags)), note.strip())


def of(run: Path) -> Notes:
    """The notes of the run in this folder; read again only where they have changed."""
    try:
        return _as_of(run, (run / FILE).stat().st_mtime_ns)
    except OSError:
        return NONE


NONE = Notes()


@lru_cache(maxsize=2048)
def _as_of(run: Path, _changed: int) -> Notes:
    """A file that a person edited may hold anything: what makes no sense is left out."""
    try:
        values = load_yaml((run / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError, LookupError, AttributeError, TypeError):
        return NONE
    values = values if isinstance(values, Mapping) else {}
    tags = values.get("tags")
    return Notes(
        _text(values.get("name")),
        tuple(_text(tag) for tag in tags if _text(tag)) if isinstance(tags, list) else (),
        _text(values.get("note")),
    )


def _text(value: Any) -> str:
    return " ".join(str(value).split()) if isinstance(value, str | int | float) else ""


def keep(run: Path, notes: Notes) -> None:
    """Write a run's notes; empty ones take the file away.

    Raises:
        RequestError: the folder is gone, or cannot be written.
    """
    if notes == NONE:
        (run / FILE).unlink(missing_ok=True)
        return
    values = {"name": notes.name, "tags": list(notes.tags), "note": notes.note}
    said = {key: value for key, value in values.items() if value}
    content = yaml.safe_dump(said, allow_unicode=True, sort_keys=False)
    write_atomically(run / FILE, content.encode(), within=run)
