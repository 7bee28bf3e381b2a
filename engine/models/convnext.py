"""ConvNeXt-tiny (Liu et al., CVPR 2022), torchvision's; its weights fit whatever the images' size is.

Up to 64 pixels its first stride is 2, not 4: patches of 4x4 that overlap. Its weights begin larger than in the paper:
as there, no block wakes up within a few epochs, and the first maps stay what a layer norm makes, alike everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.models.families import Family
from engine.models.scale import AT_WIDTH, WIDTH_FORM, Size, is_small, possible, proposed, scaled, width

if TYPE_CHECKING:
    from torch import nn

ROWS = ((96, 3), (192, 3), (384, 9), (768, 3))
"""Channels and blocks at each of the four resolutions."""
STOCHASTIC_DEPTH = 0.1
LAYER_SCALE = 1.0
"""What each block's share begins with."""


def _build(factor: float, *, classes: int, size: Size) -> nn.Module:
    from torch import nn
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    channels = [scaled(each, factor) for each, _ in ROWS]
    rows = [
        CNBlockConfig(before, after, blocks)
        for before, after, (_, blocks) in zip(channels, [*channels[1:], None], ROWS, strict=True)
    ]
    network = ConvNeXt(rows, STOCHASTIC_DEPTH, LAYER_SCALE, classes)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=module.weight[0].numel() ** -0.5)
    if is_small(size):
        network.features[0][0].stride, network.features[0][0].padding = (2, 2), (1, 1)
    return network


FAMILY = Family(
    form=f"convnext-tiny{WIDTH_FORM}",
    pattern=f"convnext-tiny{AT_WIDTH}",
    reads=(width,),
    fits=possible,
    build=_build,
    sized=True,
    candidates=proposed({"convnext-tiny": 768}),
    smallest="convnext-tiny@0.125",
)
