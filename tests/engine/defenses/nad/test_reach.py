"""How far a student goes from its suspect: as far as it is told, or as a budget of ACC allows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine import events as ev
from engine import run
from engine.control import Control
from engine.defenses.base import Choose, Train
from engine.defenses.nad.defense import Nad
from engine.defenses.nad.taught import LADDER
from engine.record.reading import read_events
from engine.running.request import RunRequest
from tests.ports import Driver, Tapped, port
from tests.tiny import outcome, runs_in, tiny_config

SHORT = {"epochs": 1, "batch_size": 8, "lr": 0.05, "augment": {"crop": 0}}
AT_ONCE = ("training.epochs=1", "evaluation.samples=1")


def nad(reach: float = 1.0, **more: object) -> Nad:
    return Nad.model_validate(
        {"teacher": {"training": SHORT}, "distill": {"training": SHORT, "reach": reach, "beta": 10.0}, **more}
    )


def test_the_student_ends_on_the_line_from_the_suspect_to_where_training_took_it():
    suspect = Tapped(0)
    begin = {name: value.clone() for name, value in suspect.state_dict().items()}
    whole = Driver(nad(), port(suspect)).run().state_dict()
    back = Driver(nad(0.75), port(suspect)).run().state_dict()
    moved = [name for name in begin if begin[name].is_floating_point() and not torch.equal(begin[name], whole[name])]
    assert any("running_mean" in name for name in moved)
    assert any("weight" in name for name in moved)
    for name in moved:
        torch.testing.assert_close(back[name], begin[name] + 0.75 * (whole[name] - begin[name]), rtol=1e-5, atol=1e-6)


def test_without_a_budget_nothing_is_held_and_nothing_chosen():
    driver = Driver(nad(0.9))
    driver.run()
    assert driver.defense.held == 0
    assert not [ask for ask in driver.asked if isinstance(ask, Choose)]


@pytest.mark.parametrize(("budget", "wanted"), [(100, 0.9), (0, None)])
def test_with_a_budget_it_is_chosen_on_the_held_images_and_no_further_than_its_reach(budget, wanted):
    driver = Driver(nad(0.9, budget=budget), port(held=6))
    driver.run()
    assert driver.defense.held == 0.2
    scores = driver.scores["reach"]
    assert list(scores) == [f"{0.9 * share:.3g}" for share in LADDER]
    if wanted:
        assert scores["0.9"] >= 0
    (ask,) = [ask for ask in driver.asked if isinstance(ask, Choose)]
    assert ask.stage == "trial-nad"
    cost = ask.cost(next(iter(scores)))
    assert (cost.images, cost.budget) == (6, budget)


def test_the_trial_never_sees_what_is_held_and_the_student_learns_on_all():
    driver = Driver(nad(budget=0), port(held=6))
    driver.run()
    trained = {ask.stage: len(ask.data or driver.port.clean) for ask in driver.asked if isinstance(ask, Train)}
    assert trained == {"trial-teacher": 14, "trial-nad": 14, "teacher": 20, "nad": 20}


def test_stopped_while_it_is_chosen_or_measured_a_run_ends_as_the_undisturbed_one(module_cache, monkeypatch, tmp_path):
    monkeypatch.setenv("NADTUI_CACHE", str(module_cache))
    config = tiny_config("badnets", *AT_ONCE, "defenses.nad.budget=1", "defenses.nad.distill.reach=0.9")
    whole = list(run(RunRequest(config, tmp_path / "whole"), Control()))
    assert isinstance(whole[-1], ev.RunFinished)
    assert [event.what for event in whole if isinstance(event, ev.Chosen)] == ["reach"]

    def steps_of(out: Path) -> list[tuple[str, int]]:
        ended = [event for event in read_events(runs_in(out)[0]).events if isinstance(event, ev.StageFinished)]
        return [(event.stage, event.image_steps) for event in ended[1:]]  # the suspect is taken from the cache

    def stop_at(name: str, wanted: object) -> None:
        out, control = tmp_path / name, Control()
        for event in run(RunRequest(config, out), control):
            if wanted(event):
                control.stop()
        assert isinstance(event, ev.RunStopped), event
        *_, last = run(RunRequest(config, out, resume=runs_in(out)[0]), Control())
        assert isinstance(last, ev.RunFinished)
        assert steps_of(out) == steps_of(tmp_path / "whole")
        assert outcome(runs_in(out)[0]) == outcome(runs_in(tmp_path / "whole")[0])

    stop_at("choosing", lambda event: isinstance(event, ev.Preparing) and event.what == "choosing reach")
    stop_at("chosen", lambda event: isinstance(event, ev.Chosen))
    stop_at("taught", lambda event: isinstance(event, ev.StageFinished) and event.stage == "teacher")
    stop_at("led", lambda event: isinstance(event, ev.StageStarted) and event.stage == "nad")
