"""MobileNetV2 (Sandler et al., CVPR 2018), torchvision's; its weights fit whatever the images' size is.

Up to 64 pixels its first two strides are 1, as in the widely used kuangliu/pytorch-cifar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.models.families import Family
from engine.models.scale import AT_WIDTH, WIDTH_FORM, Size, is_small, possible, proposed, width

if TYPE_CHECKING:
    from torch import nn

SETTING = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Of each row of blocks (the paper's table 2): expansion, channels, blocks, stride."""
SECOND = 1
"""The row whose stride is 1 for small images."""


def _build(factor: float, *, classes: int, size: Size) -> nn.Module:
    from torchvision.models.mobilenetv2 import MobileNetV2

    small = is_small(size)
    rows = [list(row) for row in SETTING]
    if small:
        rows[SECOND][-1] = 1
    network = MobileNetV2(classes, factor, rows)
    if small:
        network.features[0][0].stride = (1, 1)
    return network


FAMILY = Family(
    form=f"mobilenet-v2{WIDTH_FORM}",
    pattern=f"mobilenet-v2{AT_WIDTH}",
    reads=(width,),
    fits=possible,
    build=_build,
    sized=True,
    candidates=proposed({"mobilenet-v2": 32}, place=0),
    smallest="mobilenet-v2@0.25",
)
