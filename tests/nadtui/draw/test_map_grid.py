"""All maps in a grid: whatever its size, its taps, and what a record holds."""

from dataclasses import replace

import pytest

from engine.events import SampleAnswered
from engine.record.view import fold
from nadtui.draw import attention_maps, footprint, map_grid
from nadtui.draw.attention_maps import Maps, ModelMaps
from nadtui.draw.map_grid import compose
from nadtui.draw.map_lines import Look
from tests import many_taps, showcase
from tests.nadtui.draw.test_map_lines import PLAIN, capture, said


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
    if not maximized and map_grid.fitted(maps, width, height).side >= map_grid.SMALLEST:
        assert max(len(line) for line in said(lines)) <= width + map_grid.GAP


def test_the_three_models_and_groups_are_named():
    lines = said(compose(grid(), 100, 30, PLAIN))
    assert "group1 32×32" in lines[0]
    assert "group3 8×8" in lines[0]
    for name in ("backdoored", "teacher", "student"):
        assert sum(name in line for line in lines) == 1


def test_the_trigger_lights_up_in_letters_too():
    lines = said(compose(grid("triggered"), 100, 40, PLAIN))
    assert "@" in "".join(lines)


def test_a_click_finds_the_cell_that_is_drawn_there():
    maps, width, height = grid(), 100, 30
    fit = map_grid.fitted(maps, width, height)
    side = fit.side
    for row in range(3):
        for group in range(3):
            x = side + map_grid.GAP + group * (2 * side + 1 + map_grid.GAP) + side // 2
            y = fit.heads + row * fit.pitch + 2
            assert map_grid.cell_at(maps, width, height, x, y) == (row, group)
    assert map_grid.cell_at(maps, width, height, 1, 5) is None
    assert map_grid.cell_at(maps, width, height, 50, 0) is None
    assert map_grid.cell_at(maps, width, height, 99, 29) is None


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


# --- any number of taps ---


def of_taps(count: int, selected: tuple[int, int] | None = None, **more) -> Maps:
    return replace(attention_maps.newest(fold(many_taps.record(count))), selected=selected, **more)


@pytest.mark.parametrize("count", [1, 2, 4, 6])
@pytest.mark.parametrize("size", [(40, 12), (78, 18), (118, 48), (400, 120)])
def test_any_number_of_taps_fits_and_each_can_be_reached(count, size):
    width, height = size
    for chosen in range(count):
        maps = of_taps(count, (0, chosen))
        fit = map_grid.fitted(maps, width, height)
        assert chosen in fit.taps
        assert fit.side >= min(map_grid.LEGIBLE, 2 * map_grid.rows_of_one(3, height))
        lines = said(compose(maps, width, height, PLAIN))
        assert max(map(len, lines)) <= width + map_grid.GAP
        x = fit.side + map_grid.GAP + fit.taps.index(chosen) * (2 * fit.side + 1 + map_grid.GAP)
        assert map_grid.cell_at(maps, width, height, x, 2) == (0, chosen)


def test_taps_that_have_no_room_are_counted_beside_those_that_have():
    assert said(compose(of_taps(6), 78, 18, PLAIN))[0].split()[-1] == "3›"
    moved = said(compose(of_taps(6, (0, 4)), 78, 18, PLAIN))[0]
    assert "‹2" in moved and moved.split()[-1] == "1›" and "layer4.1.conv2" in moved
    assert "›" not in said(compose(of_taps(6), 200, 48, PLAIN))[0]


@pytest.mark.parametrize("count", [1, 2, 4, 6])
def test_grids_one_below_the_other_show_every_tap_once(count):
    parts = list(map_grid.in_parts(of_taps(count), 78, 40))
    assert [tap for part in parts for tap in part.taps] == list(many_taps.NAMES[:count])
    assert all(len(row.maps) == len(part.taps) for part in parts for row in part.rows)


def test_what_each_model_answers_stands_by_its_name_where_there_is_room():
    view = fold(showcase.record())
    stage = view.stages["nad"]
    stage.add_answer(
        SampleAnswered(
            stage="nad",
            epoch=stage.last_epoch,
            sample=0,
            clean=1,
            clean_confidence=0.974,
            triggered=0,
            triggered_confidence=0.999,
        )
    )
    maps = attention_maps.newest(view)
    [line] = [line for line in said(compose(maps, 100, 30, PLAIN)) if "yield .97 → stop 1.00" in line]
    assert "nad" in line
    assert not [line for line in said(compose(maps, 36, 30, PLAIN)) if "yield .97" in line]
    assert attention_maps.answered(view, view.stages["teacher"], 1, 0) == ""


def test_columns_say_which_is_clean_and_below_each_map_stands_its_share_of_the_footprint():
    lines = said(compose(grid(), 120, 50, PLAIN))
    assert lines[1].split() == ["clean", "triggered"] * 3
    first = grid().rows[0].maps[0]
    assert sum(line.startswith("% in") for line in lines) == 3
    assert footprint.shares(first, showcase.sample(0)) in next(line for line in lines if line.startswith("% in"))
    assert lines[-1].startswith("% of attention in the trigger's footprint, widened by each tap's stride")
    low = said(compose(grid(), 78, 17, PLAIN))  # no room: the maps stay as they are
    assert not [line for line in low if line.startswith("% in")]
    assert [line for line in low if "triggered" in line or "trigger" in line]
    assert "trigger" not in said(compose(grid("clean"), 120, 50, PLAIN))[1]


def test_the_cursor_is_seen_on_either_side_of_its_map_in_both_heads_and_without_color():
    maps = grid(selected=(1, 1))
    fit = map_grid.fitted(maps, 100, 30)
    composed = compose(maps, 100, 30, PLAIN)
    inside = [line for line in said(composed) if "[" in line and "]" in line]
    assert len(inside) == fit.side // 2
    left = inside[0].index("[")
    assert inside[0].index("]") - left == 2 * fit.side + 2
    assert [segment.text for line in composed for segment in line if segment.style.reverse] == [
        "group2 16×16",
        "teacher",
    ]
    assert not [line for line in said(compose(grid(), 100, 30, PLAIN)) if "[" in line]
