"""What the measurements work on, and what one of them comes to."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from engine.control import Control
from engine.device import Device
from engine.evaluation.metrics import TestImages
from engine.events import Event


@dataclass(frozen=True)
class Labeled:
    """uint8 [N, 3, H, W] with int64 [N], on the device."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Material:
    """All that a measurement is handed beside the model: it may know the trigger, it is no defense."""

    suspect: nn.Module
    """Frozen, in eval mode, on the device."""
    test: TestImages
    """The test images that figures are counted over, or a fixed draw of them."""
    train: Labeled
    """The training images as they were before anybody poisoned them."""
    eligible: Tensor
    """Places among `train` of those that the attacker would move, int64."""
    wanted: Tensor
    """Where he wants each of `train`, int64 [N]."""
    trigger: Callable[[Tensor], Tensor]
    """Puts the trigger on uint8 images."""
    clean: Tensor
    """Images of the clean subset, uint8: over them the statistics of batch norms are taken anew."""
    device: Device
    control: Control
    seed: int


@dataclass(frozen=True)
class Found:
    """What one measurement of one model came to."""

    figures: Mapping[str, float]
    """By name; NaN where there is no such figure."""
    points: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """The same quantities along a way: columns of equal length by name; empty where there is no way."""


Work = Generator[Event, None, Found]
"""A measurement: events of pauses and progress on the way, what it found at the end."""


class Unfit(ValueError):  # noqa: N818  (a finding, not an error)
    """The model cannot be measured so; the text says why."""
