"""A grid's axes as a person writes them: commas, ranges (`0-4`), `all`, and YAML for any field. Free of torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import yaml

from engine import data
from engine.config.complaints import shown
from engine.config.layers import read_yaml
from engine.config.presets import list_presets, list_recipes
from engine.defenses import DEFENSES
from engine.errors import RequestError

ALL = "all"
LARGEST_SEED = 2**63 - 1
_RANGE = re.compile(r"(\d{1,19})-(\d{1,19})")
_FIELD = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*")
MOST = 1_000_000
"""Cells a sweep may have."""


def _all_defenses() -> list[str]:
    """Every defense but the slow ones, which have to be named."""
    return [name for name, defense in DEFENSES.loaded().items() if not defense.slow]


EVERY: dict[str, Callable[[], list[str]]] = {
    "preset": lambda: [preset.name for preset in list_presets()],
    "dataset": lambda: list(data.SOURCES),
    "defense": _all_defenses,
    "recipe": list_recipes,
}
"""What `all` stands for, by axis; of the others there is no end."""


def names(axis: str, given: Iterable[str]) -> list[str]:
    """The values of an axis of names: repeated, with commas, or `all`.

    Raises:
        RequestError: an empty value, or `all` of what has no end.
    """
    found: dict[str, None] = {}
    for part in _parts(axis, given):
        if part == ALL:
            if axis not in EVERY:
                raise RequestError(f"--{axis} all: name them; all is known of {', '.join(EVERY)}")
            found |= dict.fromkeys(EVERY[axis]())
        else:
            found[part] = None
    return list(found)


def seeds(option: str, given: Iterable[str]) -> list[int]:
    """The values of an axis of seeds: numbers and ranges, both ends included.

    Raises:
        RequestError: anything else, or more than there may be.
    """
    found: dict[int, None] = {}
    for part in _parts(option, given):
        ends = _RANGE.fullmatch(part) or _RANGE.fullmatch(f"{part}-{part}")
        first, last = (int(ends[1]), int(ends[2])) if ends else (1, 0)
        if first > last or last > LARGEST_SEED:
            raise RequestError(f"--{option} {part}: numbers and ranges from 0 on are wanted, as in 0,3,5-9")
        if last - first >= MOST:
            raise RequestError(f"--{option} {part}: a sweep has at most {MOST:,} cells")
        found |= dict.fromkeys(range(first, last + 1))
    return list(found)


def field(text: str) -> tuple[str, list[Any]]:
    """An axis over any field: `FIELD=[V1,V2]`, the list in YAML.

    Raises:
        RequestError: it is written otherwise, or the list is empty.
    """
    name, equals, values = text.partition("=")
    try:
        found = read_yaml(values) if equals else None
    except yaml.YAMLError:
        found = None
    if not _FIELD.fullmatch(name.strip()) or not isinstance(found, list):
        raise RequestError(f"--axis {shown(text)}: FIELD=[V1,V2] is wanted, as in data.clean_fraction=[0.01,0.05]")
    return name.strip(), _different(found)


def _different(values: Sequence[Any]) -> list[Any]:
    return [value for place, value in enumerate(values) if value not in values[:place]]


def _parts(option: str, given: Iterable[str]) -> list[str]:
    parts = [part.strip() for text in given for part in text.split(",")]
    if "" in parts:
        raise RequestError(f"--{option}: an empty value; several are set apart by commas")
    return parts
