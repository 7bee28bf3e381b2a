"""Where a trigger changes an image, and what of a map lies there."""

import pytest

from engine.events import SampleShown
from nadtui.draw.footprint import coverage, footprint, share_inside, shares, stride
from tests.nadtui.draw.test_map_lines import capture


def sample(clean: list[int], triggered: list[int], side: int) -> SampleShown:
    spread = [bytes(value for value in values for _ in range(3)) for values in (clean, triggered)]
    return SampleShown(sample=0, index=0, label=0, height=side, width=side, clean=spread[0], triggered=spread[1])


def test_the_footprint_is_where_the_trigger_changed_the_image():
    image = sample([10] * 16, [10] * 15 + [200], 4)
    assert footprint(image) == [0.0] * 15 + [1.0]
    assert coverage(image) == pytest.approx(1 / 16)


def test_the_share_inside_is_that_of_the_cells_under_the_trigger():
    image = sample([10] * 16, [10] * 12 + [200] * 4, 4)  # the last row, and the one above, a stride away
    cells = bytes([1] * 8 + [2] * 4 + [2] * 4)
    assert share_inside(cells, 4, 4, image) == pytest.approx(2 / 3)


def test_a_coarse_cell_counts_with_the_part_that_the_trigger_covers():
    image = sample([10] * 16, [10] * 12 + [200] * 4, 4)  # with a stride of 2: three rows, half of the upper cells
    assert share_inside(bytes([2, 2, 0, 0]), 2, 2, image) == pytest.approx(0.5)
    assert share_inside(bytes([0, 0, 2, 2]), 2, 2, image) == pytest.approx(1.0)


def test_a_map_of_zeros_has_no_share():
    assert share_inside(bytes(4), 2, 2, sample([0] * 4, [9] * 4, 2)) is None


def test_an_unchanged_image_has_no_footprint():
    assert coverage(sample([5] * 4, [5] * 4, 2)) == 0


def test_for_a_map_the_footprint_is_widened_by_its_stride():
    """A corner of one pixel, seen by taps of stride 1, 2 and 4: the cell beside it counts too."""
    corner = sample([10] * 64, [10] * 63 + [200], 8)
    assert [stride(corner, side, side) for side in (8, 4, 2)] == [1, 2, 4]
    assert [coverage(corner, by) for by in (0, 1, 2)] == [1 / 64, 4 / 64, 9 / 64]
    beside = bytes([0] * 54 + [9] + [0] * 9)  # the hot spot lies diagonally beside the pixel
    assert share_inside(beside, 8, 8, corner) == 1.0
    assert share_inside(bytes([9] + [0] * 63), 8, 8, corner) == 0.0


def test_shares_are_told_clean_and_triggered():
    corner = sample([10] * 16, [10] * 15 + [200], 4)
    two = capture(bytes([1] * 16), bytes([0] * 15 + [9]), 4)
    assert shares(two, corner) == "25.0 → 100"
    assert shares(capture(bytes([0] * 15 + [9]), bytes([0] * 15 + [9]), 4), corner) == "100 → 100"
    assert shares(None, corner) == shares(two, None) == "–"
