"""How UNIT's bounds are tightened: their loss, and the controller that weighs it against a budget. Needs torch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from engine.defenses.base import Port
from engine.defenses.budget import ROUNDING, held_accuracy
from engine.defenses.neurons import norms_of
from engine.models.bounded import BOUND, bind
from engine.models.inference import as_input
from engine.training.loop import Batch

UP = 2.0
"""What the cost is multiplied by after steps inside the budget; after steps outside it is divided by UP ** 1.5."""
COST, BEST, GOOD, BAD, REGAINED = range(5)
"""Places in the controller's state."""
CHUNK = 250
"""Images that go through the network at once."""
LARGEST = torch.finfo(torch.float64).max


@torch.no_grad()
def first_bounds(model: nn.Module, images: Tensor, deviations: float) -> dict[str, Tensor]:
    """Each element's mean activation and so many standard deviations above it, by norm, [C, h, w].

    Over uint8 images [N, 3, H, W]; activations are what a ReLU leaves of the norm's output.
    """
    sums: dict[str, Tensor] = {}
    squares: dict[str, Tensor] = {}

    def note(name: str, output: Tensor) -> None:
        active = output.relu().double()
        sums[name] = sums.get(name, 0) + active.sum(0)
        squares[name] = squares.get(name, 0) + active.square().sum(0)

    handles = [
        norm.register_forward_hook(lambda _, __, output, name=name: note(name, output))
        for name, norm in norms_of(model).items()
    ]
    try:
        for chunk in images.split(CHUNK):
            model(as_input(chunk))
    finally:
        for handle in handles:
            handle.remove()
    count = len(images)

    def bound(name: str) -> Tensor:
        mean = sums[name] / count
        variance = (squares[name] - count * mean.square()).clamp(min=0) / max(1, count - 1)
        return (mean + deviations * variance.sqrt()).float()

    return {name: bound(name) for name in sums}


class Tightening:
    """Bounds under way. All that it remembers is in `tensors`, and so in the file of what is optimized: a resumed run
    goes on with the same cost, and ends with the same bounds."""

    def __init__(
        self, port: Port, model: nn.Module, first: Mapping[str, Tensor], *, cost: float, patience: int, budget: float
    ) -> None:
        """`model`: frozen, and bound by `first`; its bounds, and they alone, change."""
        self._port, self._model, self._first_cost, self._patience = port, model, cost, patience
        self._floor = held_accuracy(port, port.suspect) - budget - ROUNDING
        self._bounds = {name: bound.clone().requires_grad_(True) for name, bound in first.items()}
        self._first = {name: bound.clone() for name, bound in first.items()}
        self._tightest = {name: bound.clone() for name, bound in first.items()}
        self._state = torch.tensor([cost, LARGEST, 0.0, 0.0, 0.0], dtype=torch.float64)
        best = {f"tightest:{name}": bound for name, bound in self._tightest.items()}
        self.tensors: dict[str, Tensor] = {**self._bounds, **best, "controller": self._state}

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy under the bounds, and the cost times the sum over the norms of their bounds' means."""
        return {"ce": self._error(batch), "bounds": float(self._state[COST]) * self._size()}

    def judge(self) -> None:
        """After a step: keep the bounds where they are the tightest inside the budget so far, and set the cost."""
        with torch.no_grad():
            bounds = {name: bound.clamp(min=0) for name, bound in self._bounds.items()}
            inside = held_accuracy(self._port, bind(self._model, bounds)) >= self._floor
            size = float(self._size())
            if inside and size < self._state[BEST]:
                self._state[BEST] = size
                for name, bound in self._bounds.items():
                    self._tightest[name].copy_(bound.clamp(min=0))
            self._set_cost(inside)

    def tightest(self) -> dict[str, Tensor]:
        """The tightest bounds inside the budget; the first where there were none."""
        return self._tightest

    def share(self) -> float:
        """How far their means come down to those of the first, 0-1."""
        first, tightest = (sum(float(bound.mean()) for bound in of.values()) for of in (self._first, self._tightest))
        return tightest / first if first else 1.0

    def _error(self, batch: Batch) -> Tensor:
        """Cross-entropy, with gradients that were taken piece by piece: what the source's batch, all clean images,
        activates would fill 4 GB on CIFAR-10."""
        bounds = list(self._bounds.values())
        slopes = [torch.zeros_like(bound) for bound in bounds]
        error = torch.zeros((), device=batch.images.device)
        for images, labels in zip(batch.images.split(CHUNK), batch.labels.split(CHUNK), strict=True):
            logits = functional_call(self._model, self._stand_ins(), (images,))
            of_piece = cross_entropy(logits.float(), labels, reduction="sum") / len(batch.labels)
            for slope, part in zip(slopes, torch.autograd.grad(of_piece, bounds), strict=True):
                slope += part
            error += of_piece.detach()
        # Each summand is 0, and its gradient the slope.
        still = [(slope * (bound - bound.detach())).sum() for slope, bound in zip(slopes, bounds, strict=True)]
        return error + torch.stack(still).sum()

    def _size(self) -> Tensor:
        return torch.stack([bound.clamp(min=0).mean() for bound in self._bounds.values()]).sum()

    def _stand_ins(self) -> dict[str, Tensor]:
        return {f"{name}.{BOUND}": bound.clamp(min=0) for name, bound in self._bounds.items()}

    def _set_cost(self, inside: bool) -> None:
        """As the source does: once it has been below its first value it returns there after good steps."""
        state = self._state
        state[REGAINED] = state[REGAINED] + 1 if inside and state[COST] < self._first_cost else 0
        if state[REGAINED] >= self._patience:
            state[COST] = self._first_cost
            state[GOOD] = state[BAD] = 0
        state[GOOD] = state[GOOD] + 1 if inside else 0
        state[BAD] = 0 if inside else state[BAD] + 1
        if state[GOOD] >= self._patience:
            state[GOOD] = 0
            state[COST] *= UP
        if state[BAD] >= self._patience:
            state[BAD] = 0
            state[COST] /= UP**1.5
