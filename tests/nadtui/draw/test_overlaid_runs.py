"""The curves of several runs on one axis, their means and bands."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from engine.events import PlannedStage, RunFinished
from nadtui.draw import overlaid_runs
from nadtui.draw.axis import Axis
from nadtui.draw.chart import Series
from nadtui.runs.digest import Report
from nadtui.runs.loading import load
from tests import run_folders, scripted_run


def test_curves_of_all_runs_lie_on_one_axis(reports):
    chart = overlaid_runs.chart(reports[:3], "asr", "epoch")
    assert [each.name for each in chart.series] == ["A", "B", "C"]
    assert [each.y[-1] for each in chart.series] == [2.0, 4.0, 1.0]
    assert len({each.color for each in chart.series}) == 3
    assert chart.boundaries == ((0.0, "attack"), (3.0, "teacher"), (5.0, "nad"))


@pytest.mark.parametrize(("zoom", "range_"), [(None, (0.0, 7.0)), ("nad", (0.0, 2.0))])
def test_the_axis_begins_where_the_first_stage_does_not_where_it_was_first_measured(reports, zoom, range_):
    chart = overlaid_runs.chart(reports[:2], "acc", "epoch", zoom=zoom)
    assert zoom is not None or min(chart.series[0].x) > 0
    assert chart.x_range == range_
    assert overlaid_runs.chart([], "acc", "epoch").x_range is None


def test_the_key_of_a_run_is_what_its_curve_is_drawn_with(reports):
    for place, each in enumerate(overlaid_runs.chart(reports[:3], "acc", "epoch").series):
        assert overlaid_runs.key(place, color=False) == each.key(color=False)
        assert overlaid_runs.key(place, color=True) == "━"


def test_runs_of_other_seeds_become_their_mean_in_a_band(reports):
    chart = overlaid_runs.chart(reports[:3], "asr", "epoch", means=True)
    mean, other = chart.series
    assert (mean.name, other.name) == ("mean A B", "C")
    assert other.band is None
    assert mean.y[-1] == 3.0  # of 2 and 4
    lower, upper = mean.band
    assert (upper[-1] - lower[-1]) / 2 == pytest.approx(2**0.5)
    assert lower[0] == upper[0] == mean.y[0]  # before distillation they are the same
    assert list(mean.x) == list(overlaid_runs.chart(reports[:1], "asr", "epoch").series[0].x)
    assert [math.isnan(value) for value in lower] == [math.isnan(value) for value in mean.y]


def test_curves_of_other_lengths_have_no_mean(reports):
    shorter = Series("B", "#ffffff", [0.0, 1.0], [1.0, 2.0])
    longer = Series("A", "#ffffff", [0.0, 1.0, 2.0], [1.0, 2.0, 3.0])
    assert overlaid_runs._mean("mean A B", [longer, shorter]) is None


def test_boundaries_are_those_on_which_the_runs_agree(reports):
    chart = overlaid_runs.chart([reports[0], reports[3]], "asr", "epoch")
    assert chart.boundaries[-1] == (5.0, "nad")  # the failed run never came to it


def with_stages(root: Path, name: str, **epochs: int) -> Report:
    """A finished run of these stages, each with its number of epochs."""
    plan = tuple(PlannedStage(name=stage, role="suspect" if stage == "attack" else "purified") for stage in epochs)
    events = [scripted_run.run_started(run=name, config=run_folders.config(), plan=plan)]
    for stage, count in epochs.items():
        events += scripted_run.stage(stage, [(90.0, 50.0)] * count)
    events = scripted_run.timed([*events, RunFinished(seconds=60.0)])
    return load(str(run_folders.write_events(root, name, run_folders.config(), events)), None)


def test_no_stage_is_named_over_the_curve_of_a_run_that_does_not_have_it_there(tmp_path):
    nad = with_stages(tmp_path, "a", attack=3, teacher=2, nad=2)
    tuned = with_stages(tmp_path, "b", attack=3, tuning=5)
    suspect = with_stages(tmp_path, "c", attack=3)

    def named(*reports: Report, axis: Axis = "epoch") -> list[str]:
        return [name for _, name in overlaid_runs.chart(reports, "acc", axis).boundaries]

    assert named(nad) == ["attack", "teacher", "nad"]
    assert named(nad, tuned) == ["attack"], "a stage that one run alone has"
    assert named(nad, suspect) == ["attack", "teacher", "nad"], "whose curve ends where they begin"
    assert named(tuned, suspect, nad) == ["attack"]
    slower = with_stages(tmp_path, "d", attack=4, teacher=2, nad=2)
    assert named(nad, axis="seconds") == ["attack", "teacher", "nad"]
    assert named(nad, slower, axis="seconds") == ["attack"], "by seconds, too, not those of the first run"


def test_a_zoomed_stage_begins_at_zero_with_the_backdoored_model(reports):
    chart = overlaid_runs.chart(reports[:2], "asr", "epoch", zoom="nad")
    assert list(chart.series[0].x) == [0.0, 1.0, 2.0]
    assert list(chart.series[0].y) == [100.0, 5.0, 2.0]
    assert overlaid_runs.zooms(reports) == ["attack", "teacher", "nad"]
