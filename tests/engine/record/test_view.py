"""The fold of a run's events: what is shown of a run follows from its events alone, and no view grows without bound."""

import dataclasses
import math
import time

import pytest

from engine.events import (
    Chosen,
    Evaluation,
    Event,
    Message,
    PlannedStage,
    Preparing,
    Queued,
    Role,
    RunFailed,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    RunStopped,
    StageStarted,
    Step,
)
from engine.record.codec import decode, encode
from engine.record.stage_view import MAX_ATTENTION_EPOCHS, MAX_POINTS, StageView
from engine.record.summary import summarize
from engine.record.view import MAX_MESSAGES, RunView, fold
from tests.scripted_run import (
    PLAN,
    RUN,
    START,
    attention,
    health,
    metrics,
    run_started,
    stage,
    timed,
    whole_run,
)


def step(number: int, at: float, *, epoch: int = 1, stage: str = "attack", loss: float = 1.0) -> Step:
    return Step(
        time=START + at, stage=stage, epoch=epoch, step=number, loss=loss, parts={}, lr=0.1, images_per_second=100.0
    )


def test_a_whole_run_reads_as_it_went():
    view = fold(whole_run())
    assert (view.run, view.status, view.preset, view.elapsed()) == (RUN, "finished", "badnets", 60.0)
    assert [(s.name, s.state, s.progress) for s in view.stages.values()] == [
        ("attack", "finished", 1.0),
        ("teacher", "finished", 1.0),
        ("nad", "finished", 1.0),
    ]
    attack = view.stages["attack"]
    assert [(p.epoch, p.metrics.acc, p.metrics.asr, p.final) for p in attack.evaluations] == [
        (1, 60.0, 90.0, False),
        (2, 90.0, 99.0, False),
        (3, 97.0, 100.0, True),
    ]
    assert [(p.step, p.epoch, p.loss) for p in attack.losses] == [
        (5, 1, 2.0),
        (10, 1, 2.0),
        (15, 2, 1.0),
        (20, 2, 1.0),
        (25, 3, 2 / 3),
        (30, 3, 2 / 3),
    ]
    assert attack.metrics == metrics(97.0, 100.0)
    assert [line.text for line in view.messages] == ["a line of the log"]
    assert view.samples[0].index == 17
    assert view.stages["nad"].health == [
        dataclasses.replace(health("nad"), time=view.stages["nad"].health[0].time, seq=view.stages["nad"].health[0].seq)
    ]
    assert view.stage is None and view.ended


def test_the_record_tells_the_same_as_the_live_stream():
    live = whole_run()
    lines = [encode(event) for event in live if event.seq]
    read = fold(event for event in map(decode, lines) if event is not None)
    assert summarize(read) == summarize(fold(live))
    assert read.stages == fold(live).stages


def test_an_unfinished_stage_shows_its_place():
    script = timed([run_started(), *stage("attack", [(60.0, 90.0), (70.0, 95.0)])])
    view = fold(script[:5])  # started, stage, two steps, first evaluation
    assert view.status == "running" and view.stage is not None
    assert (view.stage.epoch, view.stage.step, view.stage.total_steps, view.stage.progress) == (1, 10, 20, 0.5)
    assert view.stage.metrics == metrics(60.0, 90.0)
    assert view.stages["nad"].state == "pending" and view.stages["nad"].metrics is None


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (Preparing(what="drawing"), "running"),
        (Queued(position=1, holders=("other",)), "queued"),
        (RunPaused(paused=True), "paused"),
        (RunFailed(stage="nad", message="loss is not finite"), "failed"),
        (RunStopped(stage="nad", epoch=1), "stopped"),
        (RunFinished(seconds=3.0), "finished"),
    ],
)
def test_status_is_that_of_the_newest_events(event: Event, status: str):
    view = fold(timed([run_started(), event]))
    assert view.status == status
    assert view.ended == (status in ("failed", "stopped", "finished"))


def test_before_the_record_there_is_only_preparation():
    view = RunView()
    assert (view.status, view.elapsed(START)) == ("new", 0.0)
    view.apply(Preparing(what="drawing", done=1, total=4))  # not recorded: it has no time
    assert (view.status, view.elapsed(START)) == ("preparing", 0.0)
    assert view.preparing is not None and view.preparing.what == "drawing"


def test_waiting_and_preparing_end_with_the_next_event_but_not_with_a_message():
    view = fold(timed([run_started(), Queued(position=2, holders=("a", "b"))]))
    view.apply(Message(time=START + 5, text="still waiting"))
    assert view.queued is not None and view.queued.position == 2
    view.apply(Preparing(time=START + 6, what="trigger"))
    assert view.queued is None and view.preparing is not None
    view.apply(StageStarted(time=START + 7, stage="attack", epochs=1, steps=1))
    assert view.preparing is None and view.status == "running"


