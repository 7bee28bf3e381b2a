"""A ready teacher: the path of a checkpoint, a model of the zoo, or what another defense comes to. Free of torch."""

from __future__ import annotations

import re
from pathlib import Path

from engine.errors import RequestError
from engine.events import ZOO
from engine.places import in_full
from engine.storage.paths import zoo_dir

_OF_THE_ZOO = f"{ZOO}:"
BY = "defense:"
"""What the name of a defense of the same run follows."""


def kept(value: str) -> str:
    """A path in full, so that a record of it is of use from any folder; zoo:NAME and defense:NAME as they are.

    Raises:
        ValueError: the zoo has no such model, there is no such defense, or nobody knows the home a path begins with.
    """
    if (defense := defense_of(value)) is not None:
        from engine.defenses import settings_class

        settings_class(defense)
        return value
    if not value.startswith(_OF_THE_ZOO):
        try:
            return in_full(value)
        except RequestError as error:
            raise ValueError(str(error)) from None
    if not re.fullmatch(r"[\w.@-]+", value.removeprefix(_OF_THE_ZOO)) or not path_of(value).is_file():
        raise ValueError("the zoo has no such model (nadtui zoo lists them)")
    return value


def defense_of(value: str) -> str | None:
    """The defense whose purified model it is; None where it is a file's."""
    return value.removeprefix(BY) if value.startswith(BY) else None


def path_of(value: str) -> Path:
    """Where a file's lies."""
    if value.startswith(_OF_THE_ZOO):
        return zoo_dir() / f"{value.removeprefix(_OF_THE_ZOO)}.safetensors"
    return Path(value)
