"""NFT: masks on neurons, trained with mixup instead of an adversarial search, and part of the weights at the end."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from engine.defenses.base import Defense, Layer, Port, Work
from engine.settings import AugmentSettings, ScheduleSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.training.loop import Batch

SETTLING = 1_024
"""Clean images from which the norms' statistics are taken anew under the masks, at most."""


class Nft(Defense):
    """Settings of neural mask fine-tuning.

    The source's 1,000 steps at a rate that falls from 0.05 to 0.02 leave the masks of our small networks where they
    begin; ours are fewer, at a rate that is larger at first, and falls to 0. How large it has to be hangs on the clean
    images: of two, the larger is taken if it loses no more than a budget of ACC on held ones.
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
    rates: tuple[Annotated[float, Field(gt=0, le=100)], ...] = Field((8.0, 2.0), min_length=1, max_length=8)
    """Rates at first, from the strongest erasing to the gentlest; a gentler one is tried where those before it lose
    more than the budget. One alone is taken as it is."""
    budget: float = Field(8.0, ge=0, le=100)
    """Points of ACC on the held images that masks may cost."""
    held_share: float = Field(0.2, gt=0, lt=1)
    """Of the clean images, those on which that is measured."""
    schedule: ScheduleSettings = ScheduleSettings(name="one-cycle", warmup=0.0)
    """Of the rate, over all steps: down in a straight line."""
    momentum: float = Field(0.95, ge=0, lt=1)
    mixup: float = Field(1.0, ge=0, le=100)
    """Parameter alpha of mixup's Beta distribution (the source: 1, one share for a whole batch; here one an image)."""
    regularizer: float = Field(0.001, ge=0, le=1_000)
    """Factor of the sum of what the masks are below 1, divided by the clean images of a class."""
    bound: float = Field(0.8, ge=0, le=1)
    """Factor of the bound below which no mask falls: bound x exp(-fall x number of the layer, from 1)."""
    fall: float = Field(0.5, ge=0, le=100)
    augment: AugmentSettings = AugmentSettings()
    """Of the images on which masks are trained, and by which norms settle."""

    @property
    def held(self) -> float:
        """Nothing where there is one rate."""
        return self.held_share if len(self.rates) > 1 else 0.0

    def defend(self, port: Port) -> Work[nn.Module]:
        """Train the masks, and make them part of a copy of the suspect."""
        from engine.defenses.budget import keeps_to, strongest
        from engine.defenses.neurons import fold
        from engine.models.inference import as_input, freeze, settled

        seen = as_input(self._augmented(port, port.clean.images[:SETTLING]))

        def under(masks: Tensor) -> nn.Module:
            return freeze(settled(fold(port.copy(), masks), seen))

        found: dict[str, Tensor] = {}
        for number, rate in enumerate(self.rates):
            masks = found[f"{rate:g}"] = yield from self.masks(port, rate, f"masks-{number}" if number else "masks")
            if len(self.rates) == 1 or keeps_to(port, under(masks), self.budget):
                break
        if len(self.rates) > 1:
            masks = yield from strongest(port, self.name, "rate", found, under, self.budget)
        return (yield from port.adopt(self.name, under(masks)))

    def _augmented(self, port: Port, images: Tensor) -> Tensor:
        """The images as training shows them; equal at every call."""
        import torch

        from engine.training.loop import augmentation

        return augmentation(self.augment, port.mirror)(images, torch.Generator().manual_seed(port.seed))

    def masks(self, port: Port, rate: float, name: str) -> Work[Tensor]:
        """The masks of all channels, a row, trained from 1 on at a rate."""
        import torch

        from engine.defenses.neurons import by_batch, channels_of
        from engine.models.inference import freeze

        model = by_batch(freeze(port.copy()))
        masks = torch.ones(channels_of(model), device=port.device.torch, requires_grad=True)
        lowest = self.lowest(model).to(port.device.torch)
        share = self.regularizer * port.classes / len(port.clean)
        found = yield from port.optimize(
            self.name,
            name,
            {"masks": masks},
            lambda batch: self.losses(model, masks, batch, share),
            self.steps,
            batch_size=self.batch_size,
            optimizer=lambda tensors: torch.optim.SGD(tensors, lr=rate, momentum=self.momentum),
            project=lambda: masks.clamp_(lowest, torch.ones_like(lowest)),
            augment=self.augment,
            schedule=self.schedule,
        )
        return found["masks"].detach()

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