def test_the_clock_stands_still_while_the_run_waits_or_is_paused():
    view = fold(
        [
            run_started(time=START),
            Queued(time=START + 1, position=2),
            Queued(time=START + 50, position=1),
            StageStarted(time=START + 101, stage="attack", epochs=1, steps=100),
            step(10, 102.0),
            RunPaused(time=START + 103, paused=True),
        ]
    )
    assert view.elapsed(START + 500) == pytest.approx(3.0)
    view.apply(RunPaused(time=START + 1103, paused=False))
    view.apply(step(20, 1104.0))
    assert view.elapsed() == pytest.approx(4.0)
    assert view.stages["attack"].losses[-1].seconds == pytest.approx(3.0)


def test_eta_follows_the_rate_since_the_first_steps():
    """What comes before the first step, here 60 s, does not come again and must not slow the estimate."""
    view = fold([run_started(time=START), StageStarted(time=START, stage="attack", epochs=2, steps=50)])
    assert view.eta() is None
    view.apply(step(10, 60.0))
    assert view.eta() is None
    view.apply(step(30, 64.0))  # 5 steps a second, 70 to go
    assert view.eta() == pytest.approx(14.0)
    assert view.eta(START + 66.0) == pytest.approx(12.0)
    assert view.eta(START + 999.0) == 0.0
    view.apply(RunStopped(time=START + 65, stage="attack", epoch=0))
    assert view.eta() is None


def test_resuming_drops_what_will_come_again():
    script = timed([run_started(), *stage("attack", [(60.0, 90.0), (70.0, 95.0), (80.0, 99.0)])])
    whole = fold(script)
    view = fold(script)
    view.apply(StageStarted(time=START + 50, stage="teacher", epochs=1, steps=10))
    view.apply(step(3, 51.0, stage="teacher"))
    view.apply(RunFailed(time=START + 52, stage="teacher", message="the power went"))
    view.apply(RunResumed(time=START + 10_000, stage="attack", epoch=1))
    attack, teacher = view.stages["attack"], view.stages["teacher"]
    assert view.status == "running" and view.failure is None
    assert (attack.state, attack.finished, attack.epoch, attack.step) == ("pending", None, 1, 10)
    assert [point.epoch for point in attack.evaluations] == [1]
    assert [point.step for point in attack.losses] == [5, 10]
    assert attack.last == attack.losses[-1]
    assert list(attack.attention) == [1]
    assert teacher == StageView("teacher", "reference", "nad", needs=("attack",))

    # The rest comes again: the view ends as if nothing had happened, the lost day left out of its clock.
    again = stage("attack", [(60.0, 90.0), (70.0, 95.0), (80.0, 99.0)])
    rest = [dataclasses.replace(again[0], epoch=1), *again[again.index(attention("attack", 1)) + 1 :]]
    for event in timed(rest, start=START + 10_000, first=100):
        view.apply(event)
    bare = [(p.epoch, p.metrics, p.final) for p in whole.stages["attack"].evaluations]
    assert [(p.epoch, p.metrics, p.final) for p in attack.evaluations] == bare
    assert [(p.step, p.loss) for p in attack.losses] == [(p.step, p.loss) for p in whole.stages["attack"].losses]
    assert attack.state == "finished"
    seconds = [point.seconds for point in attack.losses]
    assert seconds == sorted(seconds) and seconds[-1] < 20


def test_resuming_a_run_whose_stages_are_all_done_keeps_them():
    script = timed([run_started(plan=PLAN[:1]), *stage("attack", [(60.0, 90.0), (70.0, 95.0)])])
    view = fold(script)
    view.apply(RunResumed(time=START + 100, stage="attack", epoch=2))
    view.apply(RunFinished(time=START + 101, seconds=20.0))
    assert view.status == "finished"
    assert view.suspect.metrics.acc == 70.0


def test_of_one_epochs_figures_those_over_all_images_stay():
    draw, final = metrics(50.0, 50.0, images=100), metrics(60.0, 60.0)
    view = fold(timed([run_started(), *stage("attack", [(60.0, 60.0)])]))
    attack = view.stages["attack"]
    point = attack.evaluations[-1]
    late = Evaluation(time=START + 90, stage="attack", epoch=1, step=10, metrics=draw)
    view.apply(late)
    assert attack.evaluations == [point] and point.metrics == final


def test_long_series_stay_bounded_and_even():
    view = fold([run_started(time=START), StageStarted(time=START, stage="attack", epochs=1, steps=50_000)])
    for number in range(1, 50_001):
        view.apply(step(number, number / 100))
    attack = view.stages["attack"]
    assert MAX_POINTS / 2 <= len(attack.losses) <= MAX_POINTS
    gaps = {b.step - a.step for a, b in zip(attack.losses, attack.losses[1:], strict=False)}
    assert len(gaps) == 1
    assert attack.last is not None and attack.last.step == 50_000
    for epoch in range(1, 1_001):
        view.apply(attention("attack", epoch))
        view.apply(Message(time=START, text=str(epoch)))
        view.apply(Message(time=START, text=str(epoch)))
    assert len(attack.attention) <= MAX_ATTENTION_EPOCHS
    assert list(attack.attention) == sorted(attack.attention)
    assert {1, 1_000} <= set(attack.attention)
    assert len(view.messages) == MAX_MESSAGES and view.messages[-1].text == "1000"


