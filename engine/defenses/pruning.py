"""Pruning neuron by neuron, as far as a budget of held accuracy allows, as ANP, RNP and CLP share it. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.defenses.base import Port, Work
from engine.defenses.budget import furthest, rungs
from engine.defenses.neurons import pruned
from engine.models.inference import as_input, freeze, settled

MOST = 0.4
"""Share of all neurons beyond which none is pruned."""
BEYOND = 8
"""Counts in a row that may exceed the budget before no further one is tried."""
SETTLING = 256
"""Clean images from which a pruned network's norms take their statistics anew."""


def without(port: Port, order: Tensor, count: float, *, bias: bool, settle: bool) -> nn.Module:
    """A copy of the suspect without the first `count` neurons of `order`, frozen.

    Args:
        order: of all channels, places in a row (see `engine.defenses.neurons`).
        bias: whether a norm's bias goes with its weight.
        settle: whether the norms' statistics are taken anew from clean images: those behind a pruned channel fit no
            more, which costs ACC that nothing need cost.
    """
    dead = torch.zeros(len(order), dtype=torch.bool, device=order.device)
    dead[order[: round(count)]] = True
    model = pruned(port.copy(), dead, bias=bias)
    return freeze(settled(model, as_input(port.clean.images[:SETTLING])) if settle else model)


def prune_by_masks(
    port: Port, stage: str, masks: Tensor, *, threshold: float | None, budget: float, settle: bool
) -> Work[nn.Module]:
    """Prune neurons in a copy of the suspect: the stage's model, frozen.

    Args:
        masks: of all channels, a row, in [0, 1].
        threshold: those whose mask is below it go; None = those of the lowest masks, as many as the budget allows.
        budget: points of ACC on the held images.
        settle: as `without` has it.
    """
    order = masks.argsort(stable=True)

    def lowest(count: float) -> nn.Module:
        return without(port, order, count, bias=False, settle=settle)

    if threshold is not None:
        return (yield from port.adopt(stage, lowest(float((masks < threshold).sum()))))
    counts = rungs(round(MOST * len(masks)), len(masks))
    count = yield from furthest(port, stage, "neurons pruned", counts, lowest, budget, beyond=BEYOND)
    return (yield from port.adopt(stage, lowest(count)))
