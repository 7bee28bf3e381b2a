"""Maps of any number and size: those of transformers, of many resolutions, of images that are not square."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.events import AttentionCaptured
from nadtui.draw import map_grid, single_map
from nadtui.draw.attention_maps import Maps, ModelMaps
from nadtui.draw.map_lines import Look
from tests import showcase
from tests.nadtui.draw.test_map_lines import PLAIN, said

Sizes = tuple[tuple[int, int], ...]
SIZES: dict[str, Sizes] = {
    "two": ((16, 16), (2, 2)),
    "a transformer": ((8, 8), (8, 8), (8, 8)),
    "four": ((64, 64), (32, 32), (16, 16), (8, 8)),
    "five": ((32, 32), (16, 16), (8, 8), (4, 4), (2, 2)),
    "not square": ((24, 16), (12, 8), (6, 4), (3, 2)),
    "wide": ((8, 32), (4, 16), (2, 8), (1, 4), (1, 2)),
}
"""Height and width at each tap."""


def mapped(tap: str, size: tuple[int, int]) -> AttentionCaptured:
    height, width = size
    cells = bytes((7 * place) % 250 for place in range(height * width))
    whole = {"stage": "nad", "epoch": 1, "sample": 0, "tap": tap, "height": height, "width": width, "peak": 1.0}
    return AttentionCaptured(**whole, clean=cells, triggered=cells[::-1])


def maps(sizes: Sizes, **more) -> Maps:
    taps = tuple(f"features.denseblock{number}" for number in range(len(sizes)))
    cells = tuple(map(mapped, taps, sizes))
    rows = tuple(ModelMaps(title, "epoch 1", cells) for title in ("suspect", "teacher", "nad"))
    return Maps(taps, rows, showcase.sample(0), "yield", **more)


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize(("room", "blocks"), [((80, 24), True), ((118, 48), False)])
def test_they_fit_and_each_can_be_reached(sizes: Sizes, room: tuple[int, int], blocks: bool):
    width, height = room
    for view in ("both", "difference"):
        for chosen in range(len(sizes)):
            shown = maps(sizes, selected=(1, chosen), view=view)
            lines = said(map_grid.compose(shown, width, height, Look(blocks=blocks)))
            assert len(lines) <= height and max(map(len, lines)) <= width + map_grid.GAP
            assert chosen in map_grid.fitted(shown, width, height).taps
    parts = [tap for part in map_grid.in_parts(maps(sizes), width, height) for tap in part.taps]
    assert parts == list(maps(sizes).taps)


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_one_alone_tells_its_size_and_every_taps_share_in_the_footprint(sizes: Sizes):
    for chosen, (tall, wide) in enumerate(sizes):
        lines = said(single_map.compose(maps(sizes, selected=(2, chosen), maximized=True), 118, 48, PLAIN))
        assert any(f"{wide}×{tall} · peak 1" in line for line in lines)
        (row,) = [line for line in lines if line.startswith("nad ") and "→" in line]
        assert row.count("→") == len(sizes)


def test_a_teacher_with_taps_of_its_own_has_columns_of_its_own():
    taps = ("group1", "group2", "layer1")
    student = (mapped("group1", (32, 32)), mapped("group2", (16, 16)), None)
    teacher = (None, None, mapped("layer1", (8, 8)))
    rows = (ModelMaps("suspect", "epoch 1", student), ModelMaps("teacher", "epoch 1", teacher))
    shown = Maps(taps, rows, showcase.sample(0), "yield")
    lines = said(map_grid.compose(shown, 118, 40, PLAIN))
    assert "group1 32×32" in lines[0] and "group2 16×16" in lines[0] and "layer1 8×8" in lines[0]
    for place in ((0, 2), (1, 0), (1, 2)):
        alone = said(single_map.compose(replace(shown, selected=place, maximized=True), 118, 40, PLAIN))
        assert any("no map of this model yet" in line for line in alone) is (place != (1, 2))
