"""Charts as numbers: smoothing, round ticks, the nearest point."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadtui.draw import chart
from nadtui.draw.chart import Series


def series(*points: tuple[float, float], name: str = "s", color: str = "#ffffff") -> Series:
    return Series(name, color, [x for x, _ in points], [y for _, y in points])


def test_smoothing_is_the_weighted_mean_of_all_values_so_far():
    values, weight = [3.0, 1.0, 4.0, 1.0, 5.0], 0.7
    for end in range(1, len(values) + 1):
        weights = [weight ** (end - 1 - place) for place in range(end)]
        wanted = sum(w * v for w, v in zip(weights, values, strict=False)) / sum(weights)
        assert chart.smooth(values, weight)[end - 1] == pytest.approx(wanted)


def test_smoothing_leaves_gaps_and_carries_over_them():
    smoothed = chart.smooth([2.0, math.nan, 2.0, math.inf], 0.9)
    assert smoothed[0] == pytest.approx(2.0)
    assert math.isnan(smoothed[1])
    assert smoothed[2] == pytest.approx(2.0)
    assert math.isnan(smoothed[3])


def test_no_smoothing_gives_the_values():
    assert chart.smooth([1.0, 5.0], 0.0) == [1.0, 5.0]


@given(st.floats(-1e3, 1e3), st.floats(0.1, 1e6), st.integers(2, 12))
def test_ticks_are_round_inside_and_not_too_many(low, span, most):
    marks = chart.ticks(low, low + span, most)
    assert 1 <= len(marks) <= most
    steps = [b - a for a, b in itertools.pairwise(marks)]
    if len(steps) > 1:
        assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-6)
        assert all(low - 1e-6 * span <= mark <= low + span * 1.000001 for mark in marks)
    if steps:
        mantissa = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-6)
        assert min(abs(mantissa - round_one) for round_one in (1, 2, 5)) < 1e-6


def test_the_nearest_point_of_two_at_one_x_is_that_of_the_new_stage():
    each = series((0, 1), (1, 2), (1, math.nan), (1, 9), (2, 3))
    assert each.y[chart.nearest(each, 1.0)] == 9
    assert each.y[chart.nearest(each, math.inf)] == 3
    assert each.y[chart.nearest(each, -5)] == 1
    assert chart.nearest(series((0, math.nan)), 0) is None
