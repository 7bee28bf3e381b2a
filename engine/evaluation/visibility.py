"""How visible a trigger is: PSNR, L-infinity and SSIM between images without and with it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_BATCH = 250


@dataclass(frozen=True)
class Visibility:
    """Over all images: `psnr` in dB (infinite where nothing changes), `linf` in pixel values, `ssim` up to 1."""

    images: int
    psnr: float
    """Of the mean squared error over all images and pixels."""
    linf: int
    """The largest change of any pixel of any image."""
    linf_mean: float
    """The mean of the images' largest changes."""
    ssim: float
    """The mean of the images' SSIM."""


def visibility(clean: Tensor, triggered: Tensor) -> Visibility:
    """Compare uint8 images [N, 3, H, W] with their triggered twins; N is 1 or more."""
    changes = (triggered.int() - clean.int()).abs().flatten(1)
    error = (changes.double() ** 2).mean().item()
    largest = changes.amax(dim=1)
    pairs = zip(clean.split(_BATCH), triggered.split(_BATCH), strict=True)
    return Visibility(
        images=len(clean),
        psnr=10 * math.log10(255**2 / error) if error else math.inf,
        linf=int(largest.max()),
        linf_mean=largest.double().mean().item(),
        ssim=torch.cat([ssim(one, other) for one, other in pairs]).mean().item(),
    )


def ssim(one: Tensor, other: Tensor) -> Tensor:
    """The structural similarity of uint8 images [N, 3, H, W], the mean over pixels and channels, float64 [N].

    Wang, Bovik, Sheikh, Simoncelli 2004: Gaussian window of 11x11, sigma 1.5 (smaller where the image is), without
    padding; K1 = 0.01, K2 = 0.03, L = 255.
    """
    x, y = one.double(), other.double()
    size = min(11, *((side - 1) // 2 * 2 + 1 for side in x.shape[-2:]))
    place = torch.arange(size, device=x.device, dtype=torch.float64) - size // 2
    line = torch.exp(-(place**2) / (2 * 1.5**2))
    window = (line[:, None] * line / line.sum() ** 2).expand(3, 1, -1, -1)

    def mean(values: Tensor) -> Tensor:
        return F.conv2d(values, window, groups=3)

    mean_x, mean_y = mean(x), mean(y)
    variance_x, variance_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    covariance = mean(x * y) - mean_x * mean_y
    light, contrast = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = (2 * mean_x * mean_y + light) * (2 * covariance + contrast)
    similarity /= (mean_x**2 + mean_y**2 + light) * (variance_x + variance_y + contrast)
    return similarity.mean(dim=(1, 2, 3))
