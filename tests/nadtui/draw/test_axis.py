"""Where a run's stages lie on its x axis."""

from engine.record.view import fold
from nadtui.draw.axis import epoch_at, spans
from tests import scripted_run


def test_stages_follow_each_other_on_each_axis():
    view = fold(scripted_run.whole_run())
    assert [(s.stage.name, s.begin, s.end) for s in spans(view, "step")] == [
        ("attack", 0, 30),
        ("teacher", 30, 50),
        ("nad", 50, 70),
    ]
    assert [(s.begin, s.end) for s in spans(view, "epoch")] == [(0, 3), (3, 5), (5, 7)]
    seconds = spans(view, "seconds")
    assert [s.begin for s in seconds] == sorted(s.begin for s in seconds)
    assert seconds[0].end <= seconds[1].begin


def test_a_running_stage_reaches_to_its_planned_end():
    started = [event for event in scripted_run.whole_run() if event.seq <= 6]
    (span,) = spans(fold(started), "step")
    assert (span.stage.step, span.end) == (10, 30)


def test_between_two_epochs_the_nearer_one_counts_as_in_the_legend():
    attack, teacher, _ = spans(fold(scripted_run.whole_run()), "epoch")
    assert [epoch_at(attack, x) for x in (0.0, 0.4, 0.6, 2.4, 2.8, 9.0)] == [0, 0, 1, 2, 3, 3]
    assert epoch_at(teacher, 2.9) is None
