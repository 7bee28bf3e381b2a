"""Attention health: a dead tap is marked, figures stay apart, names of any length fit."""

from __future__ import annotations

import pytest
from rich.style import Style
from textual.app import App, ComposeResult

from engine.events import AttentionHealth
from engine.figures import TapHealth
from engine.record.view import fold
from nadtui.workbench.widgets import health
from tests import looks, many_taps
from tests.looks import text_of
from tests.pilot import shows, until


@pytest.mark.parametrize("count", [1, 2, 4, 6])
@pytest.mark.parametrize("width", [48, 78])
def test_any_number_of_taps_stands_in_aligned_columns(count, width):
    measured = health.all_measured(fold(many_taps.record(count)))
    lines = [
        "".join(segment.text for segment in line)
        for line in health.compose(measured[:1], width, dark=True, base=Style())
    ]
    assert len(lines) == 2 + count
    (column,) = {line.index("32×32") for line in lines[2:]}
    assert [line[:column].strip() for line in lines[2:]] == list(many_taps.NAMES[:count])


def test_the_figures_of_a_taps_health_stay_apart():
    small = TapHealth(tap="group1", height=32, width=32, beta=12500, loss=1.2345e-05, share=0.5, gradient=2.3456e-05)
    lines = health.compose([AttentionHealth(stage="nad", epoch=0, taps=(small,))], 60, dark=True, base=Style())
    said = "".join(segment.text for segment in lines[2])
    assert said.split()[:5] == ["group1", "32×32", "1.25e+04", "1.23e-05", "2.35e-05"]


def test_a_small_share_is_no_empty_bar():
    small = TapHealth(tap="group1", height=32, width=32, beta=500, loss=0.1, share=0.01, gradient=0.1)
    (*_, line) = health.compose([AttentionHealth(stage="nad", epoch=0, taps=(small,))], 60, dark=True, base=Style())
    assert "█" in line[1].text


@looks.piloted
async def test_what_is_longer_than_the_pane_can_be_scrolled_to(tmp_path):
    view = fold(many_taps.record(6))

    class Small(App[None]):
        def compose(self) -> ComposeResult:
            yield health.Health()

        def on_mount(self) -> None:
            self.query_one(health.Health).show(view)

    async with Small().run_test(size=(60, 5)) as pilot:
        pane = pilot.app.query_one(health.Health)
        await until(pilot, lambda: pane.max_scroll_y > 0)
        assert many_taps.NAMES[5] not in text_of(pilot.app)
        pane.scroll_to(y=pane.max_scroll_y, animate=False)
        await until(pilot, shows(pilot, many_taps.NAMES[5]))
