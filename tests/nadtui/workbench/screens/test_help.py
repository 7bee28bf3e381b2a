"""Help and palette: what the keys of a screen do."""

from __future__ import annotations

import pytest

from nadtui.workbench.screens.help import HelpScreen
from tests import looks
from tests.pilot import at_rest
from tests.run_screen import SIZES, opened, started


@looks.piloted
async def test_help_lists_every_key_of_the_screen(watching):
    app = watching()
    async with app.run_test(size=(100, 60)) as pilot:
        screen = await opened(pilot)
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        shown = "\n".join(said for _, rows in app.screen._groups for _, said in rows)
        for binding in screen.BINDINGS:
            assert binding.tooltip in shown
        assert [group for group, _ in app.screen._groups][:4] == [
            "Steer the run",
            "Panes",
            "Curves",
            "Attention maps",
        ]
        await pilot.press("escape")
        assert app.screen is screen


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@looks.piloted
async def test_the_help_looks_as_it_did(watching, size):
    app = watching()
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await pilot.press("question_mark")
        looks.check(f"help-{size[0]}x{size[1]}", await at_rest(pilot, "Steer the run", "Esc closes"))


@looks.piloted
async def test_the_palette_offers_what_the_keys_do(watching):
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot)
        offered = {command.title: command for command in app.get_system_commands(app.screen)}
        assert "Log y (l)" in offered
        await offered["Log y (l)"].callback()
        assert app.settings.log_y


@looks.piloted
async def test_the_help_is_read_with_the_keys_of_every_list(watching):
    app = watching()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("question_mark")
        box = app.screen.query_one("VerticalScroll")
        for down, up in (("G", "g"), ("end", "home"), ("j", "k")):
            await pilot.press(down)
            assert box.scroll_offset.y > 0, down
            await pilot.press(up)
            assert box.scroll_offset.y == 0, up


@looks.piloted
async def test_the_footer_lists_the_keys_of_the_pane_that_is_worked_in(watching):
    app = watching()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        for pane, keys in (
            ("1", ("s Smooth", "z Zoom")),
            ("2", ("n Sample", "v View", "⏎ Cell")),
            ("4", ("end Newest",)),
        ):
            await pilot.press(pane)
            footer = looks.text_of(app).splitlines()[-1]
            assert all(key in footer for key in (*keys, "? Help", "q Quit")), footer
            assert "Pause" not in footer  # the run is finished


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (116, 30)])
@looks.piloted
async def test_the_footer_of_a_run_under_way_has_room_for_all_that_it_shows(running, size):
    app, jobs = running()
    async with app.run_test(size=size) as pilot:
        await started(pilot, jobs)
        for pane in ("1", "2", "4"):
            await pilot.press(pane)
            footer = looks.text_of(app).splitlines()[-1]
            assert all(key in footer for key in ("p Pause", "x Stop", "esc Back", "? Help", "q Quit")), footer
