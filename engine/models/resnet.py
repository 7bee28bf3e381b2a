"""Residual networks for ImageNet (He et al., CVPR 2016), with torchvision's blocks, names and initialization.

Up to 64 pixels they begin with one 3x3 convolution and no pooling, as they do on CIFAR everywhere.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from engine.models.families import Family
from engine.models.scale import AT_WIDTH, STRIDED, WIDTH_FORM, Size, is_small, possible, proposed, scaled, width

if TYPE_CHECKING:
    from torch import nn

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
"""By depth, how many at each of the four resolutions."""


def _build(depth: int, factor: float, *, classes: int, size: Size) -> nn.Module:
    from torch import nn
    from torchvision.models.resnet import BasicBlock, Bottleneck

    block = Bottleneck if depth == 50 else BasicBlock
    planes = [scaled(64 * 2**level, factor, STRIDED) for level in range(4)]
    layers = _stem(planes[0], small=is_small(size))
    before = planes[0]
    for level, (count, inner) in enumerate(zip(BLOCKS[depth], planes, strict=True)):
        after = inner * block.expansion
        layers[f"layer{level + 1}"] = _row(block, count, before, inner, stride=1 if level == 0 else 2)
        before = after
    layers["avgpool"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["fc"] = nn.Linear(before, classes)
    network = nn.Sequential(layers)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def _stem(planes: int, *, small: bool) -> OrderedDict[str, nn.Module]:
    from torch import nn

    kernel, stride = (3, 1) if small else (7, 2)
    return OrderedDict(
        conv1=nn.Conv2d(3, planes, kernel, stride=stride, padding=kernel // 2, bias=False),
        bn1=nn.BatchNorm2d(planes),
        relu=nn.ReLU(inplace=True),
        maxpool=nn.Identity() if small else nn.MaxPool2d(3, stride=2, padding=1),
    )


def _row(block: Any, count: int, before: int, inner: int, *, stride: int) -> nn.Module:
    """The blocks of one resolution; the first one changes planes and stride."""
    from torch import nn

    after = inner * block.expansion
    downsample = None
    if stride != 1 or before != after:
        downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after))
    first = block(before, inner, stride, downsample)
    return nn.Sequential(first, *(block(after, inner) for _ in range(count - 1)))


FAMILY = Family(
    form=f"resnet-18|34|50{WIDTH_FORM}",
    pattern=f"resnet-(18|34|50){AT_WIDTH}",
    reads=(int, width),
    fits=lambda depth, factor: possible(factor),
    build=_build,
    sized=True,
    candidates=proposed({"resnet-18": 512, "resnet-34": 512, "resnet-50": 2048}),
    smallest="resnet-18@0.125",
)
