"""Where the labels of marks stand, so that none covers another or a mark that is not its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""
HEIGHT = 12.0
"""Of a label, in pixels."""
APART = 6.0
"""Between a mark's middle and its label."""
_STEPS = 8


def placed(marks: Sequence[tuple[float, float]], widths: Sequence[float]) -> list[tuple[float, float]]:
    """The left end of each label's base line, by mark, in pixels; beside its mark, or as near to it as there is room.

    Args:
        marks: their middles, x to the right and y down.
        widths: of their labels.
    """
    taken = [_around(x, y) for x, y in marks]
    found = []
    for own, ((x, y), width) in enumerate(zip(marks, widths, strict=True)):
        others = [box for place, box in enumerate(taken) if place != own]
        candidates = list(_candidates(x, y, width))
        at = next((each for each in candidates if not any(_meet(_box(*each, width), box) for box in others)), None)
        at = at or candidates[0]
        found.append(at)
        taken.append(_box(*at, width))
    return found


def _candidates(x: float, y: float, width: float) -> Iterator[tuple[float, float]]:
    """To the right of a mark and a little above it, to the left, and further up or down."""
    for step in range(_STEPS):
        for down in (step, -step) if step else (0,):
            middle = y - 5 + down * HEIGHT / 2
            yield x + APART, middle
            yield x - APART - width, middle


def _box(x: float, y: float, width: float) -> Box:
    return x, y - HEIGHT + 3, x + width, y + 2


def _around(x: float, y: float) -> Box:
    return x - 4, y - 4, x + 4, y + 4


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
