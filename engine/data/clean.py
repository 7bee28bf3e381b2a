"""The defender's clean images: from where they come, which of them are drawn, how they are shifted.

By default they are of the suspect's own training images, as in the paper. On those a suspect looks better than it is;
images that it never saw, or of another distribution, tell what a defense is worth in other hands.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from engine.data import PARTS
from engine.data.base import ImageData, few
from engine.data.shift import shifted
from engine.data.subset import clean_subset, stratified_draw
from engine.errors import RequestError

TRAIN, TEST = PARTS
ASIDE = 0.5
"""The share of the test images that is set aside for the defender, where his are to be of those."""


class CleanRequest(Protocol):
    """The settings that say it (``engine.config.run.DataSettings`` has them)."""

    clean_fraction: float
    stratified: bool
    clean_from: str
    clean_shift: str


@dataclass(frozen=True)
class CleanImages:
    """What the defender holds, on the CPU."""

    images: Tensor
    """uint8 [N, 3, H, W]."""
    labels: Tensor
    """int64 [N]."""

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, places: slice | Tensor) -> CleanImages:
        return CleanImages(self.images[places], self.labels[places])


def set_apart(
    data: ImageData, settings: CleanRequest, seed: int, other: ImageData | None = None
) -> tuple[ImageData, CleanImages]:
    """Draw the clean images; the data set comes back without those that must not be tested on.

    However many there are to draw from, `clean_fraction` is a share of the training images.

    Args:
        data: the data set; its fingerprint stays that of all its images.
        seed: draws. The half of the test images that is set aside is always the same one.
        other: the data set that ``settings.clean_from`` names, where it names one.

    Raises:
        RequestError: there are fewer images than wanted, or another data set's do not go with this one's.
    """
    count = max(1, round(settings.clean_fraction * len(data.y_train)))
    if settings.clean_from == TRAIN:
        images, labels = data.x_train, data.y_train
    elif settings.clean_from == TEST:
        aside = _aside(data)
        images, labels = data.x_test[aside], data.y_test[aside]
        data = replace(data, x_test=data.x_test[~aside], y_test=data.y_test[~aside])
    else:
        assert other is not None
        images, labels = _taken_over(other, data, settings.clean_from)
    if count > len(labels):
        raise RequestError(
            f"data.clean_fraction = {settings.clean_fraction:g} is {count} images; data.clean_from = "
            f"{settings.clean_from!r} has {len(labels)}"
        )
    # The share that draws `count` of so many: of the training images it is the fraction itself.
    share = settings.clean_fraction if len(labels) == len(data.y_train) else count / len(labels)
    places = clean_subset(labels, share, seed, settings.stratified)
    return data, CleanImages(shifted(images[places], settings.clean_shift, seed), labels[places])


def _aside(data: ImageData) -> Tensor:
    """Which of the test images are the defender's: bool [N]."""
    count = round(ASIDE * len(data.y_test))
    chosen = torch.zeros(len(data.y_test), dtype=torch.bool)
    chosen[stratified_draw(data.y_test, count, seed=0, what="half of the test images")] = True
    return chosen


def _taken_over(other: ImageData, data: ImageData, name: str) -> tuple[Tensor, Tensor]:
    """Another data set's training images of the classes that both know by name, with this one's labels.

    Where neither knows names but numbers, classes of one number are one class.
    """
    if other.x_train.shape[1:] != data.x_train.shape[1:]:
        sizes = ["x".join(map(str, each.x_train.shape[-2:])) for each in (other, data)]
        raise RequestError(f"data.clean_from = {name!r}: its images are {sizes[0]} pixels, the data set's {sizes[1]}")
    ours = {_bare(each): place for place, each in enumerate(data.class_names)}
    labels = torch.tensor([ours.get(_bare(each), -1) for each in other.class_names])
    if int((labels >= 0).sum()) < 2:
        raise RequestError(
            f"data.clean_from = {name!r}: its classes ({few(other.class_names)}) are not those of {data.name} "
            f"({few(data.class_names)}); wants two or more of the same names"
        )
    mapped = labels[other.y_train]
    return other.x_train[mapped >= 0], mapped[mapped >= 0]


def _bare(name: str) -> str:
    """A class's name without what people write differently: `ahead-only` and `Ahead only` are one."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())
