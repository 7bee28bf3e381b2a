"""Charts of a run: ACC, ASR and the losses, stage after stage."""

import math

import pytest

from engine.record.view import fold
from nadtui.draw import run_charts
from nadtui.draw.chart import nearest
from nadtui.draw.terminal_plot import draw
from tests import scripted_run, showcase


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


def test_a_zoomed_chart_holds_no_other_stages_values():
    """Its legend reads the nearest point: at a stage's end that is the next one's first."""
    view = fold(scripted_run.whole_run())
    figures = run_charts.figures_chart(view, "step", zoom="teacher")
    losses = run_charts.loss_chart(view, "step", zoom="teacher")
    for chart in (figures, losses):
        assert all(30 <= x <= 50 for each in chart.series for x in each.x)
        assert chart.boundaries == ((30, "teacher"),)
    asr = next(each for each in figures.series if each.name == "ASR")
    assert asr.y[nearest(asr, 50)] == asr.y[nearest(asr, math.inf)] == 10.0
