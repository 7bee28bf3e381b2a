"""What a field of the configuration means, and what is allowed there: from its definition."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from engine import attacks, defenses
from engine.config.run import RunConfig
from engine.config.selection import ALL

DEFENSES = "defenses"
"""The field whose tables are the defenses of a run."""


def is_leaf(path: str, config: RunConfig) -> bool:
    """Whether the path is a field of its own, and not a table of others."""
    if path.startswith("defenses.") and path.split(".")[1] not in config.defenses:
        return False  # it comes with its defense
    found = _info(path, config)
    return found is not None and not (isinstance(found.annotation, type) and issubclass(found.annotation, BaseModel))


def meaning(path: str, config: RunConfig) -> tuple[str, str]:
    """A field's meaning, and what is allowed there."""
    found = _info(path, config)
    if found is None:
        return "", ""
    if path == DEFENSES:
        said = "The defenses of this run, in their order; each brings its fields; all = all but slow ones"
        return said, ", ".join((*defenses.DEFENSES.names(), ALL))
    return " ".join((found.description or "").split()), _allowed(found)


def _info(path: str, config: RunConfig) -> FieldInfo | None:
    """The definition of the field at a dotted path."""
    first, *rest = path.split(".")
    if first == "attack" and rest and config.attack is not None:
        return _within(attacks.settings_class(config.attack.name), rest)
    if first == "defenses" and len(rest) > 1 and rest[0] in defenses.DEFENSES:
        return _within(defenses.settings_class(rest[0]), rest[1:])
    return _within(RunConfig, [first, *rest])


def _within(section: type[BaseModel], parts: list[str]) -> FieldInfo | None:
    for place, part in enumerate(parts):
        found = section.model_fields.get(part)
        if found is None or place == len(parts) - 1:
            return found
        if not (isinstance(found.annotation, type) and issubclass(found.annotation, BaseModel)):
            return None
        section = found.annotation
    return None


_SIGNS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))


def _allowed(found: FieldInfo) -> str:
    """`one of a, b`, `> 0, ≤ 16`; empty where the type says it all."""
    choices = [str(value) for part in (found.annotation, *get_args(found.annotation)) for value in _choices(part)]
    if choices:
        return "one of " + ", ".join(dict.fromkeys(choices))
    if found.annotation is bool:
        return "true or false"
    bounds = [
        f"{sign} {getattr(rule, name)}"
        for rule in found.metadata
        for name, sign in _SIGNS
        if getattr(rule, name, None) is not None
    ]
    return ", ".join(bounds)


def _choices(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()
