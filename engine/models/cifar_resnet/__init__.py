"""The family of CIFAR residual networks: its names. Free of torch; the network itself is in `network`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from engine.models.families import Family
from engine.models.scale import AT_WIDTH, WIDTH_FORM, possible, proposed, width

if TYPE_CHECKING:
    from torch import nn


def _build(depth: int, factor: float, *, classes: int) -> nn.Module:
    from engine.models.cifar_resnet.network import cifar_resnet

    return cifar_resnet((depth - 2) // 6, factor, classes)


def _candidates(weights: Sequence[Sequence[int]]) -> Iterator[str]:
    """Depth by the number of 3x3 convolutions, width by the features of the last layer."""
    depth = 1 + sum(tuple(shape[2:]) == (3, 3) for shape in weights)
    return proposed({f"cifar-resnet-{depth}": 64})(weights)


FAMILY = Family(
    form=f"cifar-resnet-DEPTH{WIDTH_FORM} with DEPTH 8, 14, 20, 26, 32, ... (6n + 2)",
    pattern=f"cifar-resnet-([1-9][0-9]{{0,3}}){AT_WIDTH}",
    reads=(int, width),
    fits=lambda depth, factor: depth >= 8 and (depth - 2) % 6 == 0 and possible(factor),
    build=_build,
    candidates=_candidates,
    smallest="cifar-resnet-8",
)
