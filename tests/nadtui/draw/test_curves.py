"""Curves as pure functions: smoothing, thinning, gaps, axes, and what ends up in which cell."""

import dataclasses
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.record.view import fold
from nadtui.draw import run_charts, terminal_plot
from nadtui.draw.terminal_plot import Chart, Series, draw
from nadtui.workbench.widgets import curves
from tests import scripted_run, showcase


def series(*points: tuple[float, float], name: str = "s", color: str = "#ffffff") -> Series:
    return Series(name, color, [x for x, _ in points], [y for _, y in points])


def canvas(drawing: terminal_plot.Drawing) -> list[str]:
    """The letters of the plot itself."""
    rows = drawing.rows[drawing.top : drawing.top + drawing.lines]
    return ["".join(letter for letter, _ in row[drawing.left :]) for row in rows]


def test_smoothing_is_the_weighted_mean_of_all_values_so_far():
    values, weight = [3.0, 1.0, 4.0, 1.0, 5.0], 0.7
    for end in range(1, len(values) + 1):
        weights = [weight ** (end - 1 - place) for place in range(end)]
        wanted = sum(w * v for w, v in zip(weights, values, strict=False)) / sum(weights)
        assert terminal_plot.smooth(values, weight)[end - 1] == pytest.approx(wanted)


def test_smoothing_leaves_gaps_and_carries_over_them():
    smoothed = terminal_plot.smooth([2.0, math.nan, 2.0, math.inf], 0.9)
    assert smoothed[0] == pytest.approx(2.0)
    assert math.isnan(smoothed[1])
    assert smoothed[2] == pytest.approx(2.0)
    assert math.isnan(smoothed[3])


def test_no_smoothing_gives_the_values():
    assert terminal_plot.smooth([1.0, 5.0], 0.0) == [1.0, 5.0]


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


@given(st.floats(-1e3, 1e3), st.floats(0.1, 1e6), st.integers(2, 12))
def test_ticks_are_round_inside_and_not_too_many(low, span, most):
    marks = terminal_plot.ticks(low, low + span, most)
    assert 1 <= len(marks) <= most
    steps = [b - a for a, b in itertools.pairwise(marks)]
    if len(steps) > 1:
        assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-6)
        assert all(low - 1e-6 * span <= mark <= low + span * 1.000001 for mark in marks)
    if steps:
        mantissa = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-6)
        assert min(abs(mantissa - round_one) for round_one in (1, 2, 5)) < 1e-6


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


def test_two_series_keep_their_colors_and_the_first_is_on_top():
    above, below = series((0, 1), (1, 1), color="#00ff00"), series((0, 0), (1, 0), color="#ff0000")
    drawing = draw(Chart((above, below), y_range=(0, 1)), 40, 9)
    assert {color for _, color in drawing.rows[drawing.top]} >= {"#00ff00"}
    assert {color for _, color in drawing.rows[drawing.top + drawing.lines - 1]} >= {"#ff0000"}
    same = draw(Chart((above, series((0, 1), (1, 1), color="#ff0000")), y_range=(0, 1)), 40, 9)
    assert "#ff0000" not in {color for row in same.rows for _, color in row}


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
    return all(math.isfinite(value) for value in terminal_plot.limits(chart))


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


def test_the_nearest_point_of_two_at_one_x_is_that_of_the_new_stage():
    each = series((0, 1), (1, 2), (1, math.nan), (1, 9), (2, 3))
    assert each.y[terminal_plot.nearest(each, 1.0)] == 9
    assert each.y[terminal_plot.nearest(each, math.inf)] == 3
    assert each.y[terminal_plot.nearest(each, -5)] == 1
    assert terminal_plot.nearest(series((0, math.nan)), 0) is None


# --- from a run ---


def test_stages_follow_each_other_on_each_axis():
    view = fold(scripted_run.whole_run())
    assert [(s.stage.name, s.begin, s.end) for s in run_charts.spans(view, "step")] == [
        ("attack", 0, 30),
        ("teacher", 30, 50),
        ("nad", 50, 70),
    ]
    assert [(s.begin, s.end) for s in run_charts.spans(view, "epoch")] == [(0, 3), (3, 5), (5, 7)]
    seconds = run_charts.spans(view, "seconds")
    assert [s.begin for s in seconds] == sorted(s.begin for s in seconds)
    assert seconds[0].end <= seconds[1].begin


def test_a_running_stage_reaches_to_its_planned_end():
    started = [event for event in scripted_run.whole_run() if event.seq <= 6]
    (span,) = run_charts.spans(fold(started), "step")
    assert (span.stage.step, span.end) == (10, 30)


def test_asr_falls_from_the_backdoored_models_in_each_stage_after_it():
    view = fold(scripted_run.whole_run())
    xs, ys = run_charts.figure_points(view, "asr", "step")
    known = list(zip(xs, [None if math.isnan(y) else y for y in ys], strict=True))
    assert known == [
        (10, 90.0),
        (20, 99.0),
        (30, 100.0),
        (30, None),
        (30, 100.0),
        (40, 40.0),
        (50, 10.0),
        (50, None),
        (50, 100.0),
        (60, 5.0),
        (70, 1.0),
    ]


def test_a_stage_that_was_taken_over_is_a_point():
    script = scripted_run.timed(
        [
            scripted_run.run_started(),
            *scripted_run.stage("attack", [(97.0, 100.0)], cached=True),
            *scripted_run.stage("teacher", [(95.0, 40.0)]),
        ]
    )
    xs, ys = run_charts.figure_points(fold(script), "acc", "epoch")
    assert (xs[0], ys[0]) == (0, 97.0)
    assert (xs[-1], ys[-1]) == (1, 95.0)


def test_the_loss_comes_with_its_parts_and_gaps_between_stages():
    chart = run_charts.loss_chart(fold(scripted_run.whole_run()), "step")
    assert [each.name for each in chart.series] == ["loss", "cross-entropy", "attention"]
    loss, entropy, attention = chart.series
    assert sum(math.isnan(value) for value in loss.y) == 2
    finite = [value for value in zip(loss.y, entropy.y, attention.y, strict=True) if not math.isnan(value[0])]
    assert all(total == pytest.approx(a + b) for total, a, b in finite)


def test_zoom_shows_one_stage():
    chart = run_charts.figures_chart(fold(scripted_run.whole_run()), "step", zoom="teacher")
    assert chart.x_range == (30, 50)
    assert chart.y_range == (0.0, 100.0)


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


def test_a_narrow_legend_is_short_and_not_cut():
    chart = Chart(
        (Series("cross-entropy", "#ffffff", (0, 1), (1.0, 0.012345)), Series("group2", "#ffffff", (0,), (7,)))
    )
    assert list(curves.legend(chart, math.inf)) == [("cross-entropy", "0.0123"), ("group2", "7")]
    assert list(curves.legend(chart, 0.0, short=True, digits=2)) == [("CE", "1"), ("g2", "7")]


def test_the_picture_of_the_whole_run():
    view = fold(showcase.record())
    drawing = draw(run_charts.figures_chart(view, "epoch"), 100, 24)
    asr = run_charts.figures_chart(view, "epoch").series[1]
    rows = drawing.rows[drawing.top : drawing.top + drawing.lines]

    def line_of(color: str, column: int) -> float:
        places = [n for n, row in enumerate(rows) if row[column][1] == color]
        return sum(places) / len(places)

    begin, end = drawing.column(14.0 + 1), drawing.column(23.5)
    assert line_of(asr.color, end) > line_of(asr.color, begin) + drawing.lines / 4
    assert line_of(asr.color, end) >= drawing.lines - 2
