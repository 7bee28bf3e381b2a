"""Charts in the terminal: thinning, gaps, axes, and what ends up in which cell."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadtui.draw import terminal_plot
from nadtui.draw.chart import Chart, Series, limits
from nadtui.draw.terminal_plot import draw
from tests.nadtui.draw.test_chart import series


def canvas(drawing: terminal_plot.Drawing) -> list[str]:
    """The letters of the plot itself."""
    rows = drawing.rows[drawing.top : drawing.top + drawing.lines]
    return ["".join(letter for letter, _ in row[drawing.left :]) for row in rows]


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400),
    st.integers(1, 40),
)
def test_thinning_keeps_ends_order_and_extremes(values, columns):
    points = [(float(place), value) for place, value in enumerate(values)]
    thinned = terminal_plot.thin(points, 0.0, float(len(points)), columns)
    assert thinned[0] == points[0]
    assert thinned[-1] == points[-1]
    assert thinned == sorted(thinned)
    assert {min(values), max(values)} <= {value for _, value in thinned}
    assert len(thinned) <= 4 * (columns + 1)


def test_thinning_leaves_out_what_is_outside_save_the_neighbors():
    points = [(float(x), 0.0) for x in range(10)]
    assert terminal_plot.thin(points, 3.5, 5.5, 100) == [(3.0, 0.0), (4.0, 0.0), (5.0, 0.0), (6.0, 0.0)]


def test_a_rising_line_goes_from_the_lower_left_to_the_upper_right():
    drawing = draw(Chart((series((0, 0), (1, 1)),), y_range=(0, 1)), 40, 12)
    rows = canvas(drawing)
    assert rows[-1][0] != " "
    assert rows[0].rstrip() != ""
    assert rows[0][-1] != " "
    assert rows[0][0] == rows[-1][-1] == " "
    assert all(row.strip() for row in rows)


def test_nan_is_a_gap():
    whole = draw(Chart((series((0, 0), (1, 0), (3, 0), (4, 0)),), y_range=(-1, 1)), 60, 9)
    gap = draw(Chart((series((0, 0), (1, 0), (2, math.nan), (3, 0), (4, 0)),), y_range=(-1, 1)), 60, 9)
    middle = slice(20, 30)
    assert any(row[middle].strip() for row in canvas(whole))
    assert not any(row[middle].strip() for row in canvas(gap))
    assert any(row[:10].strip() for row in canvas(gap))
    assert any(row[-10:].strip() for row in canvas(gap))


def test_a_point_that_stands_alone_is_seen():
    drawing = draw(Chart((series((0, 5), (1, math.nan)),), x_range=(0, 1)), 40, 9)
    assert sum(row.count("•") for row in canvas(drawing)) == 1


def test_two_series_keep_their_colors():
    above, below = series((0, 1), (1, 1), color="#00ff00"), series((0, 0), (1, 0), color="#ff0000")
    drawing = draw(Chart((above, below), y_range=(0, 1)), 40, 9)
    assert {color for _, color in drawing.rows[drawing.top]} >= {"#00ff00"}
    assert {color for _, color in drawing.rows[drawing.top + drawing.lines - 1]} >= {"#ff0000"}


@pytest.mark.parametrize("columns", [12, 24, 33, 48])
def test_the_x_axis_has_more_than_one_label(columns):
    low, high = -0.2, 4.4
    labels = "".join(letter for letter, _ in terminal_plot.x_axis(low, high, 6, columns)[1])
    assert labels.split() in (["0", "2", "4"], ["0", "1", "2", "3", "4"])


STEEP = ((0, 1), (0.5, 1), (0.51, 0), (1, 0))


@pytest.mark.parametrize("points", [((0, 1), (1, 1)), ((0, 0), (1, 1)), ((0, 1), (1, 0)), STEEP])
@pytest.mark.parametrize("count", [2, 3, 6])
def test_series_that_cover_each_other_are_all_seen(points, count):
    hues = [f"#0000f{place}" for place in range(count)]
    same = Chart(tuple(Series(hue, hue, *zip(*points, strict=True), hue[-1]) for hue in hues), y_range=(0, 1))
    for color in (True, False):
        drawing = draw(same, 46, 14, color=color)
        seen = [hue for row in drawing.rows for letter, hue in row if letter != "•"]
        assert {hue for hue in seen if hue in hues} == set(hues)
        shares = [seen.count(hue) for hue in hues]
        assert max(shares) <= 2 * min(shares), "like dashes of one line"
    assert canvas(draw(same, 46, 14)) == canvas(draw(Chart(same.series[:1], y_range=(0, 1)), 46, 14))


def test_a_series_that_has_no_cell_for_itself_comes_first():
    long = Series("a", "#ff0000", [0, 1], [1, 1], "x")
    point = Series("b", "#00ff00", [0.5], [1], "o")
    for chart in (Chart((long, point), y_range=(0, 1)), Chart((point, long), y_range=(0, 1))):
        assert canvas(draw(chart, 40, 9, color=False))[0].count("o") == 1


def test_without_color_each_series_has_a_letter_of_its_own():
    charts = (series((0, 1), (1, 1)), Series("b", "#ff0000", [0, 1], [0, 0], "o"))
    drawing = draw(Chart(charts, y_range=(0, 1)), 40, 9, color=False)
    assert "o" in canvas(drawing)[-1]
    assert "o" not in canvas(drawing)[0]


def test_log_axis_spaces_decades_evenly_and_drops_what_has_no_logarithm():
    points = series((0, 1), (1, 10), (2, 100), (3, 0), (4, -5))
    drawing = draw(Chart((points,), log_y=True), 50, 15)
    labels = ["".join(letter for letter, _ in row[: drawing.left]) for row in drawing.rows]
    lines = {label.strip(" ┤"): line for line, label in enumerate(labels) if "┤" in label}
    assert {"1", "10", "100"} <= set(lines)
    assert lines["1"] - lines["10"] == pytest.approx(lines["10"] - lines["100"], abs=1)
    assert limits_are_finite(Chart((points,), log_y=True))


def limits_are_finite(chart: Chart) -> bool:
    return all(math.isfinite(value) for value in limits(chart))


@pytest.mark.parametrize(
    "points",
    [(), ((0, math.nan),), ((3, 7),), ((0, 1e300), (1, -1e300)), ((0, 0), (0, 1)), ((0, 1), (1, math.inf))],
)
@pytest.mark.parametrize("log_y", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (30, 8), (200, 60)])
def test_anything_can_be_drawn_at_any_size(points, log_y, size):
    width, height = size
    drawing = draw(Chart((series(*points),), ((0.0, "attack"),), log_y=log_y), width, height)
    assert len(drawing.rows) <= max(height, 1)
    assert all(len(row) <= width for row in drawing.rows)


@given(st.floats(0, 1))
def test_a_column_leads_back_to_its_x(share):
    drawing = draw(Chart((series((10, 0), (20, 1)),)), 60, 8)
    x = 10 + 10 * share
    column = drawing.column(x)
    assert column is not None
    assert drawing.x(column) == pytest.approx(x, abs=10 / (drawing.columns - 1))


def test_a_band_fills_what_is_between_its_edges_and_leaves_gaps():
    x = [0.0, 1.0, 2.0, 3.0, 4.0]
    line = Series("s", "#ffffff", x, [50.0, 50.0, math.nan, 50.0, 50.0])
    edges = [20.0, 20.0, math.nan, 40.0, 40.0], [80.0, 80.0, math.nan, 60.0, 60.0]
    chart = Chart((dataclasses.replace(line, band=edges),), y_range=(0.0, 100.0), labeled=False)
    letters = canvas(draw(chart, 46, 11))
    shaded = [sum(row[column] == "░" for row in letters) for column in range(len(letters[0]))]
    first, last = shaded[2], shaded[-2]
    assert (first, last) == (6, 2)  # of 7 and 3 lines one is the curve's own
    assert shaded[len(shaded) // 2] == 0
