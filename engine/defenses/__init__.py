"""The defenses, one a file; this registry is all that has to know a new one. Free of torch until one is used."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

DEFENSES: dict[str, str] = {
    "fine-tuning": "engine.defenses.fine_tuning",
}
"""Name -> module; each has `Settings` and `defend`. Teacher and NAD belong to every run."""


def settings_class(name: str) -> Any:
    """The settings class of the defense called `name`.

    Raises:
        ValueError: no defense has that name; the message names those that are.
    """
    return module(name).Settings


def module(name: str) -> Any:
    """The module of the defense called `name`; raises ValueError as `settings_class` does."""
    if name not in DEFENSES:
        near = difflib.get_close_matches(name, DEFENSES, n=1)
        hint = f", did you mean '{near[0]}'" if near else ""
        raise ValueError(f"unknown defense '{name}'{hint}; known: {', '.join(DEFENSES)}")
    return importlib.import_module(DEFENSES[name])
