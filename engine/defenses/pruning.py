"""Pruning by masks, as ANP and RNP share it. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.defenses.base import Port, Work
from engine.defenses.budget import furthest
from engine.defenses.neurons import pruned
from engine.models.inference import freeze

STEPS, MOST = 400, 160
"""The shares of all neurons between which is chosen: so many parts, up to so many of them."""


def prune_by_masks(port: Port, stage: str, masks: Tensor, threshold: float | None, budget: float) -> Work[nn.Module]:
    """Prune neurons in a copy of the suspect: the stage's model, frozen.

    Args:
        masks: of all channels, a row (see `engine.defenses.neurons`), in [0, 1].
        threshold: those whose mask is below it go; None = those of the lowest masks, as many as the budget allows.
        budget: points of ACC on the held images.
    """
    order = masks.argsort(stable=True)

    def lowest(count: float) -> nn.Module:
        dead = torch.zeros_like(masks, dtype=torch.bool)
        dead[order[: round(count)]] = True
        return freeze(pruned(port.copy(), dead, bias=False))

    if threshold is not None:
        return (yield from port.adopt(stage, lowest(float((masks < threshold).sum()))))
    counts = dict.fromkeys(round(len(masks) * part / STEPS) for part in range(MOST + 1))
    named = {f"{count}/{len(masks)}": count for count in counts}
    count = yield from furthest(port, stage, "neurons pruned", named, lowest, budget)
    return (yield from port.adopt(stage, lowest(count)))
