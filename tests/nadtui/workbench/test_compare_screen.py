"""Runs side by side: tables and curves as pure functions, then the screen under a pilot."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from nadtui.draw import overlaid_runs
from nadtui.draw.chart import Series
from nadtui.runs import comparison
from nadtui.runs.digest import Report
from nadtui.runs.loading import load
from nadtui.workbench.screens.compare import CompareScreen
from nadtui.workbench.widgets.curves import Curves
from tests import looks, run_folders
from tests.pilot import at_rest, drive, screen_text, shows, until


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    root = tmp_path / "runs"
    return [
        run_folders.write(root, "20260101-120000-sig-signs-s0", preset="sig", asr=2.0),
        run_folders.write(root, "20260101-120100-sig-signs-s1", preset="sig", seed=1, asr=4.0),
        run_folders.write(root, "20260101-120200-badnets-signs-s0", asr=1.0),
        run_folders.write(root, "20260101-120300-blend-signs-s0", preset="blend", end="failed"),
    ]


@pytest.fixture
def reports(folders: list[Path]) -> list[Report]:
    return [load(str(folder), None) for folder in folders]


def test_differences_are_to_the_first_run(reports):
    table = comparison.table(reports[:3])
    row = next(row for row in table.rows if row[:2] == ("nad", "ASR"))
    assert row == ("nad", "ASR", "2.0", "4.0 (+2.0)", "1.0 (-1.0)", "3.0 ± 1.4")


def test_a_stage_that_a_run_has_not_reached_is_a_dash(reports):
    table = comparison.table([reports[0], reports[3]])
    assert next(row for row in table.rows if row[:2] == ("nad", "ACC"))[3] == "–"


def test_only_finished_runs_of_other_seeds_make_a_mean(reports):
    groups = comparison.groups(reports)
    assert [group.letters for group in groups] == ["AB"]
    assert comparison.groups([reports[0], reports[0]]) == []  # the same seed twice is no spread
    assert comparison.groups([reports[0], reports[2]]) == []  # another attack is no repeat


def test_mean_and_deviation_are_those_of_the_sample(reports):
    mean, deviation, count = comparison.groups(reports)[0].figure(comparison.StageKey("purified", "nad", "nad"), "asr")
    assert (mean, count) == (3.0, 2)
    assert deviation == pytest.approx(((2 - 3) ** 2 + (4 - 3) ** 2) ** 0.5)


def test_fields_that_differ_are_listed_once(reports):
    table = comparison.fields(reports[:2])
    assert table.rows == (("seed", "0", "1"),)


def test_curves_of_all_runs_lie_on_one_axis(reports):
    chart = overlaid_runs.chart(reports[:3], "asr", "epoch")
    assert [each.name for each in chart.series] == ["A", "B", "C"]
    assert [each.y[-1] for each in chart.series] == [2.0, 4.0, 1.0]
    assert len({each.color for each in chart.series}) == 3
    assert chart.boundaries == ((0.0, "attack"), (3.0, "teacher"), (5.0, "nad"))


def test_runs_of_other_seeds_become_their_mean_in_a_band(reports):
    chart = overlaid_runs.chart(reports[:3], "asr", "epoch", means=True)
    mean, other = chart.series
    assert (mean.name, other.name) == ("mean A B", "C")
    assert other.band is None
    assert mean.y[-1] == 3.0  # of 2 and 4
    lower, upper = mean.band
    assert (upper[-1] - lower[-1]) / 2 == pytest.approx(2**0.5)
    assert lower[0] == upper[0] == mean.y[0]  # before distillation they are the same
    assert list(mean.x) == list(overlaid_runs.chart(reports[:1], "asr", "epoch").series[0].x)
    assert [math.isnan(value) for value in lower] == [math.isnan(value) for value in mean.y]


def test_curves_of_other_lengths_have_no_mean(reports):
    shorter = Series("B", "#ffffff", [0.0, 1.0], [1.0, 2.0])
    longer = Series("A", "#ffffff", [0.0, 1.0, 2.0], [1.0, 2.0, 3.0])
    assert overlaid_runs._mean("mean A B", [longer, shorter]) is None


def test_boundaries_are_those_on_which_the_runs_agree(reports):
    chart = overlaid_runs.chart([reports[0], reports[3]], "asr", "epoch")
    assert chart.boundaries[-1] == (5.0, "nad")  # the failed run never came to it


def test_a_zoomed_stage_begins_at_zero_with_the_backdoored_model(reports):
    chart = overlaid_runs.chart(reports[:2], "asr", "epoch", zoom="nad")
    assert list(chart.series[0].x) == [0.0, 1.0, 2.0]
    assert list(chart.series[0].y) == [100.0, 5.0, 2.0]
    assert overlaid_runs.zooms(reports) == ["attack", "teacher", "nad"]


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_the_screen_shows_curves_figures_and_fields(folders, size):
    async def script(pilot):
        pilot.app.push_screen(CompareScreen(folders[:3]))
        await until(pilot, shows(pilot, "A 20260101-120000", "━ A 2 %", "attack", "100.0 (+0.0)"))
        screen = pilot.app.screen
        assert len(screen.query_one("#asr", Curves).chart.series) == 3
        await pilot.press("a")
        assert screen.axis == "seconds"
        await pilot.press("z")
        assert screen.zoom == "attack"
        await pilot.press("b")
        assert [each.name for each in screen.query_one("#asr", Curves).chart.series] == ["mean A B", "C"]
        await pilot.press("b")
        await pilot.press("left")
        assert screen.cursor is not None
        assert screen.query_one("#asr", Curves).cursor == screen.query_one("#acc", Curves).cursor
        await pilot.press("escape")
        assert screen.cursor is None
        await pilot.press("f")
        assert "seconds  20.0" not in screen_text(pilot.app)
        await pilot.press("f", "end")
        await until(pilot, shows(pilot, "attack.poisoning_rate"))
        await pilot.press("escape")
        assert pilot.app.screen is not screen

    drive(folders[0].parent, script, size=size)


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
def test_it_looks_as_it_did(folders, monkeypatch, size):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.delenv("NO_COLOR", raising=False)

    async def script(pilot):
        pilot.app.push_screen(CompareScreen(folders))
        looks.check("compare-{}x{}".format(*size), await at_rest(pilot, "100.0 (+0.0)", "esc Back"))

    drive(folders[0].parent, script, size=size)


def test_a_run_that_cannot_be_read_is_left_out_by_name(folders):
    (folders[1] / "events.jsonl").write_text("nonsense\n")

    async def script(pilot):
        pilot.app.push_screen(CompareScreen(folders[:3]))
        await until(pilot, shows(pilot, "left out", "damaged"))
        await until(pilot, lambda: len(pilot.app.screen.reports) == 2)

    drive(folders[0].parent, script)


def test_the_comparison_is_exported_as_one_table(folders, tmp_path):
    target = tmp_path / "table.md"

    async def script(pilot):
        pilot.app.push_screen(CompareScreen(folders[:3]))
        await until(pilot, lambda: len(pilot.app.screen.reports) == 3)
        await pilot.press("e", "1")
        await until(pilot, shows(pilot, "Write to"))
        pilot.app.screen.query_one("Input").value = str(target)
        await pilot.press("enter")
        await until(pilot, target.exists)

    drive(folders[0].parent, script)
    assert "| nad | ASR |" in target.read_text()
