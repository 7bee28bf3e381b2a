"""The smallest patch that sends images to a class, as Neural Cleanse inverts it. Needs torch.

Wang et al., IEEE S&P 2019: a mask and a pattern over it, by Adam, under the cross-entropy to the class plus a cost of
the mask's sum; the cost rises while the patch works and falls while it does not. The source looks at the success of an
epoch; a few hundred images have no epochs to spare, so here three batches in a row decide.
"""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.control import Control
from engine.device import Device
from engine.events import Event
from engine.models.inference import as_input, in_eval_mode
from engine.training.progress import ToldSteps

SMALL = 0.02
"""Share of the image that a patch covers at most where it speaks of a backdoor. Every class has a patch that leads to
it, its own features: on 32 pixels those are of 25 to 50, that of a planted trigger of 1 to 25."""
STEPS = 150
BATCH = 64
RATE = 0.2
WORKS = 0.9
"""Share of a batch that ends in the class."""
IN_A_ROW = 3
COST, MOST_COST, UP = 1e-3, 0.2, 1.5
"""Of a cell of the mask: at first, at most, and the factor by which it rises; it falls by UP ** 1.5."""


class _Cost:
    """What a cell of the mask costs, led by how the patch does."""

    def __init__(self) -> None:
        self.value = COST
        self._row = 0

    def hear(self, share: float) -> None:
        """After a batch of which that share ended in the class."""
        works = share > WORKS
        self._row = max(self._row, 0) + 1 if works else min(self._row, 0) - 1
        if abs(self._row) == IN_A_ROW:
            self.value = min(self.value * UP, MOST_COST) if works else self.value / UP**1.5
            self._row = 0


def invert(
    model: nn.Module, images: Tensor, target: int, device: Device, control: Control, seed: int
) -> Generator[Event, None, tuple[Tensor, Tensor]]:
    """Mask [1, 1, H, W] and pattern [1, 3, H, W], float in [0, 1]: `(1 - mask) * image + mask * pattern`.

    Args:
        model: frozen.
        images: uint8 [N, 3, H, W], none of the class.
    """
    draws = torch.Generator().manual_seed(seed)
    size = images.shape[-2:]
    cover = torch.full((1, 1, *size), -2.0, device=images.device, requires_grad=True)
    paint = (0.1 * torch.randn(1, 3, *size, generator=draws)).to(images.device).requires_grad_(True)
    optimizer = torch.optim.Adam([cover, paint], lr=RATE, betas=(0.5, 0.9))
    cost, told = _Cost(), ToldSteps(control, "inverting a mask", STEPS)
    for _ in range(STEPS):
        some = torch.randperm(len(images), generator=draws)[:BATCH].to(images.device)
        wanted = torch.full((len(some),), target, device=images.device)
        with in_eval_mode(model), device.autocast(), torch.enable_grad():
            logits = model(pasted(as_input(images[some]), cover.sigmoid(), paint.sigmoid())).float()
            loss = functional.cross_entropy(logits, wanted) + cost.value * cover.sigmoid().sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        cost.hear(float((logits.argmax(dim=1) == target).float().mean()))
        yield from told.done()
    return cover.detach().sigmoid(), paint.detach().sigmoid()


def pasted(images: Tensor, mask: Tensor, pattern: Tensor) -> Tensor:
    """Images, float [N, 3, H, W] in [0, 1], with the pattern where the mask is."""
    return (1 - mask) * images + mask * pattern
