"""A ready teacher: the path of a checkpoint, or the name of a model of the zoo. Free of torch."""

from __future__ import annotations

import re
from pathlib import Path

from engine.errors import RequestError
from engine.events import ZOO
from engine.places import in_full
from engine.storage.paths import zoo_dir

_OF_THE_ZOO = f"{ZOO}:"


def kept(value: str) -> str:
    """A path in full, so that a record of it is of use from any folder; zoo:NAME as it is, good on any machine.

    Raises:
        ValueError: the zoo has no such model, or nobody knows the home that a path begins with.
    """
    if not value.startswith(_OF_THE_ZOO):
        try:
            return in_full(value)
        except RequestError as error:
            raise ValueError(str(error)) from None
    if not re.fullmatch(r"[\w.@-]+", value.removeprefix(_OF_THE_ZOO)) or not path_of(value).is_file():
        raise ValueError("the zoo has no such model (nadtui zoo lists them)")
    return value


def path_of(value: str) -> Path:
    """Where it lies."""
    if value.startswith(_OF_THE_ZOO):
        return zoo_dir() / f"{value.removeprefix(_OF_THE_ZOO)}.safetensors"
    return Path(value)
