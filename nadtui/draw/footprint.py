"""A trigger's footprint, and how much of a model's attention lies inside it: from the record's own bytes.

A cell of a coarse map stands for as many pixels as its tap's stride, and a convolution before it has looked across its
edge: the hot spot that a patch makes in a deep map may lie beside the patch. For a map the footprint is therefore
widened by the tap's stride to all sides.
"""

from __future__ import annotations

from functools import lru_cache

from engine.events import AttentionCaptured, SampleShown
from nadtui.draw import half_blocks

WIDEST = len("99.9 → 99.9")
"""Columns of two shares."""
_HEADINGS = (
    "% of attention in the trigger's footprint, widened by each tap's stride: clean → triggered",
    "% of attention in the footprint, widened by a stride: clean → triggered",
    "% of attention in the widened footprint: clean → triggered",
    "% in the footprint: clean → triggered",
)


def heading(width: int) -> str:
    """What the shares are, as fully as so many columns hold."""
    return next((said for said in _HEADINGS if len(said) <= width), _HEADINGS[-1])


def footprint(sample: SampleShown) -> list[float]:
    """Which pixels the trigger changes, 1 or 0, row by row: by at least a quarter of its largest change."""
    changed = [
        max(abs(a - b) for a, b in zip(sample.clean[at : at + 3], sample.triggered[at : at + 3], strict=True))
        for at in range(0, 3 * sample.height * sample.width, 3)
    ]
    least = max(1.0, max(changed, default=0) / 4)
    return [1.0 if value >= least else 0.0 for value in changed]


def stride(sample: SampleShown, width: int, height: int) -> int:
    """Pixels of the recorded image that a cell of a map of that size stands for, on the longer side; at least 1."""
    return max(1, round(max(sample.width / width, sample.height / height)))


@lru_cache(maxsize=64)
def widened(sample: SampleShown, by: int = 0) -> tuple[float, ...]:
    """The footprint with `by` pixels to all sides, 1 or 0, row by row."""
    wide, high, inside = sample.width, sample.height, footprint(sample)
    lines = [inside[at : at + wide] for at in range(0, wide * high, wide)]
    lines = [[max(line[max(0, x - by) : x + by + 1]) for x in range(wide)] for line in lines]
    return tuple(max(line[x] for line in lines[max(0, y - by) : y + by + 1]) for y in range(high) for x in range(wide))


def coverage(sample: SampleShown, by: int = 0) -> float:
    """The share of the image that the trigger's footprint covers, widened by so many pixels; 0-1."""
    inside = widened(sample, by)
    return sum(inside) / len(inside) if inside else 0.0


def share_inside(cells: bytes, width: int, height: int, sample: SampleShown) -> float | None:
    """The share of a map's attention inside the footprint widened by the tap's stride, 0-1; None for a map of zeros."""
    inside = widened(sample, stride(sample, width, height))
    weights = half_blocks.resample(inside, sample.width, sample.height, width, height)
    total = sum(cells)
    found = sum(cell * weight for cell, weight in zip(cells, (w for line in weights for w in line), strict=True))
    return found / total if total else None


def shares(capture: AttentionCaptured | None, sample: SampleShown | None) -> str:
    """What of a map's attention lies in the widened footprint, clean → triggered, in percent; a dash without a map.

    At most `WIDEST` columns: all of it is 100, without a decimal.
    """
    if capture is None or sample is None or not capture.triggered:
        return "–"
    size = capture.width, capture.height
    found = [share_inside(cells, *size, sample) for cells in (capture.clean, capture.triggered)]
    return " → ".join("–" if share is None else f"{100 * share:.1f}".replace("100.0", "100") for share in found)
