"""The log pane follows to its end, whichever comes first: its lines, its place on the screen, its scrollbar."""

from __future__ import annotations

from collections import deque

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


@looks.piloted
async def test_a_long_line_is_broken_and_not_cut_at_any_width():
    said = "nad: epoch 3/10  ACC 95.4  ASR 23.2  loss 0.6754  1,650 images/s"
    async with Page().run_test(size=(60, 10)) as pilot:
        log = pilot.app.query_one(LogPane)
        log.add([LogLine(5.0, "info", f"{said}  ETA 0:40")] * 3)
        for width, rows in ((60, 2), (78, 1), (40, 3)):  # how long it would have taken then is what can go
            await pilot.resize_terminal(width, 10)
            await until(pilot, lambda rows=rows: log.virtual_size.height == 3 * rows)
            shown = [line.split(" ", 1) for line in looks.text_of(pilot.app).splitlines()[:rows]]
            assert " ".join(text.strip() for _, text in shown).split() == said.split()


@looks.piloted
async def test_what_is_read_stays_where_it_is_while_lines_are_dropped(monkeypatch):
    monkeypatch.setattr("nadtui.workbench.widgets.log.MOST", 40)
    async with Page().run_test(size=(40, 10)) as pilot:
        log = pilot.app.query_one(LogPane)
        log.lines = deque(maxlen=40)
        log.add([*LINES[:30], *(LogLine(30.0 + number, "info", "word " * 12) for number in range(10))])
        await pilot.pause()
        log.follow(False)
        log.scroll_to(y=20, animate=False)
        await pilot.pause()
        assert looks.text_of(pilot.app).splitlines()[0].endswith("line 20")
        log.add(LogLine(50.0, "info", f"new {number}") for number in range(5))
        await pilot.pause()
        assert looks.text_of(pilot.app).splitlines()[0].endswith("line 20")
