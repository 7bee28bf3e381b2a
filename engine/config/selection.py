"""Which defenses a run has: those that were named, or `all` that can be had of its suspect. Free of torch.

What the network itself cannot bear is known only once it is built (`engine.running.fitting`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from engine.config.complaints import one_line, shown
from engine.config.layers import merged
from engine.config.run import RunConfig
from engine.defenses import DEFENSES, settings_class
from engine.defenses.nad.teacher_file import defense_of
from engine.errors import RequestError

ALL = "all"
"""Stands for every defense whose needs are met, the slow ones left out."""


def listed(text: str) -> list[str]:
    """The names in a text, with commas between."""
    return [name.strip() for name in text.split(",")]


def as_table(layer: Mapping[str, Any]) -> Mapping[str, Any]:
    """A layer in which `defenses: all`, or names in a row, have become a table of defenses by name.

    Raises:
        RequestError: there is something else.
    """
    given = layer.get("defenses", {})
    if isinstance(given, Mapping):
        return layer
    names = listed(given) if isinstance(given, str) else given
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RequestError(f"defenses = {shown(given)}: a table of fields is wanted, or names in a row")
    return {**layer, "defenses": dict.fromkeys(names)}


def in_full(layer: Mapping[str, Any]) -> Mapping[str, Any]:
    """A layer in which a teacher that is given as one text has become its table, so that what another layer says of
    the teacher is laid over it and not put in its place."""
    given = layer.get("defenses")
    if not isinstance(given, Mapping):
        return layer
    return {**layer, "defenses": {name: _teacher_in_full(settings) for name, settings in given.items()}}


def _teacher_in_full(settings: Any) -> Any:
    said = settings.get("teacher") if isinstance(settings, Mapping) else None
    return {**settings, "teacher": {"file": said}} if isinstance(said, str) else settings


def selected(
    asked: Sequence[str] | None, given: Mapping[str, Any], overrides: Sequence[Mapping[str, Any]]
) -> list[str]:
    """The names of the run's defenses, `all` replaced by every other there is: `fitting` then leaves some out.

    Raises:
        RequestError: a field is set of a defense that is not among them.
    """
    names = asked_for(asked, given)
    if ALL in names:
        names = [*(name for name in names if name != ALL), *DEFENSES.loaded()]
    names = with_teachers(names, set_of((given, *overrides)))
    _check_set(names, overrides)
    return names


def asked_for(asked: Sequence[str] | None, given: Mapping[str, Any]) -> list[str]:
    """Those that were asked for, else those of the configuration file, else NAD."""
    if asked is not None:
        return list(asked)
    return list(given["defenses"]) if "defenses" in given else ["nad"]


def with_teachers(names: Sequence[str], tables: Mapping[str, Any]) -> list[str]:
    """The defenses and, before each, the one that is to make its teacher (`teacher.file: defense:NAME`).

    Args:
        names: in the order in which they were asked for; one that has to come earlier does.
        tables: what is set of defenses, by name.
    """
    ordered: list[str] = []

    def add(name: str, above: tuple[str, ...] = ()) -> None:
        if name in above:
            raise RequestError(one_line(f"defense {name} would be its own teacher: {' of '.join([*above, name])}"))
        teacher = teacher_in(tables.get(name))
        if teacher is not None:
            add(teacher, (*above, name))
        if name not in ordered:
            ordered.append(name)

    for name in names:
        add(name)
    return ordered


def that_may_be_set(names: Collection[str], layers: Iterable[Mapping[str, Any]]) -> set[str]:
    """The defenses, and every one of which one of the layers says that it makes a teacher."""
    return {*names, *filter(None, (teacher_in(said) for layer in layers for said in set_of([layer]).values()))}


def teacher_in(settings: Any) -> str | None:
    """The defense that makes the teacher by these settings of another, which are in full."""
    said = settings.get("teacher") if isinstance(settings, Mapping) else None
    file = said.get("file") if isinstance(said, Mapping) else None
    return defense_of(file) if isinstance(file, str) else None


def fitting(
    config: RunConfig, names: Sequence[str], overrides: Sequence[Mapping[str, Any]]
) -> tuple[RunConfig, dict[str, str]]:
    """For `all`: the configuration less what cannot be had of its suspect, and why not, by name.

    Args:
        names: as they were given; what is among them by its own name stays, and what another is to stand on.
        overrides: what was set.

    Raises:
        RequestError: a field is set of a defense that is left out.
    """
    stay = {*names, *(other for defense in config.defenses.values() for other in defense.stands_on)}
    left_out = {name: why for name in config.defenses if name not in stay for why in _lacking(config, name)}
    kept = {name: defense for name, defense in config.defenses.items() if name not in left_out}
    _check_set(list(kept), overrides)
    return config.model_copy(update={"defenses": kept}), left_out


def _lacking(config: RunConfig, name: str) -> Iterator[str]:
    """Why `all` leaves a defense out: nothing, or one reason."""
    if config.defenses[name].slow:
        yield f"it is slow; --defense {name} adds it"
    elif unmet(config, name):
        yield unmet(config, name)


def unmet(config: RunConfig, name: str) -> str:
    """Which of a defense's needs the run's suspect does not meet; empty where it meets all."""
    defense, attack = config.defenses[name], config.attack
    at_hand = attack is not None and config.suspect_file is None and not attack.learns
    if "poisoned set" in defense.needs and not (at_hand and (config.zoo_name is None or attack.remakes)):
        return "it needs the poisoned set"
    return ""


def set_of(layers: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """What is set of defenses in some layers, by name; what is no table is refused when they are validated."""
    said = merged(map(in_full, layers)).get("defenses")
    return said if isinstance(said, Mapping) else {}


def _check_set(names: Sequence[str], overrides: Sequence[Mapping[str, Any]]) -> None:
    for name in set_of(overrides):
        if name not in names:
            raise RequestError(one_line(f"defenses.{name}: {_why_left_out(str(name), names)}"))


def _why_left_out(defense: str, names: Sequence[str]) -> str:
    try:
        settings_class(defense)
    except ValueError as error:
        return str(error)
    return f"not among this run's defenses ({', '.join(names) or 'none'}); --defense {defense} adds it"
