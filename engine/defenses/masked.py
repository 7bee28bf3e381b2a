"""What defenses share that give each neuron a mask and prune those of the lowest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from engine.defenses.base import Defense, Layer, Port, Work
from engine.settings import BARE, AugmentSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from engine.training.loop import Batch


@dataclass(frozen=True)
class Found:
    """A mask for each neuron, of all channels in a row."""

    masks: Tensor
    """What they came to, in [0, 1]."""
    paths: Tensor
    """Their means over all steps: of several that came to 0 the one that was there first had the most to hide."""


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
    features: bool = False
    """Whether the channels of a norm that only the head reads may go, too (the sources: whatever norms there are, in
    networks most of which have none of this kind)."""
    augment: AugmentSettings = BARE
    """Of the images on which masks are found (the sources: cropped and flipped)."""

    @property
    def held(self) -> float:
        """Nothing where the threshold is given."""
        return self.held_share if self.threshold is None else 0.0

    def masks(self, port: Port) -> Work[Found]:
        """The mask of each neuron, of all channels in a row (see `engine.defenses.neurons`)."""
        raise TypeError(f"{type(self).__name__} does not say how its masks are found")

    def defend(self, port: Port) -> Work[nn.Module]:
        """Find the masks, then prune a copy of the suspect."""
        from engine.defenses.pruning import order_of, prune_by_masks

        found = yield from self.masks(port)
        order = order_of(port, found.masks, found.paths, features=self.features)
        return (
            yield from prune_by_masks(
                port,
                self.name,
                found.masks,
                order,
                threshold=self.threshold,
                budget=self.budget,
                settle=self.settle,
            )
        )

    def recovered(
        self,
        port: Port,
        loss: Callable[[Tensor, Batch], dict[str, Tensor]],
        steps: int,
        *,
        batch_size: int,
        lr: float,
        momentum: float,
        channels: int,
    ) -> Work[Found]:
        """Masks that begin at 1 and go down the gradient of `loss`, kept in [0, 1]."""
        import torch

        masks = torch.ones(channels, device=port.device.torch, requires_grad=True)
        path = torch.zeros(channels, device=port.device.torch)

        def keep() -> None:
            masks.clamp_(0, 1)
            path.add_(masks)

        yield from port.optimize(
            self.name,
            "masks",
            {"masks": masks, "path": path},
            lambda batch: loss(masks, batch),
            steps,
            batch_size=batch_size,
            optimizer=lambda tensors: torch.optim.SGD(tensors[:1], lr=lr, momentum=momentum),
            project=keep,
            augment=self.augment,
        )
        return Found(masks.detach(), path / steps)
