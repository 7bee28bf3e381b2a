"""The family of wide residual networks: its names and taps. Free of torch; the network itself is in `network`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from engine.models.families import Family
from engine.models.taps import Tap

if TYPE_CHECKING:
    from engine.models.wrn.network import WRN


def _build(depth: int, width: int, *, classes: int) -> WRN:
    from engine.models.wrn.network import WRN

    return WRN(depth, width, classes)


def _taps(depth: int, width: int) -> tuple[Tap, ...]:
    return (
        Tap("group1", 16 * width, 1, "block1"),
        Tap("group2", 32 * width, 2, "block2"),
        Tap("group3", 64 * width, 4, "block3"),
    )


def _candidates(weights: Sequence[tuple[int, ...]]) -> Iterator[str]:
    """Depth by the number of 3x3 convolutions, width by the most planes; a few depths where that does not fit."""
    planes = [shape[0] for shape in weights if shape[2:] == (3, 3)]
    if not planes:
        return
    width = max(1, max(planes) // 64)
    depths = [len(planes) + 3] if len(planes) % 6 == 1 else [16, 28, 40]
    yield from (f"wrn-{depth}-{width}" for depth in depths if 10 <= depth < 1_000 and width < 1_000)


FAMILY = Family(
    form="wrn-DEPTH-WIDTH with DEPTH 10, 16, 22, 28, 34, 40, ... (6n + 4) and WIDTH 1 or more",
    pattern=r"wrn-([1-9][0-9]{0,2})-([1-9][0-9]{0,2})",
    fits=lambda depth, width: depth >= 10 and (depth - 4) % 6 == 0,
    build=_build,
    taps=_taps,
    candidates=_candidates,
    smallest="wrn-10-1",
)
