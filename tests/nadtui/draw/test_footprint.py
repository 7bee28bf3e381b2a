"""Where a trigger changes an image, and what of a map lies there."""

import pytest

from engine.events import SampleShown
from nadtui.draw.footprint import coverage, footprint, share_inside


def sample(clean: list[int], triggered: list[int], side: int) -> SampleShown:
    spread = [bytes(value for value in values for _ in range(3)) for values in (clean, triggered)]
    return SampleShown(sample=0, index=0, label=0, height=side, width=side, clean=spread[0], triggered=spread[1])


def test_the_footprint_is_where_the_trigger_changed_the_image():
    image = sample([10] * 16, [10] * 15 + [200], 4)
    assert footprint(image) == [0.0] * 15 + [1.0]
    assert coverage(image) == pytest.approx(1 / 16)


def test_the_share_inside_is_that_of_the_cells_under_the_trigger():
    image = sample([10] * 16, [10] * 12 + [200] * 4, 4)  # the last row
    cells = bytes([1] * 12 + [3] * 4)
    assert share_inside(cells, 4, 4, image) == pytest.approx(0.5)


def test_a_coarse_cell_counts_with_the_part_that_the_trigger_covers():
    image = sample([10] * 16, [10] * 12 + [200] * 4, 4)  # half of the lower cells
    assert share_inside(bytes([0, 0, 2, 2]), 2, 2, image) == pytest.approx(0.5)


def test_a_map_of_zeros_has_no_share():
    assert share_inside(bytes(4), 2, 2, sample([0] * 4, [9] * 4, 2)) is None


def test_an_unchanged_image_has_no_footprint():
    assert coverage(sample([5] * 4, [5] * 4, 2)) == 0
