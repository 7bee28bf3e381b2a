"""Half-blocks and letters on known input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadtui.draw import colors, half_blocks


def test_resampling_by_a_whole_factor_takes_means():
    cells = bytes([0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60])
    assert half_blocks.resample(cells, 4, 4, 2, 2) == [[10, 18], [42, 50]]


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 14),
    st.integers(1, 14),
    st.data(),
)
def test_resampling_keeps_the_mean_and_the_range(width, height, columns, rows, data):
    cells = bytes(data.draw(st.lists(st.integers(0, 255), min_size=width * height, max_size=width * height)))
    drawn = [value for line in half_blocks.resample(cells, width, height, columns, rows) for value in line]
    assert len(drawn) == columns * rows
    assert sum(drawn) / len(drawn) == pytest.approx(sum(cells) / len(cells), abs=1e-6)
    assert min(cells) - 1e-6 <= min(drawn) <= max(drawn) <= max(cells) + 1e-6


def test_a_map_of_its_own_size_is_drawn_as_it_is():
    ramp = colors.heat()
    (row,) = half_blocks.heat_rows(bytes([0, 255, 255, 0]), 2, 2, 2, 1, ramp)
    pairs = [(segment.style.color.triplet, segment.style.bgcolor.triplet) for segment in row]
    assert pairs == [(ramp[0], ramp[-1]), (ramp[-1], ramp[0])]


def test_equal_neighbors_share_a_segment():
    (row,) = half_blocks.heat_rows(bytes([9] * 8), 4, 2, 4, 1, colors.heat())
    assert [segment.text for segment in row] == ["▀▀▀▀"]


def test_an_image_keeps_its_colors():
    red, blue = (255, 0, 0), (0, 0, 255)
    (row,) = half_blocks.image_rows(bytes([*red, *red, *blue, *blue]), 2, 2, 2, 1)
    (segment,) = row
    assert (segment.style.color.triplet, segment.style.bgcolor.triplet) == (red, blue)


def test_letters_rise_with_the_value():
    (row,) = half_blocks.ascii_rows(bytes(range(0, 256, 17)), 16, 1, 16, 1)
    assert row[0] == " "
    assert row[-1] == "@"
    places = [half_blocks.RAMP.index(letter) for letter in row]
    assert places == sorted(places)
    assert set(places) == set(range(10))


@pytest.mark.parametrize(("width", "height", "wanted"), [(32, 32, (20, 10)), (8, 8, (20, 10)), (40, 20, (20, 5))])
def test_pictures_are_square_on_screen(width, height, wanted):
    assert half_blocks.fit(width, height, 20, 12) == wanted


def test_differences_are_signed_around_the_middle():
    cells = half_blocks.difference(bytes([0, 100, 255]), bytes([255, 100, 0]))
    assert cells[1] == 128
    assert cells[0] > 250
    assert cells[2] < 5
    assert half_blocks.distance(bytes([0, 9]), bytes([5, 3])) == bytes([5, 6])
