"""The family of vision transformers: its names. Free of torch; the network itself is in `network`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.models.families import Family
from engine.models.scale import AT_WIDTH, WIDTH_FORM, Size, possible, proposed, scaled, width

if TYPE_CHECKING:
    from torch import nn

HEADS = {"tiny": 3, "small": 6}
DIMENSION = 64
"""Of each head, times the factor of the width."""
DEPTH = 12
PATCHES = ((32, 4), (64, 8))
"""Up to which side of the images in pixels a patch has which side; 16 beyond."""


def _build(kind: str, factor: float, *, classes: int, size: Size) -> nn.Module:
    from engine.models.vit.network import VisionTransformer

    patch = next((patch for side, patch in PATCHES if max(size) <= side), 16)
    heads = HEADS[kind]
    return VisionTransformer(patch, size, scaled(DIMENSION, factor) * heads, DEPTH, heads, classes)


FAMILY = Family(
    form=f"vit-tiny|small{WIDTH_FORM}",
    pattern=f"vit-(tiny|small){AT_WIDTH}",
    reads=(str, width),
    fits=lambda kind, factor: possible(factor),
    build=_build,
    sized=True,
    candidates=proposed({"vit-tiny": 192, "vit-small": 384}),
    smallest="vit-tiny@0.125",
)
