"""The log pane follows to its end, whichever comes first: its lines, its place on the screen, its scrollbar."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from engine.record.view import LogLine
from nadtui.workbench.widgets.log import LogPane
from tests import looks
from tests.pilot import until

LINES = [LogLine(float(number), "info", f"line {number}") for number in range(40)]


class Page(App[None]):
    """A log alone."""

    def compose(self) -> ComposeResult:
        yield LogPane()


@looks.piloted
async def test_a_log_that_comes_to_scroll_follows_to_its_end(monkeypatch):
    async with Page().run_test(size=(40, 10)) as pilot:
        log = pilot.app.query_one(LogPane)
        # What is to come after a painting may come before the layout that brings the scrollbar.
        monkeypatch.setattr(log, "call_after_refresh", log.call_next)
        log.add(LINES)
        await pilot.pause()
        assert log.show_vertical_scrollbar
        assert log.scroll_offset.y == log.max_scroll_y == log.vertical_scrollbar.position == 30


@pytest.mark.parametrize("height", [4, 20])
@looks.piloted
async def test_a_log_follows_in_another_size(height):
    async with Page().run_test(size=(40, 10)) as pilot:
        log = pilot.app.query_one(LogPane)
        log.add(LINES)
        await pilot.resize_terminal(40, height)
        # Its size, the scrolling and the scrollbar come one after the other.
        await until(
            pilot, lambda: log.scroll_offset.y == log.max_scroll_y == log.vertical_scrollbar.position == 40 - height
        )


@looks.piloted
async def test_a_log_that_begins_anew_follows():
    async with Page().run_test(size=(40, 10)) as pilot:
        log = pilot.app.query_one(LogPane)
        log.add(LINES)
        await pilot.pause()
        log.clear()
        await pilot.pause()
        assert not log.show_vertical_scrollbar
        log.add(LINES[:15])
        await pilot.pause()
        assert log.scroll_offset.y == log.max_scroll_y == log.vertical_scrollbar.position == 5
