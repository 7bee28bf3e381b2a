"""WaNet: a smooth elastic warp, too small to see (Nguyen & Tran, ICLR 2021, arXiv 2102.10369)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.attacks.base import Attack, AttackContext, PoisonedSet, Trigger, draw_from, generator, to_uint8
from engine.errors import RequestError
from engine.events import Event

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class WarpTrigger:
    """Samples every image at displaced places, bilinearly."""

    flow: Tensor
    """float32 [H, W, 2]: displacement of each pixel along x and y, in units of which an image spans 2."""

    def __call__(self, images: Tensor) -> Tensor:
        """The warped images, uint8 [N, 3, H, W]."""
        return warped(images, self.flow.expand(len(images), -1, -1, -1))

    def tensors(self) -> dict[str, Tensor]:
        """The displacements."""
        return {"flow": self.flow}


def warped(images: Tensor, flow: Tensor) -> Tensor:
    """uint8 images [N, 3, H, W] sampled at their pixels' places plus `flow` [N, H, W, 2], kept inside the image."""
    import torch
    import torch.nn.functional as F

    height, width = images.shape[-2:]
    rows, columns = (torch.linspace(-1, 1, side, device=images.device) for side in (height, width))
    places = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
    grid = (places + flow.to(images.device)).clamp(-1, 1)
    return to_uint8(F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="border", align_corners=True))


def smooth_flow(control: Tensor, height: int, width: int, strength: float) -> Tensor:
    """The field of equation 3: a control grid [k, k, 2] of mean size 1, raised bicubically, float32 [H, W, 2].

    A displacement of `strength` is `strength` / side of what an image spans (2), so half a pixel times `strength`.
    """
    import torch
    import torch.nn.functional as F

    normalized = (control / control.abs().mean()).permute(2, 0, 1)[None]
    raised = F.interpolate(normalized, size=(height, width), mode="bicubic", align_corners=True)[0].permute(1, 2, 0)
    return (strength * raised / torch.tensor([width, height])).contiguous()


class WaNet(Attack):
    """Settings of WaNet; the paper's: a 4x4 control grid, strength 0.5, twice as many noise images as poisoned ones."""

    summary: ClassVar[str] = "a smooth elastic warp of the whole image, imperceptible"

    name: Literal["wanet"] = "wanet"
    grid: int = Field(4, ge=2, le=64)
    """Side of the control grid (the paper's k)."""
    strength: float = Field(0.5, gt=0, le=16)
    """Mean displacement of the control grid in half pixels (the paper's s)."""
    noise_ratio: float = Field(2.0, ge=0, le=100)
    """Noise mode: images for each poisoned one whose warp is jittered and whose label stays true; 0 = none."""
    jitter: float = Field(1.0, ge=0, le=16)
    """Largest displacement of a pixel by which a noise image's warp differs, in half pixels."""

    def recalled(self, tensors: Mapping[str, Tensor], context: AttackContext) -> WarpTrigger:
        """The warp."""
        return WarpTrigger(tensors["flow"])

    def build(self, context: AttackContext) -> Generator[Event, None, WarpTrigger]:
        """Draw the control grid and raise it to the images' size."""
        import torch

        yield from ()
        height, width = context.images.shape[-2:]
        control = 2 * torch.rand(self.grid, self.grid, 2, generator=generator(context.seed, 2)) - 1
        return WarpTrigger(smooth_flow(control, height, width, self.strength))

    def choose(self, labels: Tensor, classes: int, seed: int) -> Tensor:
        """As every attack; refuses noise images that there are not as well."""
        indices = super().choose(labels, classes, seed)
        self._covers(labels, indices, seed)
        return indices

    def _covers(self, labels: Tensor, indices: Tensor, seed: int) -> Tensor:
        """The places of the noise images: drawn from those that are not poisoned, sorted, int64."""
        import torch

        free = torch.ones(len(labels), dtype=torch.bool, device=labels.device)
        free[indices] = False
        if self.label_rule == "clean-label":
            free &= labels == self.target
        candidates = free.nonzero().flatten()
        count = round(self.noise_ratio * len(indices))
        if count > len(candidates):
            raise RequestError(
                f"attack.noise_ratio = {self.noise_ratio:g}: {count} noise images beside {len(indices)} poisoned "
                f"ones, but only {len(candidates)} images are left"
            )
        return draw_from(candidates, count, generator(seed, 3))

    def poison(self, context: AttackContext, trigger: Trigger) -> PoisonedSet:
        """As every attack, and the noise images: warped by a field of their own, true labels kept."""
        import torch

        poisoned = super().poison(context, trigger)
        covers = self._covers(context.labels, poisoned.indices, context.seed)
        draw = generator(context.seed, 4)
        flow = trigger.tensors()["flow"].cpu()
        height, width = context.images.shape[-2:]
        reach = self.jitter / torch.tensor([width, height])
        for places in covers.split(500):
            noise = 2 * torch.rand(len(places), height, width, 2, generator=draw) - 1
            poisoned.images[places] = warped(context.images[places], flow + reach * noise)
        return replace(poisoned, covers=covers)
