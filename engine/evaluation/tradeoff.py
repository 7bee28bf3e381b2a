"""What a defense erases at an equal price: its ASR where it costs no more than so many points of accuracy.

One defense at several strengths (rates of learning, say) makes a path through accuracy lost and ASR left, which begins
at the suspect itself: nothing lost, nothing erased. Free of torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple


class Point(NamedTuple):
    """One strength of a defense, on one suspect and clean subset; in points of percent."""

    lost: float
    """ACC lost; below 0 where it is gained."""
    asr: float
    """ASR left."""


def asr_within(path: Sequence[Point], budget: float) -> float:
    """The lowest ASR on a path at which no more than `budget` points of ACC are lost; between two strengths, straight.

    Args:
        path: from the suspect (0 lost) by rising strength; at least one point that costs no more than `budget`.
        budget: points of ACC, 0 or more.
    """
    reached = [point.asr for point in path if point.lost <= budget]
    for one, other in pairwise(path):
        if (one.lost - budget) * (other.lost - budget) < 0:  # the path crosses the budget between them
            share = (budget - one.lost) / (other.lost - one.lost)
            reached.append(one.asr + share * (other.asr - one.asr))
    return min(reached)
