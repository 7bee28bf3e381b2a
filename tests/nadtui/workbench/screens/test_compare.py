"""Runs side by side on a screen."""

from __future__ import annotations

import pytest

from nadtui.workbench.screens.compare import CompareScreen
from nadtui.workbench.widgets.curves import Curves
from tests import looks
from tests.pilot import at_rest, drive, screen_text, shows, until


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_the_screen_shows_curves_figures_and_fields(folders, size):
    async def script(pilot):
        pilot.app.push_screen(CompareScreen(folders[:3]))
        await until(pilot, shows(pilot, "A 20260101-120000", "━ A 2.0 %", "attack", "100.0 (+0.0)"))
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
        await until(pilot, shows(pilot, "attack.margin"))
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


def test_the_maps_of_two_runs_stand_side_by_side(folders):
    async def script(pilot):
        pilot.app.push_screen(CompareScreen(folders[:3]))
        await until(pilot, shows(pilot, "100.0 (+0.0)"))
        await pilot.press("m")
        shown = await at_rest(pilot, "A · sample 1: class 1", "B · sample 1: class 1")
        assert shown.count("suspect  epoch 3") == 2 and "100.0 (+0.0)" not in shown
        await pilot.press("o", "n")
        await at_rest(pilot, "A · sample 1: class 1", "C · sample 1: class 1", "group1")
        await pilot.press("right", "right", "right")  # to the last: every tap comes into sight
        assert screen_text(pilot.app).count("group3 8×8") == 2
        await pilot.press("escape")
        await until(pilot, shows(pilot, "100.0 (+0.0)"))
        await pilot.press("escape")
        assert not isinstance(pilot.app.screen, CompareScreen)

    drive(folders[0].parent, script, size=(120, 36))


def footer(pilot) -> str:
    return screen_text(pilot.app).rstrip().splitlines()[-1]


def test_the_footer_shows_the_keys_of_what_is_in_sight(folders):
    async def script(pilot):
        pilot.app.push_screen(CompareScreen(folders[:3]))
        await until(pilot, shows(pilot, "100.0 (+0.0)"))
        assert "z Zoom" in footer(pilot) and "Sample" not in footer(pilot) and "Other run" not in footer(pilot)
        await pilot.press("m")
        await until(pilot, lambda: "n Sample" in footer(pilot))
        assert "o Other run" in footer(pilot) and "← → Tap m Curves" in footer(pilot)
        assert "Zoom" not in footer(pilot) and "Mean" not in footer(pilot) and "x axis" not in footer(pilot)
        await pilot.press("a", "z", "b")
        screen = pilot.app.screen
        assert (screen.axis, screen.zoom, screen.means) == ("epoch", None, False), "what is hidden stays as it is"

    drive(folders[0].parent, script, size=(80, 24))


def test_the_heading_has_the_keys_of_the_curves_without_color(folders, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")

    async def script(pilot):
        pilot.app.push_screen(CompareScreen(folders[:3]))
        shown = await at_rest(pilot, "100.0 (+0.0)")
        assert [line.split()[:2] for line in shown.splitlines()[:3]] == [["━", "A"], ["o", "B"], ["x", "C"]]
        assert all(key in shown.splitlines()[4] for key in ("━ A ", "o B ", "x C "))

    drive(folders[0].parent, script, size=(120, 36))


@pytest.mark.parametrize(("width", "beside"), [(200, True), (80, False)])
def test_both_tables_stand_beside_each_other_where_there_is_room(folders, width, beside):
    async def script(pilot):
        pilot.app.push_screen(CompareScreen(folders[:3]))
        await until(pilot, shows(pilot, "100.0 (+0.0)"))
        screen = pilot.app.screen
        tops = [screen.query_one(name).region.y for name in ("#figures", "#differences")]
        assert (tops[0] == tops[1]) == beside

    drive(folders[0].parent, script, size=(width, 60))
