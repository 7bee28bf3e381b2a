"""The defenses, one a file; this registry is all that has to know a new one. Free of torch until one is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.registry import Registry

if TYPE_CHECKING:
    from engine.defenses.base import Defense


def _check(found: object) -> None:
    from engine.defenses.base import Defense

    if not (isinstance(found, type) and issubclass(found, Defense)):
        raise TypeError("a subclass of engine.defenses.base.Defense is wanted")


DEFENSES = Registry(
    kind="defense",
    group="nadtui.defenses",
    check=_check,
    ours={
        "nad": "engine.defenses.nad.defense:Nad",
        "fine-tuning": "engine.defenses.fine_tuning:FineTuning",
        "fine-pruning": "engine.defenses.fine_pruning:FinePruning",
        "clp": "engine.defenses.clp:Clp",
        "anp": "engine.defenses.anp:Anp",
        "rnp": "engine.defenses.rnp:Rnp",
        "nft": "engine.defenses.nft:Nft",
        "unit": "engine.defenses.unit:Unit",
        "ban": "engine.defenses.ban:Ban",
        "nad-features": "engine.defenses.nad_features:NadFeatures",
        "distillation": "engine.defenses.distillation:Distillation",
        "d3": "engine.defenses.d3:D3",
        "fst": "engine.defenses.fst:Fst",
        "ft-sam": "engine.defenses.ft_sam:FtSam",
        "mcr": "engine.defenses.mcr:Mcr",
        "i-bau": "engine.defenses.i_bau:IBau",
        "argd": "engine.defenses.argd.defense:Argd",
        "sau": "engine.defenses.sau:Sau",
        "ac": "engine.defenses.ac:Ac",
        "ss": "engine.defenses.ss:Ss",
        "abl": "engine.defenses.abl:Abl",
    },
)
"""Name -> module and class of its settings."""


def settings_class(name: str) -> type[Defense]:
    """The settings (and with them the behavior) of the defense called `name`.

    Raises:
        ValueError: no defense has that name; the message names those that are.
    """
    return DEFENSES.get(name)
