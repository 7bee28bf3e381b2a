"""Header, stages, list and preview of a run with several purified models, and of one without a trigger."""

from pathlib import Path

import pytest
from rich.style import Style

from engine.record.state import RunState
from engine.record.view import RunView, fold
from nadtui.runs.catalog import Catalog, RunRow
from nadtui.workbench import run_sketch
from nadtui.workbench.widgets import preview, run_columns, run_header, stage_strip, tiles
from tests import run_folders


def view(*, attacked: bool = True) -> RunView:
    return fold(run_folders.side_by_side(attacked=attacked))


def test_the_header_names_the_defense_whose_figures_it_shows():
    assert run_header.outcome(view()) == "ASR 100.0 → 1.0 · ACC 97.0 → 96.5 · nad of 2 defenses"
    assert run_header.outcome(view(attacked=False)) == "ACC 97.0 → 96.5 · nad of 2 defenses"


def strip(run: RunView, width: int) -> str:
    names, _ = stage_strip.compose(run, width, dark=True, base=Style())
    return "".join(segment.text for segment in names)


def test_the_strip_shows_every_stage_and_no_asr_that_does_not_exist():
    assert "fine-tuning 1/1 ACC 93.0 ASR 60.0" in strip(view(), 200)
    shown = strip(view(attacked=False), 200)
    assert "fine-tuning 1/1 ACC 93.0" in shown and "ASR" not in shown and "–" not in shown
    assert "93.0/60.0" in strip(view(), 120)


def listed(tmp_path: Path, *, attacked: bool) -> RunRow:
    events = run_folders.side_by_side(attacked=attacked, run="a")
    run_folders.write_events(tmp_path, "a", events[0].config, events)
    [row] = Catalog(tmp_path).rows()
    return row


@pytest.mark.parametrize("width", [60, 80, 120, 160])
def test_the_list_shows_the_first_purified_model_and_counts_the_others(tmp_path, width):
    row = listed(tmp_path, attacked=True)
    assert (row.acc, row.asr, row.more) == ((97.0, 96.5), (100.0, 1.0), 1)
    columns = run_columns.columns(width, several=True)
    cells = [column.text(row, column.width) for column in columns]
    assert "+1" in cells
    assert sum(column.width + 1 for column in columns) - 1 == width
    assert len(run_columns.columns(width)) == len(columns) - 1


def test_the_list_shows_nothing_where_there_is_no_asr(tmp_path):
    row = listed(tmp_path, attacked=False)
    cells = {column.title: column.text(row, column.width) for column in run_columns.columns(120)}
    assert (cells["ACC"], cells["ASR"]) == ("97.0→96.5", "")


def sketch(*, attacked: bool) -> run_sketch.Sketch:
    return run_sketch.of(view(attacked=attacked), Path("a"), RunState.FINISHED)


def test_the_preview_shows_the_maps_and_figures_of_every_purified_model():
    shown = sketch(attacked=True)
    assert [stage for stage, _ in shown.maps] == ["attack", "nad", "fine-tuning"]
    assert [len(row) for row in preview.attention_tiles(shown, 2, apart=False)] == [3, 3, 3]
    said = preview._summary(shown).plain
    assert "teacher (for nad)" in said and "ASR" in said


def test_the_preview_without_a_trigger_shows_acc_and_clean_maps_alone():
    shown = sketch(attacked=False)
    said = preview._summary(shown).plain
    assert "ACC" in said and "ASR" not in said and "–" not in said
    for apart in (False, True):
        rows = preview.attention_tiles(shown, 2, apart=apart)
        assert rows[0][0].caption == "clean"
        assert all(len(tile.cells) for row in rows for tile in row)
        assert tiles.lay_out(rows, 60, 20)
