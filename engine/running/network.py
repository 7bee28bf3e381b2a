"""The network of a run, built as often as it is wanted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from engine import models
from engine.config.run import RunConfig
from engine.data.base import ImageData
from engine.device import Device
from engine.errors import RequestError
from engine.models.bounded import taking
from engine.models.finding import find_taps
from engine.models.foreign import check_logits
from engine.models.inference import as_input
from engine.models.normalized import Normalized
from engine.models.preprocessing import Preprocessing
from engine.settings import AttackTrainingSettings
from engine.training.conditioning import whiten_first_layer

PROBE = 4
"""Images on which taps are looked for."""


@dataclass(frozen=True)
class Network:
    """What is built: a kind of network for a data set's classes and image size."""

    name: str
    taps: tuple[str, ...] | None
    classes: int
    size: tuple[int, int]
    """Height and width of the images."""
    typed: bool
    """Whether a person typed the network's file for this very run: only then is it executed."""
    preprocessing: Preprocessing | None = None
    """What is done to the images before its first layer."""
    bounds: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """On its activations, as a suspect's file brings them: names of its state dict, and shapes."""

    @classmethod
    def of(cls, config: RunConfig, data: ImageData, *, typed: bool) -> Network:
        """The network that a configuration asks for, for these images.

        Raises:
            RequestError: the name or the file is wrong, or a network whose taps are not known beforehand does not give
            a logit for each class, cannot take images of that size, or has no taps although every defense wants some.
        """
        height, width = data.x_train.shape[-2:]
        model = config.model
        network = cls(model.name, model.taps, data.classes, (height, width), typed, model.preprocessing)
        if models.known_taps(network.name) is not None:
            return network
        found, images = replace(network, taps=None, preprocessing=None).fresh(seed=0), as_input(data.x_train[:PROBE])
        check_logits(found, images, data.classes)
        return replace(network, taps=network.taps or found.tap_names or _found_taps(config, found, images))

    @property
    def identity(self) -> str:
        """What stands for it in a key."""
        before = f" after {self.preprocessing}" if self.preprocessing is not None else ""
        return f"{models.identity(self.name)}{before}"

    def fresh(self, seed: int, device: Device | None = None) -> nn.Module:
        """One with its weights drawn by `seed`, in training mode; on the CPU, or on a device in its memory layout.

        Raises:
            RequestError: the name, the file or the taps are wrong.
        """
        model = models.build(self.name, self.classes, seed, taps=self.taps, typed=self.typed, size=self.size)
        if self.preprocessing is not None:
            model = Normalized(model, self.preprocessing)
        if self.bounds:
            model = taking(model, dict(self.bounds))
        return model if device is None else model.to(device.torch, memory_format=torch.channels_last)

    def to_train(self, seed: int, device: Device, images: Tensor, training: AttackTrainingSettings) -> nn.Module:
        """A fresh one as the attacker, or his victim, begins to train it on these images, uint8 [N, 3, H, W]."""
        model = self.fresh(seed, device)
        if training.first_layer == "whitened":
            whiten_first_layer(model, images)
        return model


def _found_taps(config: RunConfig, network: nn.Module, images: Tensor) -> tuple[str, ...]:
    """The taps of a network that names none; where some defense can do without, there may be none."""
    try:
        return find_taps(network, images)
    except RequestError:
        defenses = config.defenses.values()
        if defenses and all("map to tap" in defense.wanted for defense in defenses):
            raise
        return ()
