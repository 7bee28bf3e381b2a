"""The grid of maps of a run with several defenses, and of one without a trigger."""

import pytest

from engine.record.view import RunView, fold
from nadtui.draw import attention_maps, map_grid, run_charts
from nadtui.draw.attention_maps import Maps
from nadtui.draw.map_grid import compose
from nadtui.draw.map_lines import Look
from nadtui.workbench.shown_maps import ShownMaps
from tests import run_folders, scripted_run

PLAIN = Look(blocks=False)


def view(*, attacked: bool = True) -> RunView:
    return fold(run_folders.side_by_side(attacked=attacked))


def said(maps: Maps, width: int = 118, height: int = 48) -> str:
    lines = compose(maps, width, height, PLAIN)
    assert len(lines) <= height
    return "\n".join("".join(segment.text for segment in line) for line in lines)


def grid(shown: ShownMaps, run: RunView, height: int, look: attention_maps.ViewMode = "both") -> Maps:
    return shown.grid(run, "epoch", None, look, height, live=False)


def test_every_model_has_a_row_and_a_reference_tells_whose_it_is():
    titles = [row.title for row in attention_maps.newest(view()).rows]
    assert titles == ["suspect", "teacher (for nad)", "nad", "fine-tuning"]
    one = fold(scripted_run.timed(run_folders.script("run", run_folders.config())))
    assert [row.title for row in attention_maps.newest(one).rows] == ["suspect", "teacher", "nad"]


def test_where_there_is_no_room_one_defense_is_shown_and_the_title_says_which():
    shown, run = ShownMaps(), view()
    assert [row.title for row in grid(shown, run, 16).rows] == ["suspect", "teacher (for nad)", "nad"]
    assert shown.title(run, "both").startswith("attention maps · sample 1/1 · nad (w: others) · ")
    assert len(grid(shown, run, 40).rows) == 4
    assert shown.title(run, "both") == "attention maps · sample 1/1 · clean | triggered · test image 17"
    assert shown.title(run, "both", brief=True) == "sample 1/1 · test image 17"


def test_where_there_is_no_room_the_key_goes_on_to_the_next_defense():
    shown, run = ShownMaps(), view()
    grid(shown, run, 16)
    assert shown.next_defense(run)
    assert [row.title for row in grid(shown, run, 16).rows] == ["suspect", "fine-tuning"]
    assert "fine-tuning (w: others)" in shown.title(run, "both")


def test_the_defense_under_way_is_the_one_there_is_room_for():
    events = run_folders.side_by_side()
    begun = next(
        place for place, event in enumerate(events) if event.kind == "stage-started" and event.stage == "fine-tuning"
    )
    assert map_grid.one_for(fold(events[: begun + 2]), 16) == "fine-tuning"


@pytest.mark.parametrize("maximized", [False, True])
@pytest.mark.parametrize("look", attention_maps.VIEWS)
def test_without_a_trigger_the_clean_maps_stand_alone(look, maximized):
    shown, run = ShownMaps(), view(attacked=False)
    shown.cell, shown.maximized_cell = (0, 0), maximized
    text = said(grid(shown, run, 48, look))
    assert "clean" in text
    assert not any(word in text for word in ("trigger", "change", "footprint"))
    assert attention_maps.views_of(run) == ("clean",)
    assert "clean" in shown.title(run, look)


def test_without_a_trigger_there_is_no_curve_of_asr():
    assert [each.name for each in run_charts.figures_chart(view(attacked=False), "epoch").series] == ["ACC"]
    assert [each.name for each in run_charts.figures_chart(view(), "epoch").series] == ["ACC", "ASR"]