def test_fifty_thousand_events_fold_well_within_a_second():
    events = [run_started(time=START), StageStarted(time=START, stage="attack", epochs=1, steps=50_000)]
    events += [step(number, number / 100) for number in range(1, 50_000)]
    since = time.process_time()
    fold(events)
    assert time.process_time() - since < 1.0


def test_maps_are_those_of_the_newest_epoch_not_past_the_one_asked_for():
    view = fold(timed([run_started(), attention("nad", 0), attention("nad", 2), attention("nad", 2, tap="group2")]))
    nad = view.stages["nad"]
    assert set(nad.maps()) == {(0, "group1"), (0, "group2")}
    assert {key: capture.epoch for key, capture in nad.maps(1).items()} == {(0, "group1"): 0}
    assert nad.maps(99) == nad.maps()
    assert view.stages["attack"].maps() == {}
    assert fold(timed([run_started(), attention("nad", 3)])).stages["nad"].maps(1) == {}


def test_a_loss_that_is_not_a_number_stays_in_the_curve_as_such():
    view = fold([run_started(time=START), step(1, 1.0), step(2, 2.0, loss=math.nan)])
    assert math.isnan(view.stages["attack"].losses[-1].loss)


def test_a_stage_that_was_never_announced_is_shown_last():
    view = fold(timed([run_started(), *stage("pruning", [(90.0, 3.0)])]))
    assert list(view.stages) == ["attack", "teacher", "nad", "pruning"]
    assert (view.stages["pruning"].role, view.stages["pruning"].defense) == (None, "")
    assert [each.name for each in view.purified] == ["nad"]


def planned(*stages: tuple[str, Role, str]) -> RunStarted:
    return run_started(plan=tuple(PlannedStage(name=n, role=role, defense=of) for n, role, of in stages))


def test_stages_are_known_by_their_roles_in_the_order_of_the_plan():
    view = fold(
        [planned(("fp", "purified", "fp"), ("x", "suspect", ""), ("clp", "purified", "clp"), ("r", "reference", "fp"))]
    )
    assert view.suspect is view.stages["x"]
    assert [each.name for each in view.purified] == ["fp", "clp"]
    assert [(each.name, each.defense) for each in view.by_role("reference")] == [("r", "fp")]
    assert view.by_role("measurement") == []
    view.apply(RunResumed(time=START + 9, stage="x", epoch=0))
    assert [(each.role, each.defense) for each in view.by_role("reference")] == [("reference", "fp")]
    empty = RunView()
    assert (empty.suspect, empty.purified, empty.plan, empty.taps) == (None, [], (), ())


def test_the_model_tells_its_taps_and_the_run_whether_there_is_a_trigger():
    view = fold([run_started(model={"name": "vit", "parameters": 1, "taps": ["block3", "block7"]}, attacked=False)])
    assert (view.taps, view.attacked) == (("block3", "block7"), False)
    for damaged in ({}, {"taps": None}, {"taps": "all"}):
        assert fold([run_started(model=damaged)]).taps == ()


def test_a_choice_is_kept_with_its_stage_and_one_made_again_replaces_the_first():
    first = Chosen(stage="nad", what="epoch", choice="3", scores={"3": 96.0, "4": 95.0})
    other = Chosen(stage="nad", what="beta", choice="500", scores={"500": 1.0})
    again = Chosen(stage="nad", what="epoch", choice="4", scores={"3": 95.0, "4": math.nan})
    view = fold([run_started(), first, other])
    assert view.stages["nad"].chosen == [first, other]
    view.apply(again)
    assert view.stages["nad"].chosen == [other, again]
    view.apply(RunResumed(time=START, stage="teacher", epoch=0))
    assert view.stages["nad"].chosen == []


def test_an_epoch_under_way_is_not_done():
    view = fold([run_started(), StageStarted(stage="attack", epochs=1, steps=4)])
    stage = view.stages["attack"]
    assert stage.whole_epochs == 0
    for done in (1, 3):
        view.apply(Step(stage="attack", epoch=1, step=done, loss=1.0, parts={}, lr=0.1, images_per_second=9.0))
        assert (stage.whole_epochs, stage.epoch) == (0, 1)
    view.apply(Step(stage="attack", epoch=1, step=4, loss=1.0, parts={}, lr=0.1, images_per_second=9.0))
    assert stage.whole_epochs == 1
