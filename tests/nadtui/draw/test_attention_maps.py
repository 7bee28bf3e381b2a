"""Half-blocks, letters and the grid of attention maps, as pure functions on known input."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment

from engine.events import AttentionCaptured, SampleShown
from nadtui.draw import attention_maps, colors, half_blocks
from nadtui.draw.attention_maps import Look, Maps, ModelMaps, compose
from tests import showcase

PLAIN = Look(blocks=False)


def capture(clean: bytes, triggered: bytes, side: int, *, tap: str = "group1") -> AttentionCaptured:
    return AttentionCaptured(
        stage="nad", epoch=1, sample=0, tap=tap, height=side, width=side, peak=1.0, clean=clean, triggered=triggered
    )


def sample(clean: list[int], triggered: list[int], side: int) -> SampleShown:
    spread = [bytes(value for value in values for _ in range(3)) for values in (clean, triggered)]
    return SampleShown(sample=0, index=0, label=0, height=side, width=side, clean=spread[0], triggered=spread[1])


def said(lines: list[list[Segment]]) -> list[str]:
    return ["".join(segment.text for segment in line) for line in lines]


# --- pictures ---


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


def test_the_difference_ramp_ends_in_colors_that_a_deuteranope_tells_apart():
    for dark in (True, False):
        low, high = colors.diverging(dark=dark)[0], colors.diverging(dark=dark)[-1]
        assert low[2] > low[0]  # blue
        assert high[0] > high[2]  # orange


def test_the_heat_ramp_gets_lighter_all_the_way():
    lightness = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in colors.heat()]
    assert lightness == sorted(lightness)


# --- the trigger's footprint ---


def test_the_footprint_is_where_the_trigger_changed_the_image():
    image = sample([10] * 16, [10] * 15 + [200], 4)
    assert attention_maps.footprint(image) == [0.0] * 15 + [1.0]
    assert attention_maps.coverage(image) == pytest.approx(1 / 16)


def test_the_share_inside_is_that_of_the_cells_under_the_trigger():
    image = sample([10] * 16, [10] * 12 + [200] * 4, 4)  # the last row
    cells = bytes([1] * 12 + [3] * 4)
    assert attention_maps.share_inside(cells, 4, 4, image) == pytest.approx(0.5)


def test_a_coarse_cell_counts_with_the_part_that_the_trigger_covers():
    image = sample([10] * 16, [10] * 12 + [200] * 4, 4)  # half of the lower cells
    assert attention_maps.share_inside(bytes([0, 0, 2, 2]), 2, 2, image) == pytest.approx(0.5)


def test_a_map_of_zeros_has_no_share():
    assert attention_maps.share_inside(bytes(4), 2, 2, sample([0] * 4, [9] * 4, 2)) is None


def test_an_unchanged_image_has_no_footprint():
    assert attention_maps.coverage(sample([5] * 4, [5] * 4, 2)) == 0


# --- the grid ---


def grid(view: attention_maps.ViewMode = "both", **more) -> Maps:
    shown = {event.tap: event for event in showcase._maps("attack", 1, 0, 0.0)}
    taps = tuple(shown)
    rows = tuple(ModelMaps(title, "epoch 1", tuple(shown.values())) for title in ("backdoored", "teacher", "student"))
    return Maps(taps, rows, showcase.sample(0), "yield", view, **more)


@pytest.mark.parametrize("view", attention_maps.VIEWS)
@pytest.mark.parametrize("size", [(10, 3), (40, 12), (78, 18), (100, 30), (198, 54), (400, 120)])
@pytest.mark.parametrize("blocks", [True, False])
@pytest.mark.parametrize("maximized", [True, False])
def test_the_grid_fits_into_any_size(view, size, blocks, maximized):
    width, height = size
    maps = grid(view, selected=(2, 1), maximized=maximized)
    lines = compose(maps, width, height, Look(blocks=blocks))
    assert len(lines) <= height
    if not maximized and attention_maps.cell_side(maps, width, height) >= attention_maps.SMALLEST:
        assert max(len(line) for line in said(lines)) <= width + attention_maps.GAP


def test_the_three_models_and_groups_are_named():
    lines = said(compose(grid(), 100, 30, PLAIN))
    assert "group1 32×32" in lines[0]
    assert "group3 8×8" in lines[0]
    for name in ("backdoored", "teacher", "student"):
        assert sum(name in line for line in lines) == 1


def test_clean_and_triggered_share_one_scale():
    cells = capture(bytes([0, 51, 51, 51]), bytes([0, 51, 51, 255]), 2)
    look = Look(blocks=True)
    clean, triggered = (attention_maps.map_lines(cells, which, 2, 1, look) for which in ("clean", "triggered"))
    ramp = colors.heat()
    assert clean[0][-1].style.bgcolor.triplet != ramp[-1]
    assert triggered[0][-1].style.bgcolor.triplet == ramp[-1]
    assert clean[0][0].style.color == triggered[0][0].style.color


def test_the_trigger_lights_up_in_letters_too():
    lines = said(compose(grid("triggered"), 100, 40, PLAIN))
    assert "@" in "".join(lines)


def test_a_click_finds_the_cell_that_is_drawn_there():
    maps, width, height = grid(), 100, 30
    side = attention_maps.cell_side(maps, width, height)
    for row in range(3):
        for group in range(3):
            x = side + attention_maps.GAP + group * (2 * side + 1 + attention_maps.GAP) + side // 2
            y = 1 + row * (side // 2 + 1) + 2
            assert attention_maps.cell_at(maps, width, height, x, y) == (row, group)
    assert attention_maps.cell_at(maps, width, height, 1, 5) is None
    assert attention_maps.cell_at(maps, width, height, 50, 0) is None
    assert attention_maps.cell_at(maps, width, height, 99, 29) is None


def test_a_maximized_cell_shows_the_shares_of_all_models():
    lines = said(compose(grid(selected=(0, 0), maximized=True), 100, 30, PLAIN))
    joined = "\n".join(lines)
    assert "backdoored · group1" in lines[0]
    assert "footprint covers 2 %" in joined
    wanted = attention_maps.share_inside(*_cells("triggered"), showcase.sample(0))
    assert f"{100 * wanted:.1f}" in joined
    assert sum("→" in line for line in lines) == 4


def _cells(which: str) -> tuple[bytes, int, int]:
    first = next(iter(showcase._maps("attack", 1, 0, 0.0)))
    return getattr(first, which), first.width, first.height


def test_a_model_that_has_not_begun_leaves_its_cells_empty():
    maps = grid()
    rows = (maps.rows[0], ModelMaps("teacher", "not begun", (None,) * 3))
    lines = said(compose(Maps(maps.taps, rows, None, "", "both"), 100, 30, PLAIN))
    assert any("not begun" in line for line in lines)


def test_no_maps_at_all_say_so():
    lines = said(compose(Maps(), 80, 20, PLAIN))
    assert "no attention maps recorded yet" in "".join(lines)


def test_foreign_names_reach_the_terminal_harmless():
    maps = Maps(("\x1b[31mtap",), (ModelMaps("\x1b]0;x\x07", "e", (capture(bytes(4), bytes(4), 2),)),), None, "\x9b1m")
    joined = "".join(said(compose(maps, 80, 20, PLAIN)))
    assert not any(letter in joined for letter in "\x1b\x07\x9b")


def test_groups_are_ordered_as_images_pass_them():
    assert attention_maps.in_order({"group10", "group2", "group1"}) == ("group1", "group2", "group10")


def test_the_corners_of_the_showcase_are_what_they_claim():
    assert math.isclose(showcase.figures("nad", 10, 10)[1], 1.9, abs_tol=0.2)
