"""The legend above a chart."""

import math

import pytest

from engine.record.view import fold
from nadtui.draw import run_charts
from nadtui.draw.chart import Chart, Series
from nadtui.workbench.widgets import curves
from tests import many_taps


def test_a_narrow_legend_is_short_and_not_cut():
    chart = Chart(
        (Series("cross-entropy", "#ffffff", (0, 1), (1.0, 0.012345)), Series("group2", "#ffffff", (0,), (7,)))
    )
    assert list(curves.legend(chart, math.inf)) == [("cross-entropy", "0.0123"), ("group2", "7")]
    assert list(curves.legend(chart, 0.0, short=True, digits=2)) == [("CE", "1"), ("g2", "7")]


@pytest.mark.parametrize("count", [1, 2, 4, 6])
@pytest.mark.parametrize("width", [58, 78, 120])
def test_the_legend_of_any_number_of_taps_is_not_cut(count, width):
    widget = curves.Curves()
    widget.chart = run_charts.loss_chart(fold(many_taps.record(count)), "epoch")
    parts, gap = widget._parts(math.inf, width, curves._NARROW)
    assert len(parts) == 2 + count
    assert sum(len(f"━ {name}{curves._behind(value, gap)}") for name, value in parts) <= width


def test_every_curve_of_six_taps_has_a_color_of_its_own():
    chart = run_charts.loss_chart(fold(many_taps.record(6)), "epoch")
    assert len({each.color for each in chart.series}) == len(chart.series) == 8
