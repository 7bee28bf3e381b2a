"""The shelves of presets: YAML files by name, ours in the package and a person's own over them, file by file.

A person's own folder is NADTUI_PRESETS, else a folder among the user's settings; both have the same layout. Free of
torch.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from engine.config.complaints import refuse_renamed
from engine.config.layers import read_yaml
from engine.errors import RequestError
from engine.registry import warn
from engine.storage.paths import entries, presets_dir

Made = TypeVar("Made")
BUILT_IN = "built in"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def files(folder: str) -> dict[str, Traversable]:
    """YAML files by name in one folder of the presets, the user's over the built in ones."""
    found: dict[str, Traversable] = {}
    for root in (resources.files("presets"), presets_dir()):
        found |= {
            entry.name.removesuffix(".yaml"): entry
            for entry in entries(root.joinpath(folder) if folder else root)
            if entry.name.endswith(".yaml") and _NAME.fullmatch(entry.name.removesuffix(".yaml"))
        }
    return found


def read_all(folder: str, make: Callable[[str, Traversable], Made]) -> list[Made]:
    """What `make` makes of each name and file in one folder, in the order of their names.

    A person's own file that is not valid is left out with a warning: one mistake must not hide the others.

    Raises:
        RequestError: one of ours is not valid.
    """
    found = []
    for name, file in sorted(files(folder).items()):
        try:
            found.append(make(name, file))
        except RequestError as error:
            if origin(file) == BUILT_IN:
                raise
            warn(f"left out: {error}")
    return found


def find(folder: str, name: str, what: str) -> Traversable:
    """The file of that name in one folder; `what` says in messages what it holds.

    Raises:
        RequestError: there is none; the nearest is suggested.
    """
    known = files(folder)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f": did you mean '{near[0]}'?" if near else ";"
        raise RequestError(f"unknown {what} {name!r}{hint} known: {', '.join(known)}")
    return known[name]


def origin(file: Traversable) -> str:
    """Where a file is from: "built in", or its path where it is a person's own."""
    return str(file) if isinstance(file, Path) and presets_dir() in file.parents else BUILT_IN


@lru_cache(maxsize=256)
def _parsed(text: str) -> Any:
    """What a file's text stands for: a sweep puts thousands of configurations together from a few files."""
    return read_yaml(text)


def read(file: Traversable | Path, where: str) -> dict[str, Any]:
    """The fields in a YAML file.

    Raises:
        RequestError: it cannot be read, is no table, or uses a field's old name.
    """
    try:
        values = copy.deepcopy(_parsed(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{where}: cannot be read ({error})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise RequestError(f"{where}: not valid YAML{line}") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise RequestError(f"{where}: a table of fields is wanted")
    refuse_renamed(values, where)
    for inner in (values.get("datasets") or {}).values() if isinstance(values.get("datasets"), Mapping) else ():
        refuse_renamed(inner if isinstance(inner, Mapping) else {}, where)
    return values
