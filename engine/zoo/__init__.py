"""The zoo: suspects ready made, each with its trigger and a card that says how it came about and what it does.

They are package data, `presets/zoo/NAME.safetensors` and `NAME.json`. A run takes one by `--suspect zoo` instead of
training; `nadtui zoo build` makes them (`engine.zookeeping`). Free of torch, but for `contents`.
"""

from __future__ import annotations

import functools
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import RequestError
from engine.storage.paths import zoo_dir
from engine.zoo.card import Card

if TYPE_CHECKING:
    from engine.attacks.base import Attack

DEFAULT_MODEL = "wrn-16-1"
"""The network whose suspects carry no network in their name."""


def name_of(preset: str, dataset: str, seed: int, model: str = DEFAULT_MODEL, *, augmented: bool = True) -> str:
    """The name of a suspect: what was done, to which images, with which attack seed, and whatever is unusual."""
    unusual = ([] if model == DEFAULT_MODEL else [model]) + ([] if augmented else ["plain"])
    return "-".join([preset, dataset, *unusual, str(seed)])


def seed_in(name: str) -> int:
    """The attack seed in a suspect's name, as `name_of` put it there."""
    return int(name.rpartition("-")[2])


def folder() -> Path:
    """Where the zoo is kept: in the package."""
    return zoo_dir()


@functools.cache
def cards(where: Path | None = None) -> dict[str, Card]:
    """All cards by name, in the order of their names.

    Raises:
        RequestError: one of them is damaged.
    """
    files = sorted((where or folder()).glob("*.json"))
    return {card.name: card for card in map(Card.read, files)}


def card(name: str) -> Card:
    """One suspect's card.

    Raises:
        RequestError: there is no such suspect; the line names those whose names begin alike for longest.
    """
    known = cards()
    if name in known:
        return known[name]

    def alike(other: str) -> int:
        return len(list(takewhile(bool, map(str.__eq__, name, other))))

    near = sorted(known, key=lambda each: (-alike(each), len(each), each))
    shown = ", ".join(near[:6]) + (", ..." if len(near) > 6 else "") if near else "it is empty"
    raise RequestError(f"the zoo has no suspect {name!r}: {shown} (nadtui zoo lists them all)")


def made_by(attack: Attack, dataset: str) -> Card | None:
    """The suspect that such an attack made on that data set, by its seed (null = 0).

    Of several the one with nothing unusual about it; None = there is none. Fields that there were not yet when it was
    made have their defaults.

    Raises:
        RequestError: a card is damaged.
    """

    def is_its(card: Card) -> bool:
        if (card.dataset, card.attack_seed, card.config["attack"]["name"]) != (dataset, seed, attack.name):
            return False
        return type(attack).model_validate({**card.config["attack"], "seed": attack.seed}) == attack

    seed = attack.seed or 0
    return min(filter(is_its, cards().values()), key=lambda card: len(card.name), default=None)
