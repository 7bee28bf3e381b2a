"""Quantities that come to nothing, or nearly: refused where a figure would mean nothing, else told with the count."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import Tensor

from engine import zoo
from engine.attacks.base import Attack
from engine.attacks.target import told
from engine.config.run import RunConfig
from engine.data.base import ImageData, few
from engine.data.clean import CleanImages
from engine.errors import RequestError


def poisoned(config: RunConfig, loaded: ImageData) -> int | None:
    """How many training images the suspect's attacker poisons; None where that is not counted once and for all.

    It is not known of a given suspect, and a trigger that learns with its model poisons a share of every batch.

    Raises:
        RequestError: the rate asks for more images than there are, or is above 0 and rounds to none.
    """
    attack = config.attack
    if attack is None:
        return None
    count = len(attack.choose(loaded.y_train, loaded.classes, config.attack_seed))
    if config.suspect_file is not None or not _its_images(config, loaded):
        return None
    of = _candidates(attack, config, loaded)
    if attack.learns:
        count = round(attack.poisoning_rate * of)
    if count == 0 and attack.poisoning_rate > 0:
        what = {"clean-label": f"{of} images of the target class"}.get(attack.label_rule, f"{of} training images")
        what = f"a batch of {of} images" if attack.learns else what
        raise RequestError(
            f"attack.poisoning_rate = {attack.poisoning_rate:g}: of {what} that is {attack.poisoning_rate * of:.2g}, "
            f"so 0 images would be poisoned; from {_least(of):g} on it is one"
        )
    return None if attack.learns else count


def _its_images(config: RunConfig, loaded: ImageData) -> bool:
    """Whether the suspect's attacker had these very images: one of the zoo may be set before others."""
    return config.zoo_name is None or zoo.card(config.zoo_name).data["fingerprint"] == loaded.fingerprint


def _candidates(attack: Attack, config: RunConfig, loaded: ImageData) -> int:
    """Of how many images the poisoning rate is a share."""
    if attack.learns:
        return min(config.training.batch_size, len(loaded.y_train))
    if attack.label_rule == "clean-label":
        return int((loaded.y_train == attack.target).sum())
    return len(loaded.y_train)


def _least(of: int) -> float:
    """The least rate, of two digits, by which one of so many images is poisoned."""
    step = 10.0 ** (math.floor(math.log10(0.5 / of)) - 1)
    least = math.ceil(0.5 / of / step) * step
    while round(least * of) == 0:
        least += step
    return round(least, 15)


def aim(config: RunConfig, loaded: ImageData, count: int | None) -> Iterator[str]:
    """What the attacker does to how many of the training images, in a line; none where that is not counted."""
    attack = config.attack
    if attack is not None and attack.marks and count is not None:
        where = (
            "each class to the next" if attack.label_rule == "all-to-all" else told(attack.target, loaded.class_names)
        )
        yield f"{attack.name}: {count:,} of {len(loaded.y_train):,} training images are poisoned; target: {where}"


def check_eligible(attack: Attack, loaded: ImageData) -> None:
    """Refuse an attack whose success no test image can show.

    Raises:
        RequestError: there is none that the attacker wants moved.
    """
    if attack.marks and not attack.eligible(loaded.y_test, loaded.classes).any():
        where = told(attack.target, loaded.class_names)
        raise RequestError(
            f"attack.target = {attack.target}: 0 images to count ASR on: all {len(loaded.y_test)} test images are of "
            f"{where}, the attacker's own; wants test images of other classes, or another target"
        )


def warnings(config: RunConfig, loaded: ImageData, clean: CleanImages, count: int | None) -> Iterator[str]:
    """What is to be said of a request that is sound, a line each. `count`: the images that are poisoned."""
    attack = config.attack
    if count == 0 and attack is not None and attack.marks:
        yield "attack.poisoning_rate = 0: 0 images are poisoned, the suspect learns no backdoor"
    if attack is not None and not attack.marks and not attack.eligible(loaded.y_test, loaded.classes).any():
        where = told(attack.target, loaded.class_names)
        yield f"all {len(loaded.y_test)} test images are of {where}: no base rate"
    share = config.data.clean_fraction * len(loaded.y_train)
    if round(share) == 0:
        yield (
            f"data.clean_fraction = {config.data.clean_fraction:g}: of {len(loaded.y_train)} training images that is "
            f"{share:.2g}; the clean subset is 1 image"
        )
    subset = f"the clean subset of {len(clean)} image{'s' * (len(clean) != 1)}"
    more = "data.stratified=true" if len(clean) >= loaded.classes else "a larger data.clean_fraction"
    yield from _empty(loaded, clean.labels, subset, f"{more} gives each its share")
    yield from _empty(loaded, loaded.y_test, f"the test part of {len(loaded.y_test)} images", "they have no accuracy")


def _empty(loaded: ImageData, labels: Tensor, where: str, more: str) -> Iterator[str]:
    """The classes of which there is no image."""
    counts = labels.bincount(minlength=loaded.classes)
    names = [repr(name) for name, count in zip(loaded.class_names, counts.tolist(), strict=True) if not count]
    if names:
        have = "has" if len(names) == 1 else "have"
        yield f"{len(names)} of {loaded.classes} classes {have} no image in {where}: {few(names)}; {more}"
