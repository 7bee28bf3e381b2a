"""VGG with batch norm (Simonyan & Zisserman, ICLR 2015): torchvision's layers, names and initialization.

Up to 64 pixels the head is one linear layer, as in the widely used kuangliu/pytorch-cifar: of the 139 million
parameters of a VGG-19 for ImageNet 119 would be weights of a map of 1x1 that is repeated 49 times.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from engine.models.families import Family
from engine.models.scale import AT_WIDTH, WIDTH_FORM, Size, is_small, possible, proposed, scaled, width

if TYPE_CHECKING:
    from torch import nn

LAYERS = {11: "A", 16: "D", 19: "E"}
"""By depth, the column of the paper's table 1 that torchvision's configurations are named by."""
WHOLE = 32
"""The side, in pixels, that can be halved as often as the network halves it."""


def _build(depth: int, factor: float, *, classes: int, size: Size) -> nn.Module:
    from torch import nn
    from torchvision.models.vgg import cfgs, make_layers

    layers = [each if isinstance(each, str) else scaled(each, factor) for each in cfgs[LAYERS[depth]]]
    features = make_layers(layers, batch_norm=True)
    if min(size) < WHOLE:
        for module in features:
            if isinstance(module, nn.MaxPool2d):
                module.ceil_mode = True  # a map of 1x1 stays one
    planes = next(each for each in reversed(layers) if not isinstance(each, str))
    small = is_small(size)
    network = nn.Sequential(
        OrderedDict(
            features=features,
            avgpool=nn.AdaptiveAvgPool2d(1 if small else 7),
            flatten=nn.Flatten(),
            classifier=nn.Linear(planes, classes) if small else _head(planes, scaled(4096, factor), classes),
        )
    )
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.01)
            nn.init.zeros_(module.bias)
    return network


def _head(planes: int, hidden: int, classes: int) -> nn.Module:
    from torch import nn

    return nn.Sequential(
        nn.Linear(planes * 49, hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Linear(hidden, hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Linear(hidden, classes),
    )


FAMILY = Family(
    form=f"vgg-11|16|19{WIDTH_FORM}",
    pattern=f"vgg-(11|16|19){AT_WIDTH}",
    reads=(int, width),
    fits=lambda depth, factor: possible(factor),
    build=_build,
    sized=True,
    candidates=proposed({f"vgg-{depth}": 512 for depth in LAYERS}),
    smallest="vgg-11@0.125",
)
