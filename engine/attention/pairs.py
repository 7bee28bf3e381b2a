"""Which map of a teacher each of a student's maps follows, where the two are different networks."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor


def paired(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> tuple[int, ...]:
    """For each of the student's maps [N, C, h, w] the place of the teacher's: by order where they are equally many.

    Else it is the one of the nearest resolution, and of several of that the one as far on in the network.
    """
    if len(student) == len(teacher):
        return tuple(range(len(student)))

    def unlike(mine: int, theirs: int) -> tuple[float, float]:
        apart = abs(math.log(_cells(student[mine]) / _cells(teacher[theirs])))
        return apart, abs(_depth(mine, len(student)) - _depth(theirs, len(teacher)))

    return tuple(min(range(len(teacher)), key=lambda place: unlike(mine, place)) for mine in range(len(student)))


def compared(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> tuple[int, ...]:
    """For each of the student's maps the number of cells at which it and the teacher's are compared."""
    pairs = ((mine, teacher[place]) for mine, place in zip(student, paired(student, teacher), strict=True))
    return tuple(min(a.shape[-2], b.shape[-2]) * min(a.shape[-1], b.shape[-1]) for a, b in pairs)


def _cells(features: Tensor) -> int:
    return features.shape[-2] * features.shape[-1]


def _depth(place: int, count: int) -> float:
    return (place + 1) / count
