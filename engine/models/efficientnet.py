"""EfficientNet-B0 (Tan & Le, ICML 2019), torchvision's; its weights fit whatever the images' size is.

Up to 64 pixels its first stride is 1, as in the widely used kuangliu/pytorch-cifar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.models.families import Family
from engine.models.scale import AT_WIDTH, WIDTH_FORM, Size, is_small, possible, proposed, width

if TYPE_CHECKING:
    from torch import nn

SETTING = (
    (1, 3, 1, 32, 16, 1),
    (6, 3, 2, 16, 24, 2),
    (6, 5, 2, 24, 40, 2),
    (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3),
    (6, 5, 2, 112, 192, 4),
    (6, 3, 1, 192, 320, 1),
)
"""Of each row of blocks (the paper's table 1): expansion, kernel, stride, channels before and after, blocks."""
DROPOUT = 0.2


def _build(factor: float, *, classes: int, size: Size) -> nn.Module:
    from torchvision.models.efficientnet import EfficientNet, MBConvConfig

    network = EfficientNet([MBConvConfig(*row, width_mult=factor) for row in SETTING], DROPOUT, num_classes=classes)
    if is_small(size):
        network.features[0][0].stride = (1, 1)
    return network


FAMILY = Family(
    form=f"efficientnet-b0{WIDTH_FORM}",
    pattern=f"efficientnet-b0{AT_WIDTH}",
    reads=(width,),
    fits=possible,
    build=_build,
    sized=True,
    candidates=proposed({"efficientnet-b0": 1280}),
    smallest="efficientnet-b0@0.1",
)
