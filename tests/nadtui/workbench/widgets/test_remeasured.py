"""A widget's box follows what it holds, also where a layout comes between two changes of one turn."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.containers import VerticalScroll

from nadtui.workbench.settings import Settings
from nadtui.workbench.widgets.remeasured import Paragraph
from nadtui.workbench.widgets.tiles import Tile, Tiles
from tests import looks
from tests.pilot import until

PICTURE = Tile("clean", 8, 8, bytes(192))


class Page(App[None]):
    """Pictures and a text below each other."""

    settings = Settings()

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Tiles()
            yield Paragraph()


@looks.piloted
async def test_a_layout_between_two_changes_keeps_no_stale_height():
    async with Page().run_test(size=(80, 60)) as pilot:
        pictures, text = pilot.app.query_one(Tiles), pilot.app.query_one(Paragraph)
        pictures.show([[PICTURE]])
        text.update("one line")
        pilot.app.screen._refresh_layout()  # as a resize does, or the screen's own beat
        pictures.show([[PICTURE], [PICTURE], [PICTURE]])
        text.update("one line\nand another")
        await until(pilot, lambda: text.size.height == 2)
        assert pictures.size.height == len(pictures._draw(pictures.size.width)) > 30
