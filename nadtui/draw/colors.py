"""Colors that people with a color vision deficiency tell apart, and what a terminal can show of them.

Curves use the palette of Okabe & Ito (2008), darkened for light backgrounds. Maps use a ramp of rising lightness
(matplotlib's inferno, thinned to its corners), differences one that runs from blue over the background to orange.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from typing import Literal

RGB = tuple[int, int, int]
Depth = Literal["none", "16", "256", "full"]
"""How many colors a terminal shows."""
Drawn = Literal["auto", "blocks", "ascii"]
"""How pictures are drawn: as the terminal allows, in half-blocks, or in letters."""

_ON_DARK = ("#56b4e9", "#ee8d33", "#2fbf95", "#f0e442", "#cc79a7", "#b8b8b8", "#d55e00", "#9d8df1")
_ON_LIGHT = ("#0072b2", "#b34700", "#00775a", "#7a6c00", "#9e4a7c", "#555555", "#8a2f00", "#4b32a8")

ACC, ASR = 0, 1
"""Places of the two main curves in the palette."""
LOUD = 6
"""The place of what must not be missed; the words beside it tell it too."""

LEVELS = 64
"""Steps of a ramp: fine enough for the eye, coarse enough that neighboring cells often share a style."""

_INFERNO = (
    (0, 0, 4),
    (31, 12, 72),
    (85, 15, 109),
    (136, 34, 106),
    (186, 54, 85),
    (227, 89, 51),
    (249, 140, 10),
    (249, 201, 50),
    (252, 255, 164),
)


def series(place: int, *, dark: bool) -> str:
    """The color of a curve as `#rrggbb`, by its place among the curves; the palette starts anew after its end."""
    palette = _ON_DARK if dark else _ON_LIGHT
    return palette[place % len(palette)]


@cache
def heat() -> tuple[RGB, ...]:
    """`LEVELS` colors from none (black) to most (pale yellow)."""
    return ramp(_INFERNO)


@cache
def diverging(*, dark: bool) -> tuple[RGB, ...]:
    """`LEVELS` colors from less (blue) over none (the background) to more (orange)."""
    middle = (18, 18, 22) if dark else (245, 245, 245)
    less, more = ((86, 180, 233), (255, 150, 30)) if dark else ((0, 90, 181), (190, 80, 0))
    return ramp((less, middle, more))


def ramp(corners: Sequence[RGB]) -> tuple[RGB, ...]:
    """`LEVELS` colors along these corners, which lie evenly."""
    return tuple(_between(corners, level / (LEVELS - 1)) for level in range(LEVELS))


def _between(corners: Sequence[RGB], share: float) -> RGB:
    place = share * (len(corners) - 1)
    low = min(int(place), len(corners) - 2)
    rest = place - low
    red, green, blue = (round(a + (b - a) * rest) for a, b in zip(corners[low], corners[low + 1], strict=True))
    return red, green, blue


def depth(color_system: str | None, *, no_color: bool = False) -> Depth:
    """What a terminal can show: `color_system` as rich detects it; the person's NO_COLOR outranks it."""
    if no_color or "NO_COLOR" in os.environ:
        return "none"
    known: dict[str | None, Depth] = {"truecolor": "full", "256": "256", "standard": "16", "windows": "16"}
    return known.get(color_system, "none")


def in_blocks(drawn: Drawn, depth: Depth) -> bool:
    """Whether pictures are drawn in half-blocks, else in letters: as a person wants it, else as the colors allow."""
    return drawn == "blocks" or (drawn == "auto" and depth in ("256", "full"))
