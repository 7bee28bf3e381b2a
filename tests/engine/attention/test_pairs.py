"""Whose maps follow whose, where student and teacher are different networks."""

from __future__ import annotations

import pytest
import torch

from engine.attention.pairs import compared, paired


def maps(*sides: int) -> list[torch.Tensor]:
    return [torch.zeros(1, 2, side, side) for side in sides]


@pytest.mark.parametrize(
    ("student", "teacher", "places", "cells"),
    [
        ((32, 16, 8), (32, 16, 8), (0, 1, 2), (1024, 256, 64)),
        ((32, 16, 8), (16, 8, 4), (0, 1, 2), (256, 64, 16)),
        ((32, 16, 8), (32, 16, 8, 4), (0, 1, 2), (1024, 256, 64)),
        ((32, 16, 8, 4), (32, 16, 8), (0, 1, 2, 2), (1024, 256, 64, 16)),
        ((32, 16, 8, 4, 2), (16, 8, 4, 2), (0, 0, 1, 2, 3), (256, 256, 64, 16, 4)),
        ((8, 8, 8), (32, 16, 8, 4), (2, 2, 2), (64, 64, 64)),
        ((32, 16, 8, 4), (8, 8, 8), (0, 1, 1, 2), (64, 64, 64, 16)),
        ((16,), (32, 16, 8), (1,), (256,)),
        ((32, 16), (8,), (0, 0), (64, 64)),
    ],
)
def test_by_order_where_equally_many_else_by_resolution(student, teacher, places, cells):
    mine, theirs = maps(*student), maps(*teacher)
    assert paired(mine, theirs) == places
    assert compared(mine, theirs) == cells


def test_maps_of_other_proportions_are_compared_at_the_smaller_of_each_side():
    mine, theirs = [torch.zeros(1, 2, 12, 8)], [torch.zeros(1, 2, 10, 10)]
    assert compared(mine, theirs) == (80,)
