"""What work costs in image steps: one image forward and backward through a network; forward alone is a third of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from engine.training.steps import Losses, TrainStep

FORWARD = 1 / 3
"""Of a pass without gradients: backward costs twice the way forward."""


class Passes:
    """Counts the images that go into networks' first convolutions while it is told to, in its own thread.

    Who counts a pass by its first layer counts it whichever way it goes through a network, and of whichever network.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        """`size`: height and width of the images."""
        self._shape = (3, *size)
        self.total = 0.0
        """Image steps so far."""

    @contextmanager
    def counting(self) -> Iterator[None]:
        """What goes through a network within it is counted."""
        thread = threading.get_ident()

        def see(module: nn.Module, given: tuple[Any, ...]) -> None:
            images = given[0] if given else None
            if (
                isinstance(module, nn.Conv2d)
                and isinstance(images, Tensor)
                and images.shape[1:] == self._shape
                and threading.get_ident() == thread
            ):
                self.total += len(images) * (1 if torch.is_grad_enabled() else FORWARD)

        handle = register_module_forward_pre_hook(see)
        try:
            yield
        finally:
            handle.remove()

    def counted(self, step: TrainStep) -> TrainStep:
        """The same step of training, counted."""

        def counted(model: nn.Module, optimizer: torch.optim.Optimizer, losses: Losses) -> dict[str, Tensor]:
            with self.counting():
                return step(model, optimizer, losses)

        return counted

    def made(self, make: Callable[[], nn.Module]) -> nn.Module:
        """What is made, counted."""
        with self.counting():
            return make()

    def take(self) -> float:
        """The image steps so far; from here on it begins at 0."""
        taken, self.total = self.total, 0.0
        return taken
