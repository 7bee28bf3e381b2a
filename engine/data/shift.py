"""Shifts of a distribution: images as another camera, or worse light, would have given them.

Four of the corruptions of Hendrycks & Dietterich ("Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019), each at one strength, and images without their colors.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

GRAY = (0.299, 0.587, 0.114)
"""The shares of red, green and blue in a gray (ITU-R BT.601)."""
NOISE = 0.08
"""Standard deviation of the noise, of a range of 1."""
BLUR = 0.7
"""Sigma of the blur in pixels."""
CONTRAST = 0.4
"""What is left of each image's distance to its mean."""
BRIGHTNESS = 0.15
"""What is added, of a range of 1."""


def _gray(images: Tensor, generator: torch.Generator) -> Tensor:
    return (images * torch.tensor(GRAY).view(1, 3, 1, 1)).sum(dim=1, keepdim=True).expand_as(images)


def _noise(images: Tensor, generator: torch.Generator) -> Tensor:
    return images + NOISE * torch.randn(images.shape, generator=generator)


def _blur(images: Tensor, generator: torch.Generator) -> Tensor:
    reach = torch.arange(-2.0, 3.0)
    row = torch.exp(-reach.square() / (2 * BLUR**2))
    kernel = torch.outer(row, row) / row.sum() ** 2
    padded = F.pad(images, (2, 2, 2, 2), mode="replicate")
    return F.conv2d(padded, kernel.expand(3, 1, 5, 5), groups=3)


def _contrast(images: Tensor, generator: torch.Generator) -> Tensor:
    mean = images.mean(dim=(2, 3), keepdim=True)
    return mean + CONTRAST * (images - mean)


def _brightness(images: Tensor, generator: torch.Generator) -> Tensor:
    return images + BRIGHTNESS


NONE = "none"
SHIFTS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "gray": _gray,
    "noise": _noise,
    "blur": _blur,
    "contrast": _contrast,
    "brightness": _brightness,
}
"""Name -> float images [N, 3, H, W] in [0, 1], as they come out."""


def shifted(images: Tensor, shift: str, seed: int) -> Tensor:
    """Shift uint8 images [N, 3, H, W]; `shift` is a key of `SHIFTS`, or "none", which gives them back as they are."""
    if shift == NONE:
        return images
    moved = SHIFTS[shift](images.float() / 255, torch.Generator().manual_seed(seed))
    return (moved.clamp(0, 1) * 255).round().to(torch.uint8)
