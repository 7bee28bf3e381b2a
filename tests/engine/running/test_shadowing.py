"""The shadow ASR as a run carries it out: made once, of the clean subset alone, of every model, resumed."""

from __future__ import annotations

import json

import pytest

from engine import run
from engine.errors import RequestError
from engine.evaluation.verification.material import Unfit
from engine.events import Evaluation, Message, ProxiesMade, Shadowed, StageFinished
from engine.record.reading import read_events
from engine.record.view import fold
from engine.running import shadowing
from engine.running.request import RunRequest
from tests.tiny import outcome, run_all, runs_in, tiny_config

SHORT = ("evaluation.shadow=true", "training.epochs=1")


@pytest.fixture(autouse=True)
def _brief(monkeypatch):
    """What the triggers are good for is not the point here, but when they are made, and what they are tried on."""
    monkeypatch.setattr("engine.evaluation.verification.perturbation.STEPS", 2)
    monkeypatch.setattr("engine.evaluation.proxies.inverted_mask.STEPS", 2)
    monkeypatch.setattr("engine.evaluation.proxies.latent_shift.SWEEPS", 20)


def of(*more: str, preset: str | None = "badnets"):
    return tiny_config(preset, *SHORT, *more, defended_by=("fine-tuning",))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.evaluation.verification.perturbation.STEPS", 2)
        patch.setattr("engine.evaluation.proxies.inverted_mask.STEPS", 2)
        patch.setattr("engine.evaluation.proxies.latent_shift.SWEEPS", 20)
        out = tmp_path_factory.mktemp("whole")
        return run_all(of(), out), runs_in(out)[0]


def of_kind(events, kind):
    return [event for event in events if isinstance(event, kind)]


def test_every_model_that_is_looked_at_after_the_suspect_is_tried(whole):
    events, _ = whole
    (made,) = of_kind(events, ProxiesMade)
    assert 0 <= made.target < len(made.outliers) and made.image_steps > 0
    looked = [(event.stage, event.epoch) for event in of_kind(events, Evaluation) if event.stage == "fine-tuning"]
    tried = [(event.stage, event.epoch) for event in of_kind(events, Shadowed)]
    suspect = of_kind(events, StageFinished)[0]
    assert tried == [("attack", suspect.epochs), *looked]
    assert all(set(event.figures) == {"mask", "perturbation"} for event in of_kind(events, Shadowed))


def test_the_summary_has_them(whole):
    events, folder = whole
    summary = json.loads((folder / "summary.json").read_text())
    (made,) = of_kind(events, ProxiesMade)
    assert summary["proxies"]["target"] == made.target and summary["proxies"]["class"]
    assert [stage["stage"] for stage in summary["stages"] if "shadow" in stage] == ["attack", "fine-tuning"]
    assert summary["stages"][-1]["shadow"] == of_kind(events, Shadowed)[-1].figures
    stages = sum(event.seconds for event in of_kind(events, StageFinished))
    assert summary["seconds"] == pytest.approx(stages + made.seconds, abs=0.01)


def test_nothing_else_is_other_for_it(whole, tmp_path):
    _, folder = whole
    plain = run_all(of("evaluation.shadow=false"), tmp_path)
    assert not of_kind(plain, ProxiesMade) and not of_kind(plain, Shadowed)
    assert outcome(runs_in(tmp_path)[0]) == outcome(folder)


@pytest.mark.parametrize("until", [ProxiesMade, Shadowed, StageFinished])
def test_a_run_that_is_cut_off_goes_on_with_the_same_triggers(whole, tmp_path, until):
    _, folder = whole
    running = iter(run(RunRequest(config=of(), out=tmp_path)))
    for event in running:
        if isinstance(event, until):
            break
    running.close()
    cut = runs_in(tmp_path)[0]
    list(run(RunRequest(config=of(), out=tmp_path, resume=cut)))
    recorded = read_events(cut).events
    assert len(of_kind(recorded, ProxiesMade)) == 1
    mine, theirs = fold(recorded), fold(read_events(folder).events)
    for name, stage in theirs.stages.items():
        assert [each.figures for each in mine.stages[name].shadows] == [each.figures for each in stage.shadows]
    assert outcome(cut) == outcome(folder)


def test_a_suspect_of_which_nothing_is_known_has_one_too(whole, tmp_path):
    _, folder = whole
    given = folder / "checkpoints" / "attack.safetensors"
    events = run_all(of(f"suspect={given}", "attack=null", preset=None), tmp_path)
    assert of_kind(events, ProxiesMade) and of_kind(events, Shadowed)[-1].stage == "fine-tuning"


@pytest.mark.parametrize("error", [Unfit("nothing to see"), RequestError("nothing to see")])
def test_where_none_can_be_made_it_is_said_and_the_run_goes_on(tmp_path, monkeypatch, error):
    def unfit(*given):
        raise error
        yield

    monkeypatch.setattr(shadowing.making, "make", unfit)
    events = run_all(of(), tmp_path)
    said = [each.text for each in of_kind(events, Message) if each.level == "warning"]
    assert "no shadow ASR: nothing to see" in said
    assert not of_kind(events, Shadowed) and of_kind(events, StageFinished)[-1].stage == "fine-tuning"


@pytest.mark.parametrize("until", ["before it is said", "after"])
def test_that_none_can_be_made_stands_once_in_the_record_of_a_resumed_run(tmp_path, monkeypatch, until):
    def unfit(*given):
        raise Unfit("nothing to see")
        yield

    monkeypatch.setattr(shadowing.making, "make", unfit)
    running = iter(run(RunRequest(config=of(), out=tmp_path)))
    for event in running:
        if isinstance(event, StageFinished if until == "before it is said" else Message) and (
            isinstance(event, StageFinished) or "no shadow" in event.text
        ):
            break
    running.close()
    cut = runs_in(tmp_path)[0]
    list(run(RunRequest(config=of(), out=tmp_path, resume=cut)))
    said = [each.text for each in of_kind(read_events(cut).events, Message)]
    assert said.count("no shadow ASR: nothing to see") == 1
