"""The attacks, one a file; this registry is all that has to know a new one. Free of torch until one is used."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.attacks.base import Attack

ATTACKS: dict[str, str] = {
    "badnets": "engine.attacks.badnets:BadNets",
    "blend": "engine.attacks.blend:Blend",
    "cl": "engine.attacks.cl:Cl",
    "clean": "engine.attacks.clean:Clean",
    "dynamic": "engine.attacks.dynamic:Dynamic",
    "pixel": "engine.attacks.pixel:Pixel",
    "refool": "engine.attacks.refool:Refool",
    "sig": "engine.attacks.sig:Sig",
    "trojan": "engine.attacks.trojan:Trojan",
    "wanet": "engine.attacks.wanet:WaNet",
}
"""Name -> module and class of its settings."""


def settings_class(name: str) -> type[Attack]:
    """The settings (and with them the behavior) of the attack called `name`.

    Raises:
        ValueError: no attack has that name; the message names those that are.
    """
    if name not in ATTACKS:
        near = difflib.get_close_matches(name, ATTACKS, n=1)
        hint = f", did you mean '{near[0]}'" if near else ""
        raise ValueError(f"unknown attack '{name}'{hint}; known: {', '.join(ATTACKS)}")
    module, _, cls = ATTACKS[name].partition(":")
    return getattr(importlib.import_module(module), cls)
