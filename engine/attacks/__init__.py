"""The attacks, one a file; this registry is all that has to know a new one. Free of torch until one is used.

An installed package brings an attack of its own as an entry point of the group ``nadtui.attacks``: a subclass of
`engine.attacks.base.Attack` whose `name` is the entry point's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.registry import Registry

if TYPE_CHECKING:
    from engine.attacks.base import Attack


def _check(found: Any) -> None:
    from engine.attacks.base import Attack

    if not (isinstance(found, type) and issubclass(found, Attack)):
        raise TypeError("a subclass of engine.attacks.base.Attack is wanted")


ATTACKS = Registry(
    "attack",
    "nadtui.attacks",
    {
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
    },
    _check,
)
"""Name -> module and class of its settings."""


def settings_class(name: str) -> type[Attack]:
    """The settings (and with them the behavior) of the attack called `name`.

    Raises:
        ValueError: no attack has that name (the message names those that are), or the package that has it is broken.
    """
    return ATTACKS.get(name)
