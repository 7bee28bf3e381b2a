"""Pictures in rows."""

from __future__ import annotations

from nadtui.workbench.widgets.tiles import Tile, lay_out


def test_pictures_grow_with_the_room_and_keep_their_pixels():
    tile = Tile("clean", 8, 8, bytes(192))
    assert len(lay_out([[tile, tile, tile]], 60, 9)) == 9  # a caption and 8 lines: 16 pixels, twice the 8 there are
    small = lay_out([[tile, tile, tile]], 20, 9)
    assert max(strip.cell_length for strip in small) <= 20
    assert lay_out([], 60, 9) == []
