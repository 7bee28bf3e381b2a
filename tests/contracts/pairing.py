"""Which pairs are tried of two long lists: a design that covers, not the product.

Everything of the longer table meets a few unlike ones of the other, and everything there meets at least two; which they
are turns from name to name. The same names give the same pairs on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

UNLIKE: Mapping[str, tuple[str, ...]] = {
    "norms before convolutions": ("wrn", "preact-resnet"),
    "norms after convolutions": ("resnet", "cifar-resnet", "vgg", "torchvision"),
    "many narrow paths": ("mobilenet", "densenet", "efficientnet"),
    "no batch norm": ("convnext", "vit", "timm"),
}
"""Families by what makes one unlike the others to a defense."""
DEAR = ("densenet",)
"""Families whose smallest network takes as long as all others together: they meet the least."""
KINDS = 3
"""Of these each defense meets so many."""
LEAST = 2
"""Defenses that every family, and every attack, meets at least."""


def families(defenses: Sequence[str], there: Sequence[str]) -> dict[str, list[str]]:
    """By family of those that are there, the defenses that it meets; a package's family counts as one of the last."""
    groups = [[name for name in there if name in names] for names in UNLIKE.values()]
    groups[-1] += [name for name in there if not any(name in names for names in UNLIKE.values())]
    cheap = [[name for name in group if name not in DEAR] or group for group in groups]
    groups = [group for group in cheap if group]
    met: dict[str, list[str]] = {name: [] for name in there}
    for number, defense in enumerate(defenses):
        for kind in range(min(KINDS, len(groups))):
            # Of a group the one that has met fewest, so that none is left out.
            group = groups[(number + kind) % len(groups)]
            met[min(group, key=lambda name: len(met[name]))].append(defense)
    return topped_up(met, defenses, lambda family, defense: True)


def attacks(defenses: Sequence[str], there: Sequence[str], bears: Callable[[str, str], bool]) -> dict[str, list[str]]:
    """By attack the defenses that it meets, each defense once at least, of those pairs that `bears` allows."""
    met: dict[str, list[str]] = {name: [] for name in there}
    for defense in defenses:
        allowed = [name for name in there if bears(name, defense)]
        if allowed:
            met[min(allowed, key=lambda name: len(met[name]))].append(defense)
    return topped_up(met, defenses, bears)


def topped_up(
    met: dict[str, list[str]], defenses: Sequence[str], bears: Callable[[str, str], bool]
) -> dict[str, list[str]]:
    """The same, so that each meets `LEAST`, or all that there are."""
    for number, (name, found) in enumerate(met.items()):
        turned = [*defenses[number % max(1, len(defenses)) :], *defenses[: number % max(1, len(defenses))]]
        further = (each for each in turned if each not in found and bears(name, each))
        found += [each for each, _ in zip(further, range(max(0, LEAST - len(found))), strict=False)]
    return met
