"""What defenses share that give each neuron a mask and prune those of the lowest."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from engine.defenses.base import Defense, Layer, Port, Work
from engine.settings import BARE, AugmentSettings

if TYPE_CHECKING:
    from torch import Tensor, nn


class MaskPruning(Defense):
    """Settings of a pruning by masks: by a threshold, as the sources have it, or as far as a budget of ACC allows."""

    layers: ClassVar[frozenset[Layer]] = frozenset({"batch norm"})

    threshold: float | None = Field(None, ge=0, le=1)
    """Masks up to it are pruned (ANP's source: 0.2; RNP's: 0.7); null = as many as the budget allows."""
    budget: float = Field(4.0, ge=0, le=100)
    """Points of ACC on the held images that pruning may cost; on others the most that keeps to it costs more."""
    settle: bool = True
    """Whether norms settle on clean images after pruning (the sources: no): those behind a pruned neuron fit no more,
    which costs ACC before the backdoor is gone."""
    held_share: float = Field(0.2, gt=0, lt=1)
    """Of the clean images, those on which it is decided how many go."""
    augment: AugmentSettings = BARE
    """Of the images on which masks are found (the sources: cropped and flipped)."""

    @property
    def held(self) -> float:
        """Nothing where the threshold is given."""
        return self.held_share if self.threshold is None else 0.0

    def masks(self, port: Port) -> Work[Tensor]:
        """The mask of each neuron, in [0, 1], of all channels in a row (see `engine.defenses.neurons`)."""
        raise TypeError(f"{type(self).__name__} does not say how its masks are found")

    def defend(self, port: Port) -> Work[nn.Module]:
        """Find the masks, then prune a copy of the suspect."""
        from engine.defenses.pruning import prune_by_masks

        masks = yield from self.masks(port)
        return (
            yield from prune_by_masks(
                port, self.name, masks, threshold=self.threshold, budget=self.budget, settle=self.settle
            )
        )
