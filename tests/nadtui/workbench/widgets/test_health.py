"""Attention health: a dead tap is marked, figures stay apart, names of any length fit."""

from __future__ import annotations

import pytest
from rich.style import Style

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
