"""What work costs in image steps: one image forward and backward through a network; forward alone is a third of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from engine.training.steps import Losses, TrainStep

FORWARD = 1 / 3
"""Of a pass without gradients: backward costs twice the way forward."""


class Passes:
    """Counts the images that go into networks while it is told to, in its own thread.

    A pass begins where images are given to a module with weights, a whole network or its first layer alone, and lasts
    until that is done with them: what is within is the same pass.
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
        passing: nn.Module | None = None

        def begin(module: nn.Module, given: tuple[Any, ...]) -> None:
            nonlocal passing
            if passing is None and threading.get_ident() == thread and self._begins(module, given):
                passing = module
                self.total += len(given[0]) * (1 if torch.is_grad_enabled() else FORWARD)

        def end(module: nn.Module, *_: Any) -> None:
            nonlocal passing
            if module is passing and threading.get_ident() == thread:
                passing = None

        handles = register_module_forward_pre_hook(begin), register_module_forward_hook(end, always_call=True)
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _begins(self, module: nn.Module, given: tuple[Any, ...]) -> bool:
        images = given[0] if given else None
        return (
            isinstance(images, Tensor)
            and images.shape[1:] == self._shape
            and next(module.parameters(), None) is not None
        )

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
