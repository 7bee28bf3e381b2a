"""What is said of a configuration that is wrong: one line with the field, its value and what is allowed."""

from __future__ import annotations

import contextlib
import difflib
import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from engine import attacks, defenses
from engine.errors import RequestError

RENAMED = {
    "student": "suspect",
    "teacher": "defenses.nad.teacher",
    "distill": "defenses.nad.distill",
}
"""Fields of the configuration that were called otherwise before a run was a plan, with their new names."""


def one_line(text: str) -> str:
    """What is said, whatever line breaks a name or a value in it has."""
    return " ".join(text.splitlines())


def explained(error: ValidationError, values: Mapping[str, Any], config: type[BaseModel]) -> str:
    """The first thing that is wrong, in one line."""
    return one_line(_explained(error, values, config))


def _explained(error: ValidationError, values: Mapping[str, Any], config: type[BaseModel]) -> str:
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"] if "[" not in str(part)]
    name = ".".join(path) or "the whole"
    if first["type"] == "extra_forbidden":
        return renamed(name) or f"unknown field '{name}'{_hint(name, fields_of(config, values))}"
    message = _WANTED.get(first["type"].removesuffix("_type").removesuffix("_parsing"), first["msg"])
    message = _PYDANTICS.sub("must ", message.removeprefix("Value error, "))
    if first["type"] == "missing":
        return f"'{name}' is missing"
    return f"{name} = {shown(first['input'])}: {message}" if path else message


_WANTED = {
    **dict.fromkeys(("tuple", "list", "set", "frozen_set"), "a list is wanted, as in [1, 2, 3]"),
    **dict.fromkeys(("dict", "dict_attributes", "model", "model_attributes", "mapping"), "a table of fields is wanted"),
    **dict.fromkeys(("int", "int_from_float"), "a whole number is wanted"),
    "float": "a number is wanted",
    "bool": "true or false is wanted",
    "string": "a text is wanted",
}
"""By pydantic's type of an error, of a value that is of another kind than the field."""
_PYDANTICS = re.compile(r"^(?:Input|Value|String|List|Tuple|Set|Frozenset|Dictionary|Mapping|Data|Number) should ")
"""How pydantic begins: of limits, choices and lengths the rest is said as it has it."""


def renamed(field: str) -> str:
    """What is said of a field under the name it had before; empty for any other."""
    first, dot, rest = field.partition(".")
    return f"'{field}' is now '{RENAMED[first]}{dot}{rest}'" if first in RENAMED else ""


def refuse_renamed(values: Mapping[str, Any], where: str) -> None:
    """Refuse a layer that uses a field's old name.

    Raises:
        RequestError: the first such field, with its new name.
    """
    for name in values:
        if name in RENAMED:
            inner = values[name]
            leaf = next(iter(inner), None) if isinstance(inner, Mapping) else None
            raise RequestError(one_line(f"{where}: {renamed(f'{name}.{leaf}' if leaf else name)}"))


def shown(value: Any) -> str:
    """A value as a message shows it: at most 80 characters, however large it is."""
    short = reprlib.Repr()  # never writes out the whole: a few YAML aliases can stand for billions of items
    short.maxlevel, short.maxstring, short.maxother = 2, 80, 80
    try:
        text = short.repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a number too long to show"
    return text if len(text) <= 80 else text[:77] + "..."


def fields_of(config: type[BaseModel], values: Mapping[str, Any]) -> list[str]:
    """Every field's dotted path for a configuration with the attack that `values` name, and with every defense."""
    fields = list(_paths(config))
    attack = values.get("attack")
    if isinstance(attack, Mapping):
        with contextlib.suppress(ValueError):  # no such attack, or that of a broken package
            fields += _paths(attacks.settings_class(str(attack.get("name"))), "attack.")
    for name, defense in defenses.DEFENSES.loaded().items():
        fields += _paths(defense, f"defenses.{name}.")
    return list(dict.fromkeys(fields))


def _paths(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in section.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _paths(field.annotation, f"{prefix}{name}.")


def _hint(name: str, known: Sequence[str]) -> str:
    """A suggestion: fields whose last part is the same, else the nearest by name, else by last part, or nothing."""
    leaf = _leaf(name)
    near = [field for field in known if _leaf(field) == leaf][:2]
    near = near or difflib.get_close_matches(name, known, n=2, cutoff=0.5)
    near = near or [field for field in known if difflib.get_close_matches(leaf, [_leaf(field)], cutoff=0.7)][:2]
    return f": did you mean {' or '.join(near)}?" if near else ""


def _leaf(field: str) -> str:
    return field.rsplit(".", 1)[-1]
