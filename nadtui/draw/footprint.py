"""A trigger's footprint, and how much of a model's attention lies inside it: from the record's own bytes."""

from __future__ import annotations

from engine.events import SampleShown
from nadtui.draw import half_blocks


def footprint(sample: SampleShown) -> list[float]:
    """Which pixels the trigger changes, 1 or 0, row by row: by at least a quarter of its largest change."""
    changed = [
        max(abs(a - b) for a, b in zip(sample.clean[at : at + 3], sample.triggered[at : at + 3], strict=True))
        for at in range(0, 3 * sample.height * sample.width, 3)
    ]
    least = max(1.0, max(changed, default=0) / 4)
    return [1.0 if value >= least else 0.0 for value in changed]


def coverage(sample: SampleShown) -> float:
    """The share of the image that the trigger's footprint covers, 0-1."""
    inside = footprint(sample)
    return sum(inside) / len(inside) if inside else 0.0


def share_inside(cells: bytes, width: int, height: int, sample: SampleShown) -> float | None:
    """The share of a map's attention that lies inside the trigger's footprint, 0-1; None for a map of zeros."""
    weights = half_blocks.resample(footprint(sample), sample.width, sample.height, width, height)
    total = sum(cells)
    inside = sum(cell * weight for cell, weight in zip(cells, (w for line in weights for w in line), strict=True))
    return inside / total if total else None
