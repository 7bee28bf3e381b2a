"""One cell alone, with the shares of all models and taps."""

import pytest

from nadtui.draw.footprint import share_inside
from nadtui.draw.map_grid import compose
from tests import many_taps, showcase
from tests.nadtui.draw.test_map_grid import grid, of_taps
from tests.nadtui.draw.test_map_lines import PLAIN, said


def test_a_maximized_cell_shows_the_shares_of_all_models():
    lines = said(compose(grid(selected=(0, 0), maximized=True), 100, 30, PLAIN))
    joined = "\n".join(lines)
    assert "backdoored · group1" in lines[0]
    assert "footprint covers 2 %" in joined
    wanted = share_inside(*_cells("triggered"), showcase.sample(0))
    assert f"{100 * wanted:.1f}" in joined
    assert sum("→" in line for line in lines) == 4


def _cells(which: str) -> tuple[bytes, int, int]:
    first = next(iter(showcase._maps("attack", 1, 0, 0.0)))
    return getattr(first, which), first.width, first.height


@pytest.mark.parametrize("count", [1, 2, 4, 6])
def test_the_shares_of_the_chosen_tap_are_in_sight(count):
    for chosen in range(count):
        lines = said(compose(of_taps(count, (2, chosen), maximized=True), 78, 18, PLAIN))
        assert max(map(len, lines)) <= 78
        head = next(line for line in lines if line.startswith(" ") and line.strip()).split()
        assert many_taps.NAMES[chosen] in " ".join(head) or head[-1].startswith("…")
        assert many_taps.NAMES[chosen] in lines[0]
