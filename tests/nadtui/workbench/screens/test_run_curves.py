"""The run screen's curves: cursor, axes, smoothing, zoom."""

from __future__ import annotations

import pytest

from nadtui.workbench.widgets.curves import Curves
from tests import looks
from tests.run_screen import opened


@looks.piloted
async def test_the_cursor_reads_values_and_scrubs_the_maps(watching):
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press("comma")
        assert screen.cursor == pytest.approx(23)
        assert "at epoch 23 (nad)" in await looks.settle(pilot, "at epoch 23")
        await pilot.press("comma", "full_stop", "full_stop")
        assert screen.cursor == pytest.approx(24)
        await pilot.press("full_stop")
        assert screen.cursor is None
        await pilot.press("home")
        assert screen.cursor == pytest.approx(1)
        rows = screen.grid().rows
        assert [row.when for row in rows] == ["epoch 1", "not begun at the cursor", "not begun at the cursor"]
        await pilot.press("right", "shift+right", "left", "shift+left")
        assert screen.cursor == pytest.approx(1, abs=0.5)
        await pilot.press("end")
        assert screen.cursor is None


@looks.piloted
async def test_the_cursor_stays_at_its_moment_on_another_axis(watching):
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press("comma")
        await pilot.press("a")
        assert app.settings.axis == "seconds"
        assert [row.when for row in screen.grid().rows][2] == "epoch 9"
        await pilot.press("a")
        assert app.settings.axis == "step"
        assert screen.cursor == pytest.approx(320 + 48 + 72)


@looks.piloted
async def test_a_click_puts_the_cursor_there(watching):
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.click("#figures", offset=(50, 6))
        assert screen.cursor is not None
        assert "at epoch" in await looks.settle(pilot, "at epoch")
        await pilot.press("escape")
        assert screen.cursor is None


@looks.piloted
async def test_smoothing_log_and_zoom(watching):
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        before = screen.query_one("#loss", Curves).chart
        await pilot.press("s")
        assert app.settings.smoothing == 0.6
        assert screen.query_one("#loss", Curves).chart != before
        await pilot.press("s", "s", "s")
        assert app.settings.smoothing == 0.0
        await pilot.press("l")
        assert screen.query_one("#loss", Curves).chart.log_y
        for zoom in ("attack", "teacher", "nad", None):
            await pilot.press("z")
            assert screen.curves.zoom == zoom
        assert screen.query_one("#figures", Curves).chart.x_range == (0, 24)


@looks.piloted
async def test_a_cursor_outside_of_the_stage_that_is_zoomed_to_is_put_off(watching):
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press("comma", "z")  # epoch 23 is nad's, the zoom the attack's
        assert (screen.curves.zoom, screen.cursor) == ("attack", None)
        assert "ASR 99.6" in looks.text_of(app)
        await pilot.press("z", "z", "comma")
        assert (screen.curves.zoom, screen.cursor) == ("nad", pytest.approx(23))
        await pilot.press("z")
        assert (screen.curves.zoom, screen.cursor) == (None, pytest.approx(23))


@looks.piloted
async def test_what_is_said_in_passing_leaves_the_axis_free(watching):
    app = watching()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await opened(pilot)
        axis = looks.text_of(app).splitlines()[-3:]
        assert "┴" in axis[0] and "20" in axis[1]
        app.notify("said in passing", title="with a title", timeout=60)
        shown = await looks.settle(pilot, "said in passing")
        assert shown.splitlines()[-3:] == axis
