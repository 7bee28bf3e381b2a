"""What measurements over several suspects and clean subsets come to: a mean, its spread, how certain it is.

Clean subsets of one suspect are no independent repeats: whatever they agree in may be that suspect's own. So a mean is
one over suspects, each of which counts once, and the interval draws suspects first and then their subsets, anew with
replacement (Davison & Hinkley 1997, section 3.8; Saravanan, Berman & Sober 2020). Free of torch.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np

Measured = Mapping[Hashable, Mapping[Hashable, float]]
"""By suspect, then by clean subset: one figure."""
LEAST = 5
"""Suspects from which on an interval says something; below it there are minimum and maximum."""
DRAWS, PART = 2000, 250
"""Draws, and how many are made at a time: thousands of measurements fill no memory."""


@dataclass(frozen=True)
class Spread:
    """A figure over suspects and their clean subsets, in the figure's own unit."""

    mean: float
    """Over the suspects' means, so that each counts once, however many subsets it has."""
    deviation: float | None
    """Sample standard deviation: of the suspects' means, or of the subsets where there is one suspect; None of one
    measurement."""
    least: float
    """The smallest single measurement."""
    most: float
    """The largest."""
    decile: float
    """The 90th percentile of the suspects' means, between neighbors by their distance."""
    interval: tuple[float, float] | None
    """95 %, of the mean; None below `LEAST` suspects."""
    suspects: int
    subsets: tuple[int, int]
    """The fewest and the most that a suspect has."""

    @property
    def ends(self) -> tuple[float, float]:
        """The interval, or the smallest and the largest measurement where there is none."""
        return self.interval or (self.least, self.most)

    @property
    def count(self) -> str:
        """`6 x 3`: suspects by subsets."""
        few, many = self.subsets
        return f"{self.suspects} x {few}" + (f"-{many}" if many > few else "")


def spread(measured: Measured) -> Spread | None:
    """What the measurements come to; None without any. The same ones give the same interval, in whatever order.

    Values that are not finite are left out.
    """
    known = {
        suspect: [value for value in subsets.values() if math.isfinite(value)] for suspect, subsets in measured.items()
    }
    groups = sorted(sorted(values) for values in known.values() if values)
    if not groups:
        return None
    means = [statistics.fmean(values) for values in groups]
    every = [value for values in groups for value in values]
    repeats = means if len(means) > 1 else every
    sizes = [len(values) for values in groups]
    return Spread(
        mean=statistics.fmean(means),
        deviation=statistics.stdev(repeats) if len(repeats) > 1 else None,
        least=min(every),
        most=max(every),
        decile=float(np.percentile(means, 90)),
        interval=_interval(groups) if len(groups) >= LEAST else None,
        suspects=len(groups),
        subsets=(min(sizes), max(sizes)),
    )


def _interval(groups: list[list[float]]) -> tuple[float, float]:
    """The percentile interval of a hierarchical bootstrap: suspects are drawn, and of each its subsets."""
    sizes = np.array([len(values) for values in groups])
    table = np.zeros((len(groups), sizes.max()))
    for row, values in zip(table, groups, strict=True):
        row[: len(values)] = values
    draw = np.random.default_rng(0)
    means = np.concatenate([_means(table, sizes, draw, PART) for _ in range(DRAWS // PART)])
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def _means(table: np.ndarray, sizes: np.ndarray, draw: np.random.Generator, count: int) -> np.ndarray:
    """So many means of suspects and subsets drawn anew: [count], from [suspects, subsets] and what each has of them."""
    suspects = draw.integers(len(table), size=(count, len(table)))
    counts = sizes[suspects]
    subsets = (draw.random((*suspects.shape, table.shape[1])) * counts[..., None]).astype(int)
    drawn = table[suspects[..., None], subsets]
    drawn[np.arange(table.shape[1]) >= counts[..., None]] = 0  # a suspect of two subsets is drawn two of
    return (drawn.sum(axis=2) / counts).mean(axis=1)


def differences(one: Measured, other: Measured) -> dict[Hashable, dict[Hashable, float]]:
    """`one` minus `other`, pair by pair, of what both were measured on: same suspect, same clean subset."""
    return {
        suspect: {subset: subsets[subset] - other[suspect][subset] for subset in subsets if subset in other[suspect]}
        for suspect, subsets in one.items()
        if suspect in other
    }
