"""A table whose columns are whole or not there."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text
from textual.app import App, ComposeResult
from textual.widgets import DataTable

from nadtui.workbench.widgets.whole_columns import WholeColumns, shown
from tests.pilot import screen_text, shows, until


@given(st.lists(st.integers(3, 20), min_size=3, max_size=9), st.sets(st.integers(1, 8)), st.integers(0, 9), st.data())
def test_columns_are_whole_and_every_one_is_turned_to(widths, empty, first, data):
    empty = sorted(place for place in empty if place < len(widths))
    room = data.draw(st.integers(widths[0] + max(widths), 2 * sum(widths)))
    found = shown(widths, empty, 1, first, room)
    assert sum(widths[place] for place in found.columns) <= room
    assert found.columns[0] == 0 and list(found.columns) == sorted(found.columns)
    assert len(found.columns) + found.before + found.after + len(found.empty) == len(widths)
    seen = {place for start in range(len(widths)) for place in shown(widths, empty, 1, start, room).columns}
    assert seen | set(found.empty) == set(range(len(widths)))


class Alone(App[None]):
    def compose(self) -> ComposeResult:
        yield WholeColumns(kept=1)


def test_a_column_that_is_wider_than_all_the_room_is_cut_visibly():
    async def script() -> None:
        app = Alone()
        async with app.run_test(size=(30, 8)) as pilot:
            rows = [["name", "figure", "why"], ["first", "1.0", "n/a: it has a reason that is far too long for this"]]
            app.query_one(WholeColumns).show([[Text(cell) for cell in row] for row in rows], 0)
            await pilot.pause()
            assert "figure" in screen_text(app) and "why" not in screen_text(app)
            await pilot.press("right")
            await pilot.pause()
            assert "n/a: it has a reason…" in screen_text(app) and "figure" not in screen_text(app)
            await pilot.resize_terminal(26, 8)
            await until(pilot, shows(pilot, "n/a: it has a re…"))
            table = app.query_one(DataTable)
            assert table.virtual_size.width <= table.size.width

    asyncio.run(script())
