"""What a defense works with: the model, the clean subset, and the training loop. Nothing of the attack."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from engine.device import Device
from engine.events import Event, TapHealth
from engine.settings import TrainingSettings
from engine.training.loop import Objective

Watch = Callable[[nn.Module], tuple[TapHealth, ...]]
"""Looks at the model under training, at a stage's first step and after its last epoch."""


class Train(Protocol):
    """Runs one stage: trains `model` on the clean subset, is recorded, resumes where a killed run left off."""

    def __call__(
        self,
        stage: str,
        model: nn.Module,
        objective: Objective,
        settings: TrainingSettings,
        watch: Watch | None = None,
    ) -> Generator[Event, None, nn.Module]:
        """Yield the stage's events; return the trained model (the one given)."""
        ...


@dataclass(frozen=True)
class Defender:
    """All that a defense is handed."""

    backdoored: nn.Module
    """The suspicious model, frozen and in eval mode."""
    fresh: Callable[[], nn.Module]
    """A new, trainable copy of it."""
    images: Tensor
    """The clean subset, uint8 [N, 3, H, W]."""
    labels: Tensor
    classes: int
    device: Device
    train: Train


def freeze(model: nn.Module) -> nn.Module:
    """Put a model into eval mode and stop its gradients: its weights and buffers stay as they are."""
    model.eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model
