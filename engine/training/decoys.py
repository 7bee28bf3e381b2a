"""Decoys: made-up triggers over clean images whose labels stay, so that a model learns to answer to none. Needs torch.

The defender knows no trigger, only the kinds that there are: a pattern added, an image blended in, a patch put on, a
warp. Each image's is drawn anew in every step. Sources: random planar waves, Vaish, Wang, Strisciuglio: Fourier-basis
Functions to Bridge Augmentation Gap, CVPR 2024 (arXiv 2403.01944); patches, Zhong et al.: Random Erasing, AAAI 2020;
warps, Simard et al., ICDAR 2003; fine-tuning under transformations against backdoors, Qiu et al.: DeepSweep, AsiaCCS
2021 (arXiv 2012.07006).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.settings import DecoySettings

PERIODS = (1.0, 12.0)
"""Of a wave across the image: the fewest and the most."""
COARSE = 8
"""Cells a side of the colored noise that is blended in."""
KNOTS = 4
"""Points a side whose shift is drawn; a warp is smooth between them."""


@dataclass(frozen=True)
class Chance:
    """What is drawn for decoys: on the CPU, so that every device gets the same."""

    generator: torch.Generator
    device: torch.device

    def uniform(self, *shape: int) -> Tensor:
        """float in [0, 1) of that shape."""
        return torch.rand(shape, generator=self.generator).to(self.device)

    def below(self, limit: int, *shape: int) -> Tensor:
        """int64 from 0 to `limit` - 1 of that shape."""
        return torch.randint(limit, shape, generator=self.generator).to(self.device)


def with_decoys(images: Tensor, settings: DecoySettings, generator: torch.Generator) -> Tensor:
    """A copy of a batch in which each image bears a decoy with probability `share`, of a kind drawn at random.

    Args:
        images: float [B, 3, H, W] in [0, 1].
        generator: on the CPU.
    """
    chance = Chance(generator, images.device)
    kinds = [(kind, strength) for name, kind in KINDS.items() if (strength := getattr(settings, name))]
    marked = images.clone()
    if not kinds:
        return marked
    # Chosen on the CPU, where the counts are needed: no device has to be waited for.
    bears = torch.rand(len(images), generator=generator) < settings.share
    which = torch.randint(len(kinds), (len(images),), generator=generator)
    for number, (kind, strength) in enumerate(kinds):
        places = (bears & (which == number)).nonzero().flatten()
        if len(places):
            places = places.to(images.device)
            others = images[chance.below(len(images), len(places))]
            decoyed = kind(images[places].float(), others.float(), strength, chance)
            marked[places] = decoyed.clamp(0, 1).to(marked.dtype)
    return marked


def _wave(images: Tensor, others: Tensor, strength: float, chance: Chance) -> Tensor:
    """A planar sine added, the same to all channels; `strength`: its largest amplitude, of 1."""
    count, _, height, width = images.shape
    fewest, most = PERIODS
    periods = fewest + (most - fewest) * chance.uniform(count, 1, 1, 1)
    angle, phase, amplitude = (chance.uniform(count, 1, 1, 1) for _ in range(3))
    angle, phase = 2 * math.pi * angle, 2 * math.pi * phase
    rows, columns = _positions(height, width, images.device)
    along = columns / width * angle.cos() + rows / height * angle.sin()
    return images + strength * amplitude * torch.sin(2 * math.pi * periods * along + phase)


def _overlay(images: Tensor, others: Tensor, strength: float, chance: Chance) -> Tensor:
    """Another image of the batch blended in, or coarse colored noise; `strength`: its largest share."""
    count, channels, height, width = images.shape
    noise = F.interpolate(chance.uniform(count, channels, COARSE, COARSE), size=(height, width), mode="bilinear")
    laid = torch.where(chance.uniform(count, 1, 1, 1) < 0.5, noise, others)
    return torch.lerp(images, laid, strength * chance.uniform(count, 1, 1, 1))


def _patch(images: Tensor, others: Tensor, strength: float, chance: Chance) -> Tensor:
    """A square anywhere: of noise, of one color, or cut out of another image; `strength`: its longest side, of the
    image's."""
    count, channels, height, width = images.shape
    longest = max(2, round(strength * min(height, width)))
    side = 2 + chance.below(longest - 1, count, 1, 1, 1)
    top = (chance.uniform(count, 1, 1, 1) * (height + 1 - side)).long()
    left = (chance.uniform(count, 1, 1, 1) * (width + 1 - side)).long()
    rows, columns = _positions(height, width, images.device)
    inside = (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
    noise = (chance.uniform(count, channels, height, width) < 0.5).to(images.dtype)
    color = chance.uniform(count, channels, 1, 1)
    what = chance.below(3, count, 1, 1, 1)
    # Shifted: the same place of another image often shows the same background.
    content = torch.where(
        what == 0, noise, torch.where(what == 1, color, others.roll((height // 2, width // 3), (2, 3)))
    )
    return torch.where(inside, content, images)


def _warp(images: Tensor, others: Tensor, strength: float, chance: Chance) -> Tensor:
    """Pixels shifted smoothly; `strength`: the largest mean shift, of the image's side."""
    count, _, height, width = images.shape
    knots = 2 * chance.uniform(count, 2, KNOTS, KNOTS) - 1
    shift = F.interpolate(knots, size=(height, width), mode="bicubic", align_corners=True)
    shift = shift / shift.abs().mean(dim=(1, 2, 3), keepdim=True)
    # grid_sample's coordinates go from -1 to 1: a side is 2.
    shift = shift * (2 * strength) * chance.uniform(count, 1, 1, 1)
    straight = torch.eye(2, 3, device=images.device).expand(count, 2, 3)
    grid = F.affine_grid(straight, list(images.shape), align_corners=True) + shift.permute(0, 2, 3, 1)
    return F.grid_sample(images, grid.clamp(-1, 1), align_corners=True)


def _positions(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    rows = torch.arange(height, device=device).view(1, 1, height, 1)
    return rows, torch.arange(width, device=device).view(1, 1, 1, width)


KINDS: dict[str, Callable[[Tensor, Tensor, float, Chance], Tensor]] = {
    "wave": _wave,
    "overlay": _overlay,
    "patch": _patch,
    "warp": _warp,
}
"""By the name of the setting with its strength."""
