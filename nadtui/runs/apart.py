"""Runs that a list would show alike, told apart by what differs in their configuration. Free of torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeGuard

from nadtui import formatting

MOST = 3
"""Fields that are named at most: a list has room for no more."""
_SEEN = {"preset", "seed", "data.name"}
"""Fields that a list shows anyway."""


def apart(configs: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """For each configuration (flat, by dotted path) what sets it off from the others: `lr 0.1`, `epochs 4`.

    Fields go by the last part of their path, or by as much of it as tells them apart, defenses that not all have by
    their names alone; empty where nothing differs.
    """
    defended = [_defenses(config) for config in configs]
    shared = [name for name in defended[0] if all(name in own for own in defended)]
    compared = [{name: value for name, value in config.items() if _counts(name, shared)} for config in configs]
    names = dict.fromkeys(name for config in compared for name in config)
    differing = [name for name in names if len({str(config.get(name, _ABSENT)) for config in compared}) > 1][:MOST]
    titles = _shortest(differing, ".")
    files = _shortest({value for config in compared for name in differing if _is_path(value := config.get(name))}, "/")
    return [
        (
            *(name for name in own if name not in shared),
            *(f"{titles[name]} {_shown(config[name], files)}" for name in differing if config.get(name) is not None),
        )
        for own, config in zip(defended, compared, strict=True)
    ]


def _defenses(config: Mapping[str, Any]) -> dict[str, None]:
    """The names of a configuration's defenses, in their order."""
    return dict.fromkeys(name.split(".")[1] for name in config if name.startswith("defenses."))


def _counts(name: str, shared: Sequence[str]) -> bool:
    section, _, rest = name.partition(".")
    return name not in _SEEN and (section != "defenses" or rest.partition(".")[0] in shared)


_ABSENT = object()


def _shortest(names: Collection[str], mark: str) -> dict[str, str]:
    """Each name's shortest ending of whole parts, which `mark` sets apart, that no other of them has."""
    found = {}
    for name in names:
        parts = name.split(mark)
        endings = (mark.join(parts[-count:]) for count in range(1, len(parts) + 1))
        found[name] = next(
            (end for end in endings if sum(each == end or each.endswith(f"{mark}{end}") for each in names) == 1), name
        )
    return found


def _is_path(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and "/" in value


def _shown(value: Any, files: Mapping[str, str]) -> str:
    """A field's value; a file by as much of its path's end as tells it apart."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return formatting.clean(files[value] if _is_path(value) else value)
