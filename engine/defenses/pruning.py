"""Pruning neuron by neuron, as far as a budget of held accuracy allows, as ANP, RNP and CLP share it. Needs torch."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from engine.defenses.base import Port, Work
from engine.defenses.budget import furthest, given, rungs
from engine.defenses.neurons import norms_of, pruned
from engine.defenses.tracing import norm_of_head
from engine.models.inference import as_input, freeze, settled

MOST = 0.4
"""Share of all neurons beyond which none is pruned."""
BEYOND = 8
"""Counts in a row that may exceed the budget before no further one is tried."""
PRUNED = "neurons pruned"
FEW = 8
"""Images by which it is seen what feeds what."""
SETTLING = 256
"""Clean images by which a pruned network's norms settle."""


class Settling:
    """Norms behind a pruned channel fit no more, which costs ACC that nothing need cost: they are moved by as much as
    pruning moves what they see of clean images.

    Taken anew from those images, they would forget what they were trained on: augmented images, some of them
    poisoned. On CIFAR-10 that alone, with nothing pruned, cost 4.5 to 6.2 points of ACC (four suspects), on `signs`
    10.7 (WaNet).
    """

    def __init__(self, port: Port) -> None:
        self._images = as_input(port.clean.images[:SETTLING])
        self._before = self._seen_by(port.suspect)

    @torch.no_grad()
    def __call__(self, model: nn.Module) -> nn.Module:
        """The model itself, pruned from a copy of the suspect."""
        norms = norms_of(model)
        for name, (mean, variance) in self._seen_by(model).items():
            norm, (own_mean, own_variance) = norms[name], self._before[name]
            norm.running_mean += mean - own_mean
            norm.running_var *= (variance + norm.eps) / (own_variance + norm.eps)
        return model

    def _seen_by(self, model: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
        """Mean and variance of what comes to each norm that keeps them, where all go by these images."""
        norms = norms_of(settled(model, self._images)).items()
        return {name: (norm.running_mean, norm.running_var) for name, norm in norms if norm.running_mean is not None}


def without(port: Port, order: Tensor, count: float, *, bias: bool, settle: Settling | None) -> nn.Module:
    """A copy of the suspect without the first `count` neurons of `order`, frozen.

    Args:
        order: of all channels, places in a row (see `engine.defenses.neurons`).
        bias: whether a norm's bias goes with its weight.
        settle: how its norms settle; None = they stay as they are.
    """
    dead = torch.zeros(len(order), dtype=torch.bool, device=order.device)
    dead[order[: round(count)]] = True
    model = pruned(port.copy(), dead, bias=bias)
    return freeze(settle(model) if settle else model)


def order_of(port: Port, masks: Tensor, paths: Tensor, *, features: bool) -> Tensor:
    """The places of all channels, those that go first in front: of the lowest masks, and of equal ones of the lowest
    path.

    Args:
        masks, paths: of all channels, rows in [0, 1]; a path is a mask's mean over the steps in which it was found.
        features: whether those of a norm that only the head reads are among them; else they come last. By noise, or
            from an unlearned model, their masks are the first to give way, as classes hang on them directly: of a
            pre-activation network of CIFAR-10 nine of nine masks of ANP at 0, and it is not they that answer to a
            trigger.
    """
    late = torch.zeros_like(masks, dtype=torch.bool)
    name = None if features else norm_of_head(port.suspect, as_input(port.clean.images[:FEW]))
    if name is not None:
        own = {each: torch.full((norm.num_features,), each == name) for each, norm in norms_of(port.suspect).items()}
        late = torch.cat(list(own.values())).to(masks.device)
    order = paths.argsort(stable=True)
    order = order[masks[order].argsort(stable=True)]
    return order[late[order].int().argsort(stable=True)]


def prune_by_masks(
    port: Port, stage: str, masks: Tensor, order: Tensor, *, threshold: float | None, budget: float, settle: bool
) -> Work[nn.Module]:
    """Prune neurons in a copy of the suspect: the stage's model, frozen.

    Args:
        masks: of all channels, a row, in [0, 1].
        order: their places, those that go first in front.
        threshold: those whose mask is no higher go; None = as many of `order` as the budget allows.
        budget: points of ACC on the held images.
        settle: whether its norms settle.
    """
    settling = Settling(port) if settle else None

    def first(of: Tensor, count: float) -> nn.Module:
        return without(port, of, count, bias=False, settle=settling)

    if threshold is not None:
        low = int((masks <= threshold).sum())
        low = yield from given(port, stage, PRUNED, low, len(masks), f"a mask of at most {threshold:g}")
        return (yield from port.adopt(stage, first(masks.argsort(stable=True), low)))
    counts = rungs(round(MOST * len(masks)), len(masks))
    at = partial(first, order)
    count = yield from furthest(port, stage, PRUNED, counts, at, budget, beyond=BEYOND)
    return (yield from port.adopt(stage, at(count)))
