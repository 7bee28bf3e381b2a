"""NFT: masks on neurons, trained with mixup instead of an adversarial search, and part of the weights at the end."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from engine.defenses.base import Defense, Layer, Port, Work
from engine.settings import AugmentSettings, ScheduleSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from engine.training.loop import Batch

SETTLING = 1_024
"""Clean images from which the norms' statistics are taken anew under the masks, at most."""


class Nft(Defense):
    """Settings of neural mask fine-tuning.

    The source's 1,000 steps at a rate that falls from 0.05 to 0.02 leave the masks of our small networks where they
    begin; ours are fewer, at a rate that is larger at first, and falls to 0.
    """

    name: ClassVar[str] = "nft"
    summary: ClassVar[str] = "masks on neurons, trained with mixup on the clean subset"
    source: ClassVar[str] = (
        "Karim, Al Arafat, Khalid, Guo, Rahnavard: Augmented Neural Fine-Tuning for Efficient Backdoor Purification, "
        "ECCV 2024 (arXiv 2407.10052), section 4; code: nazmul-karim170/NFT"
    )
    layers: ClassVar[frozenset[Layer]] = frozenset({"batch norm"})

    steps: int = Field(200, ge=1, le=100_000)
    """Steps of the masks (the source: 1,000)."""
    batch_size: int = Field(128, ge=1, le=65_536)
    lr: float = Field(8.0, gt=0, le=100)
    schedule: ScheduleSettings = ScheduleSettings(name="one-cycle", warmup=0.0)
    """Of that rate, over all steps: down in a straight line."""
    momentum: float = Field(0.95, ge=0, lt=1)
    mixup: float = Field(1.0, ge=0, le=100)
    """Parameter alpha of mixup's Beta distribution (the source: 1, one share for a whole batch; here one an image)."""
    regularizer: float = Field(0.001, ge=0, le=1_000)
    """Factor of the sum of what the masks are below 1, divided by the clean images of a class."""
    bound: float = Field(0.8, ge=0, le=1)
    """Factor of the bound below which no mask falls: bound x exp(-fall x number of the layer, from 1)."""
    fall: float = Field(0.5, ge=0, le=100)
    augment: AugmentSettings = AugmentSettings()
    """Of the images on which masks are trained."""

    def defend(self, port: Port) -> Work[nn.Module]:
        """Train the masks, and make them part of a copy of the suspect."""
        import torch

        from engine.defenses.neurons import by_batch, channels_of, fold
        from engine.models.inference import as_input, freeze, settled

        model = by_batch(freeze(port.copy()))
        masks = torch.ones(channels_of(model), device=port.device.torch, requires_grad=True)
        lowest = self.lowest(model).to(port.device.torch)
        share = self.regularizer * port.classes / len(port.clean)

        def sgd(tensors: list[Tensor]) -> torch.optim.Optimizer:
            return torch.optim.SGD(tensors, lr=self.lr, momentum=self.momentum)

        yield from port.optimize(
            self.name,
            "masks",
            {"masks": masks},
            lambda batch: self.losses(model, masks, batch, share),
            self.steps,
            batch_size=self.batch_size,
            optimizer=sgd,
            project=lambda: masks.clamp_(lowest, torch.ones_like(lowest)),
            augment=self.augment,
            schedule=self.schedule,
        )
        folded = fold(port.copy(), masks.detach())
        return (yield from port.adopt(self.name, freeze(settled(folded, as_input(port.clean.images[:SETTLING])))))

    def losses(self, model: nn.Module, masks: Tensor, batch: Batch, share: float) -> dict[str, Tensor]:
        """Mixup's cross-entropy under the masks, and `share` times the sum of what they are below 1."""
        from engine.defenses.neurons import logits_under
        from engine.training.objectives import mixup

        mixed = mixup(batch, self.mixup)
        logits = logits_under(model, mixed.images, weight=masks)
        return {"ce": mixed.cross_entropy(logits), "masks": share * (1 - masks).abs().sum()}

    def lowest(self, model: nn.Module) -> Tensor:
        """The bound below which no mask falls, a row."""
        import torch

        from engine.defenses.neurons import norms_of

        bounds = [self.bound * math.exp(-self.fall * number) for number in range(1, len(norms_of(model)) + 1)]
        widths = [norm.num_features for norm in norms_of(model).values()]
        return torch.cat([torch.full((width,), bound) for width, bound in zip(widths, bounds, strict=True)])
