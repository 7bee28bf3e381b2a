"""A suspect of the zoo, measured: when it is made, and again on any machine. Needs torch."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from engine import data, models
from engine.attacks import settings_class
from engine.attacks.base import AttackContext
from engine.config.run import DataSettings
from engine.data.base import ImageData, silent
from engine.device import Device
from engine.errors import RequestError
from engine.evaluation.metrics import measure, prepare
from engine.figures import Metrics
from engine.storage.checkpoints import fit
from engine.zoo import folder
from engine.zoo.card import Card, Figure
from engine.zoo.contents import Contents, load

CHANCES = 2
"""How many times as accurate as guessing a suspect has to be: a training that failed is none."""
FIGURES = ("acc", "asr", "ra", "base")


@dataclass(frozen=True)
class Measured:
    """A suspect's figures here beside those of its card."""

    card: Card
    metrics: Metrics
    same_images: bool
    """Whether the images are those it was made with; else figures may differ without any fault."""

    def strayed(self) -> list[str]:
        """The figures that lie outside their card's intervals."""
        return [name for name, figure in self.card.figures.items() if not figure.holds(getattr(self.metrics, name))]


def measured(card: Card, device: Device) -> Measured:
    """Measure a suspect as it is stored.

    Raises:
        RequestError: its file or its images are not to be had, or they do not fit each other.
    """
    images = images_of(DataSettings.model_validate(card.config["data"]))
    found = _metrics(card.config, card.model, card.attack_seed, load(card), images, device)
    return Measured(card, found, images.fingerprint == card.data["fingerprint"])


def measured_with(card: Card, weights: Mapping[str, Tensor], device: Device) -> Metrics:
    """What a suspect's trigger does to another model of its network: to a clean one, say, that stands for innocence.

    Args:
        weights: a state dict of that network.

    Raises:
        RequestError: the suspect's file or its images are not to be had, or the weights do not fit.
    """
    images = images_of(DataSettings.model_validate(card.config["data"]))
    found = replace(load(card), weights=dict(weights))
    return _metrics(card.config, card.model, card.attack_seed, found, images, device)


@functools.lru_cache(maxsize=1)
def images_of(settings: DataSettings) -> ImageData:
    """The images, loaded once for all the suspects that were trained on them."""
    return data.load(settings, silent)


def figures_of(metrics: Metrics) -> dict[str, Figure]:
    """The figures that exist, with their intervals."""
    found = {name: (getattr(metrics, name), *getattr(metrics, f"{name}_ci")) for name in FIGURES}
    return {
        name: Figure(value=value, low=low, high=high)
        for name, (value, low, high) in found.items()
        if value == value  # NaN: there is no such figure
    }


def _metrics(
    config: Mapping[str, Any], network: str, seed: int, found: Contents, images: ImageData, device: Device
) -> Metrics:
    attack = settings_class(config["attack"]["name"]).model_validate(config["attack"])
    there = device.torch
    x_train, y_train = images.x_train.to(there), images.y_train.to(there)
    x_test, y_test = images.x_test.to(there), images.y_test.to(there)
    trigger = attack.recalled(found.trigger, AttackContext(x_train, y_train, images.classes, seed))
    wanted = attack.eligible(y_test, images.classes), attack.wanted(y_test, images.classes)
    test = prepare(x_test, y_test, images.classes, *wanted, trigger, marks=attack.marks)
    model = models.build(network, images.classes, seed, size=tuple(x_test.shape[-2:]))
    fit(model, found.weights, folder())
    return measure(model.to(there), test, device)


def measured_when_made(config: Mapping[str, Any], network: str, seed: int, found: Contents, device: Device) -> Metrics:
    """The figures for a new card: of the weights as they are stored, not as they were trained.

    Raises:
        RequestError: as `measured`.
    """
    images = images_of(DataSettings.model_validate(config["data"]))
    metrics = _metrics(config, network, seed, found, images, device)
    if metrics.acc <= 100 * CHANCES / images.classes:
        raise RequestError(f"a suspect of ACC {metrics.acc:.1f} is none: its training failed")
    return metrics
