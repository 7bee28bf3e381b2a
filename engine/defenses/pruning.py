"""Pruning by masks, as ANP and RNP share it. Needs torch."""

from __future__ import annotations

from torch import Tensor, nn

from engine.defenses.base import Port, Work
from engine.defenses.budget import furthest
from engine.defenses.neurons import pruned
from engine.models.inference import freeze

THRESHOLDS = tuple(number / 20 for number in range(20))
"""As the sources' scripts go through them; 0 prunes nothing."""


def prune_by_masks(port: Port, stage: str, masks: Tensor, threshold: float | None, budget: float) -> Work[nn.Module]:
    """Prune the neurons whose mask is below the threshold, in a copy of the suspect: the stage's model, frozen.

    Args:
        masks: of all channels, a row (see `engine.defenses.neurons`), in [0, 1].
        threshold: None = the largest that keeps to the budget.
        budget: points of ACC on the held images.
    """

    def at(threshold: float) -> nn.Module:
        return freeze(pruned(port.copy(), masks < threshold, bias=False))

    if threshold is None:
        named = {f"{each:g}": each for each in THRESHOLDS}
        threshold = yield from furthest(port, stage, "threshold", named, at, budget)
    return (yield from port.adopt(stage, at(threshold)))
