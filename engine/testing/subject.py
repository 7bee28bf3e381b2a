"""What is checked: something registered, or a file, by its kind and name. Free of torch, as far as it goes."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from engine import data, models
from engine.attacks import ATTACKS
from engine.data import SOURCES
from engine.defenses import DEFENSES
from engine.errors import RequestError
from engine.models import FAMILIES
from engine.registry import Registry

if TYPE_CHECKING:
    from engine.testing.world import World

T = TypeVar("T")
Kind = Literal["attack", "defense", "model", "data"]

REGISTRIES: Mapping[Kind, Registry] = {"attack": ATTACKS, "defense": DEFENSES, "model": FAMILIES, "data": SOURCES}


@dataclass(frozen=True, eq=False)
class Subject:
    """Something to be checked, with settings of its own, in a world."""

    kind: Kind
    name: str
    """A registered name; of a model, the network's."""
    world: World
    given: Mapping[str, Any] = field(default_factory=dict)
    """Settings of its own, as nested tables, over the quick ones."""

    @property
    def id(self) -> str:
        """Its name with the settings that differ."""
        return titled(self.name, self.given)

    def once(self, what: Hashable, make: Callable[[], T]) -> T:
        """What `make` makes of this subject, made the first time it is asked for (see `World.once`)."""
        return self.world.once((self.kind, self.id, what), make)


def titled(name: str, given: Mapping[str, Any]) -> str:
    """`nad[distill.p=1]`."""
    differing = ",".join(_flat(given))
    return f"{name}[{differing}]" if differing else name


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    lines: list[str] = []
    for key, value in values.items():
        lines += _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [f"{prefix}{key}={value}"]
    return lines


def find(text: str) -> tuple[Kind, str]:
    """The kind and name of what a person calls `text`: NAME, or KIND:NAME.

    Raises:
        RequestError: there is nothing of that name, or more than one thing.
    """
    kind, colon, rest = text.partition(":")
    if colon and kind in get_args(Kind):
        wanted, name = (kind,), rest
    else:
        wanted, name = get_args(Kind), text
    found = [(each, known) for each in wanted if (known := _known(each, name)) is not None]
    if len(found) > 1:
        raise RequestError(f"{name!r} is more than one thing: say {' or '.join(f'{each}:{name}' for each, _ in found)}")
    if not found:
        raise RequestError(_unknown(name, wanted))
    return found[0]


def _known(kind: Kind, name: str) -> str | None:
    """The name by which such a thing is checked, None where there is none of that name.

    Raises:
        RequestError: it is a network's file that cannot be read, or a family that names no network to be checked on.
    """
    if name in REGISTRIES[kind]:
        return smallest(name) if kind == "model" else name
    if kind in ("attack", "defense"):
        return None
    try:
        (models if kind == "model" else data).check_name(name)
    except RequestError:
        return None
    if kind == "model":
        models.digest(name)
    return name


def registered_as(kind: Kind, name: str) -> str | None:
    """The registered name behind what is checked: of a network its family's; None = it comes from a file."""
    found = models.family_of(name) if kind == "model" and not models.from_file(name) else name
    return found if found in REGISTRIES[kind] else None


def smallest(word: str) -> str:
    """The name of the smallest network of a family.

    Raises:
        RequestError: the family cannot be imported, or does not say which that is.
    """
    try:
        family = FAMILIES.get(word)
    except ValueError as error:
        raise RequestError(str(error)) from error
    if not family.smallest:
        raise RequestError(f"model family {word!r} does not say which of its networks is the smallest: name one")
    return family.smallest


def _unknown(name: str, kinds: tuple[Kind, ...]) -> str:
    everything = [known for kind in kinds for known in REGISTRIES[kind]]
    near = difflib.get_close_matches(name, everything, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(everything)}"
    return f"nothing is called {name!r}; {hint}"
