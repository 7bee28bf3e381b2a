"""DenseNet-121 (Huang et al., CVPR 2017), torchvision's.

Up to 64 pixels it begins with one 3x3 convolution and no pooling, as it does on CIFAR everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.models.families import Family
from engine.models.scale import AT_WIDTH, WIDTH_FORM, Size, is_small, possible, proposed, scaled, width

if TYPE_CHECKING:
    from torch import nn

GROWTH, FIRST = 32, 64
"""Channels that each layer adds, and of the first map."""


def _build(factor: float, *, classes: int, size: Size) -> nn.Module:
    from torch import nn
    from torchvision.models.densenet import DenseNet

    first = scaled(FIRST, factor)
    network = DenseNet(scaled(GROWTH, factor, 4), num_init_features=first, num_classes=classes)
    if is_small(size):
        network.features.conv0 = nn.Conv2d(3, first, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(network.features.conv0.weight)
        network.features.pool0 = nn.Identity()
    return network


FAMILY = Family(
    form=f"densenet-121{WIDTH_FORM}",
    pattern=f"densenet-121{AT_WIDTH}",
    reads=(width,),
    fits=possible,
    build=_build,
    sized=True,
    candidates=proposed({"densenet-121": 1024}),
    smallest="densenet-121@0.125",
)
