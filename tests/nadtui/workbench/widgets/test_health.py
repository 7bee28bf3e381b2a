"""Attention health: a dead tap is marked, figures stay apart, names of any length fit."""

from __future__ import annotations

import pytest
from rich.style import Style

from engine.events import AttentionHealth
from engine.figures import TapHealth
from engine.record.view import fold
from nadtui.workbench.widgets import health
from tests import many_taps


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
    from nadtui.workbench.widgets import health

    small = TapHealth(tap="group1", height=32, width=32, beta=12500, loss=1.2345e-05, share=0.5, gradient=2.3456e-05)
    lines = health.compose([AttentionHealth(stage="nad", epoch=0, taps=(small,))], 60, dark=True, base=_style())
    said = "".join(segment.text for segment in lines[2])
    assert said.split()[:5] == ["group1", "32×32", "1.25e+04", "1.23e-05", "2.35e-05"]


def _style():
    from rich.style import Style

    return Style()
