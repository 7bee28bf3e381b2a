"""The list of runs where it comes to be longer than its pane."""

from __future__ import annotations

from pathlib import Path

from textual.app import App, ComposeResult

from nadtui.runs.catalog import RunRow
from nadtui.workbench.widgets.run_table import RunTable
from tests import looks

ROWS = [RunRow(f"20260101-1200{number}-sig-signs-s0", Path("x"), "finished", "sig") for number in range(10, 40)]


class Page(App[None]):
    """The list alone."""

    def compose(self) -> ComposeResult:
        yield RunTable()


@looks.piloted
async def test_a_scrollbar_takes_room_from_the_columns_and_stands_where_the_list_is():
    async with Page().run_test(size=(66, 10)) as pilot:
        table = pilot.app.query_one(RunTable)
        table.show(ROWS[-9:])
        table.action_end(1)
        await pilot.pause()
        assert not table.show_vertical_scrollbar
        table.show(ROWS)
        await pilot.pause()
        assert table.scroll_offset.y == table.vertical_scrollbar.position == 21
        taken = sum(column.width for column in table._columns) + len(table._columns) - 1
        assert taken == table.scrollable_content_region.width == 65
