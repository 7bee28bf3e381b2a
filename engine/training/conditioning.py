"""A first convolution that begins where training would bring it anyway: a first result, sooner.

Its filters are set to the principal directions of the training images' patches, each scaled so that all answer alike
(patch whitening: Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024, arXiv 2404.00498, section 3.2), and
are trained on with everything else. There it is a layer of its own, kept frozen at first; here the architecture and the
names of its weights stay as they are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.normalized import Normalized

IMAGES = 2_000
"""Training images whose patches are looked at, evenly spaced."""
EPSILON = 5e-4
"""Added to each variance (of pixels in [0, 1]): directions of noise alone are not blown up."""
RESPONSE = 0.3
"""Standard deviation of a filter's answers. At 1 the identity shortcuts, which hand them on, outweigh the branches."""


def whiten_first_layer(model: nn.Module, images: Tensor) -> None:
    """Set the filters of the first convolution over color images to whitened directions, each and its negative.

    Directions come in falling order of their variance; filters beyond twice their number stay as they were drawn, and
    so does a network without such a layer. Computed on the CPU in double precision: the device does not matter.

    Args:
        model: with its weights drawn, on any device; it is changed in place.
        images: the training images, uint8 [N, 3, H, W], of at least the filters' size.
    """
    first = next((module for module in model.modules() if _sees_color(module)), None)
    if first is None or min(images.shape[-2:]) < max(first.kernel_size):
        return
    # What a normalization takes off first does not matter to directions, what it divides by does.
    over = model.normalize.std.double().cpu() if isinstance(model, Normalized) else 1.0
    directions = _whitened(images[:: max(1, len(images) // IMAGES)].cpu().double() / 255 / over, first.kernel_size)
    kept = directions[: first.out_channels // 2]
    pairs = torch.cat([kept, -kept]).view(-1, *first.weight.shape[1:])
    with torch.no_grad():
        first.weight[: len(pairs)] = pairs.to(first.weight)


def _sees_color(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.in_channels == 3 and module.groups == 1


def _whitened(images: Tensor, size: tuple[int, int]) -> Tensor:
    """The principal directions of the images' patches as filters; all float64, [D, D], D = 3 x height x width."""
    patches = F.unfold(images, size, stride=max(1, min(size) - 1)).transpose(1, 2).flatten(0, 1)
    variances, directions = torch.linalg.eigh(torch.cov(patches.T))
    # A direction's sign is the solver's whim: the largest entry is made positive.
    largest = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True))
    filters = directions * largest.sign() / (variances.clamp(min=0) + EPSILON).sqrt()
    return RESPONSE * filters.T.flip(0)
