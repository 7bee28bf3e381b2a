"""The family of pre-activation residual networks: its names. Free of torch; the network itself is in `network`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.models.families import Family
from engine.models.scale import AT_WIDTH, WIDTH_FORM, Size, is_small, possible, proposed, width

if TYPE_CHECKING:
    from torch import nn


def _build(factor: float, *, classes: int, size: Size) -> nn.Module:
    from engine.models.preact_resnet.network import preact_resnet

    return preact_resnet((2, 2, 2, 2), factor, classes, small=is_small(size))


FAMILY = Family(
    form=f"preact-resnet-18{WIDTH_FORM}",
    pattern=f"preact-resnet-18{AT_WIDTH}",
    reads=(width,),
    fits=possible,
    build=_build,
    sized=True,
    candidates=proposed({"preact-resnet-18": 512}),
    smallest="preact-resnet-18@0.125",
)
