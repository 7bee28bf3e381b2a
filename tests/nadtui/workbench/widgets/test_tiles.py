"""Pictures in rows."""

from __future__ import annotations

from engine.attacks.preview import TriggerPreview
from nadtui.workbench.widgets.preview import trigger_tiles
from nadtui.workbench.widgets.tiles import Tile, lay_out


def test_pictures_grow_with_the_room_and_keep_their_pixels():
    tile = Tile("clean", 8, 8, bytes(192))
    assert len(lay_out([[tile, tile, tile]], 60, 9)) == 9  # a caption and 8 lines: 16 pixels, twice the 8 there are
    small = lay_out([[tile, tile, tile]], 20, 9)
    assert max(strip.cell_length for strip in small) <= 20
    assert lay_out([], 60, 9) == []


def test_captions_are_whole_where_there_is_room_beside_the_pictures_else_short():
    rows = [
        [
            Tile("triggered", 8, 8, bytes(192), short="trigger"),
            Tile("fine-tuning g1", 8, 8, bytes(64), 255.0, "fin. g1"),
        ]
    ] * 2
    roomy = lay_out(rows, 60, 10)
    assert roomy[0].text.split("  ")[0] == "triggered" and "fine-tuning g1" in roomy[0].text
    assert max(strip.cell_length for strip in roomy) <= 60
    tight = lay_out(rows, 17, 10)
    assert tight[0].text.split() == ["trigger", "fin.", "g1"]
    assert lay_out([[Tile("a long name g3", 8, 8, bytes(192))] * 2] * 2, 17, 10)[0].text.startswith("…name g3")


def test_letters_show_where_a_trigger_is_and_not_mid_gray_all_over():
    before, after = bytes(192), bytes(189) + b"\xff\xff\xff"
    drawn = trigger_tiles(TriggerPreview(8, 8, "stop", before, after))
    *_, last = lay_out([[drawn[2]]], 8, 5, blocks=False)
    first = lay_out([[drawn[2]]], 8, 5, blocks=False)[1]
    assert first.text.strip() == "" and last.text.strip() != ""
