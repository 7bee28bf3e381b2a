"""Ascent on clean images until they are no longer recognized, as RNP begins. Needs torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Recognized:
    """Counts, window by window, how many clean images are recognized; it is over once they are few.

    The counts are a tensor, `state`, which is saved with the weights: a resumed ascent ends where it would have.
    """

    def __init__(self, images: int, few: float, device: torch.device) -> None:
        """`images`: those of a window, at least; `few`: the share of them at which it is over."""
        self._images = images
        self._few = few
        self.state = torch.zeros(3, device=device)
        """Seen and recognized in this window; whether it is over (1)."""

    @property
    def over(self) -> bool:
        """Whether of a window so few were recognized."""
        return bool(self.state[2])

    @torch.no_grad()
    def count(self, logits: Tensor, labels: Tensor) -> None:
        """A batch of the window, [B, classes] and [B]."""
        self.state[0] += len(labels)
        self.state[1] += (logits.argmax(1) == labels).sum()

    def close(self) -> None:
        """After a step: judge the window where it is at its end."""
        if self.state[0] >= self._images:
            self.state[2] = float(self.state[1] <= self._few * self.state[0])
            self.state[:2] = 0


class Ascent(torch.optim.SGD):
    """SGD that clips the gradient, and stands still once it is over."""

    def __init__(self, tensors: list[Tensor], told: Recognized, *, steepest: float, **settings: Any) -> None:
        super().__init__(tensors, **settings)
        self._told = told
        self._steepest = steepest

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step, unless it is over."""
        if self._told.over:
            return
        torch.nn.utils.clip_grad_norm_(self.param_groups[0]["params"], self._steepest)
        super().step(closure)
        self._told.close()
