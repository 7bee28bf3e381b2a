"""Made-up triggers for the class of a suspect that stands out, frozen, and what they do to any model. Needs torch."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from engine.control import Control
from engine.data.subset import stratified_draw
from engine.device import Device
from engine.evaluation.proxies import inverted_mask, latent_shift
from engine.evaluation.verification.perturbation import universal
from engine.events import Event, Preparing
from engine.models.inference import BATCH, as_input, in_eval_mode

LOOKED_AT = 300
"""Clean images, of other classes than the triggers', on which a model is tried."""


@dataclass(frozen=True)
class Proxies:
    """The triggers, and the images on which they are tried."""

    target: Tensor
    """The class that they send images to, int64 []."""
    outliers: Tensor
    """By class, how far its latent shift stands out, float32 [classes]: the lower, the more; all 0 of classes that
    cannot be told apart so, two above all."""
    perturbation: Tensor
    """Added to every image, float [1, 3, H, W]."""
    mask: Tensor
    """How much of each pixel the pattern covers, float [1, 1, H, W]."""
    pattern: Tensor
    """float [1, 3, H, W]."""
    images: Tensor
    """uint8 [N, 3, H, W]."""

    @property
    def cells(self) -> float:
        """The pixels that the patch covers: the sum of the mask."""
        return float(self.mask.sum())

    @property
    def stands_out(self) -> bool:
        """Whether so small a patch is a reason to suspect the class."""
        return self.cells <= inverted_mask.SMALL * self.mask.numel()

    def tensors(self) -> dict[str, Tensor]:
        """By name, for a file."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def of(cls, tensors: dict[str, Tensor], device: torch.device) -> Proxies:
        """What `tensors` gave."""
        moved: dict[str, Any] = {name: value.to(device) for name, value in tensors.items()}
        return cls(**moved)

    @torch.inference_mode()
    def success(self, model: nn.Module, device: Device) -> dict[str, float]:
        """The share of the images that each trigger sends to its class, in percent, by the triggers' names."""
        hits = {"mask": 0, "perturbation": 0}
        with in_eval_mode(model), device.autocast():
            for some in self.images.split(BATCH):
                plain = as_input(some)
                triggered = {
                    "mask": inverted_mask.pasted(plain, self.mask, self.pattern),
                    "perturbation": (plain + self.perturbation).clamp(0, 1),
                }
                for name, each in triggered.items():
                    hits[name] += int((model(each).argmax(dim=1) == self.target).sum())
        return {name: 100 * count / len(self.images) for name, count in hits.items()}


def make(
    model: nn.Module, images: Tensor, labels: Tensor, device: Device, control: Control, seed: int
) -> Generator[Event, None, Proxies]:
    """Make them for the class whose latent shift is the shortest, whether or not it stands out.

    Args:
        model: the suspect, frozen.
        images: the clean subset, uint8 [N, 3, H, W].
        labels: int64 [N].

    Raises:
        engine.evaluation.verification.material.Unfit: as `latent_shift.lengths`.
    """
    yield from control.checkpoint()
    lengths = latent_shift.lengths(model, images, labels, device)
    target, found = int(lengths.argmin()), latent_shift.z_scores(lengths).float()
    others = (labels != target).nonzero().flatten()
    elsewhere = images[others]
    yield Preparing(what="perturbing clean images")
    wanted = torch.full((len(elsewhere),), target, device=images.device)
    delta = yield from universal(model, elsewhere, wanted, device, control, seed)
    mask, pattern = yield from inverted_mask.invert(model, elsewhere, target, device, control, seed)
    count = max(LOOKED_AT, len(labels[others].unique()))
    if count < len(others):
        elsewhere = elsewhere[stratified_draw(labels[others].cpu(), count, seed, "made-up triggers").to(images.device)]
    return Proxies(torch.tensor(target, device=images.device), found, delta, mask, pattern, elsewhere)
