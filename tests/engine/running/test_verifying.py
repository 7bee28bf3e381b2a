"""Verification as a run carries it out: recorded once, beside a clean model where the zoo has one, resumed."""

from __future__ import annotations

import json

import pytest

from engine.errors import RequestError
from engine.events import Verified
from engine.record.reading import read_events
from engine.running import verifying
from engine.running.request import RunRequest
from tests.tiny import run_all, tiny_config

SHORT = ("evaluation.verify=true", "defenses.fine-tuning.training.epochs=1", "training.epochs=1")


@pytest.fixture(autouse=True)
def _brief(monkeypatch):
    """What is measured is not the point here, but that it is, once, and of whom."""
    monkeypatch.setattr("engine.evaluation.verification.retuning.SHARE", 0.1)
    monkeypatch.setattr("engine.evaluation.verification.perturbation.STEPS", 2)
    monkeypatch.setattr("engine.evaluation.verification.linear_path.POINTS", 3)


def of(tmp_path, *more: str):
    return tiny_config("badnets", *SHORT, *more, defended_by=("fine-tuning",))


def verified(events) -> list[Verified]:
    return [event for event in events if isinstance(event, Verified)]


def folder_of(tmp_path):
    return next(path for path in tmp_path.iterdir() if not path.name.startswith("."))


def test_a_purified_model_is_verified_and_the_missing_control_is_said(tmp_path):
    found = verified(run_all(of(tmp_path), tmp_path))
    assert [(event.stage, event.test) for event in found] == [("fine-tuning", name) for name in verifying.TESTS]
    assert all("no clean wrn-10-1" in event.uncontrolled for event in found if not event.unfit)
    summary = json.loads((folder_of(tmp_path) / "summary.json").read_text())
    stage = summary["stages"][-1]
    assert set(stage["verified"]) == set(verifying.TESTS)
    assert stage["verified"]["existence"]["figures"]["coefficient"] is None
    assert stage["verified"]["linear-path"]["points"]["t"] == [0.0, 0.5, 1.0]
    assert summary["seconds"] >= sum(event.seconds for event in found)


def test_too_few_images_are_said_and_the_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("engine.evaluation.verification.retuning.SHARE", 0.02)
    found = {event.test: event for event in verified(run_all(of(tmp_path), tmp_path))}
    assert "too few" in found["retuning"].unfit
    assert found["perturbation"].figures


def test_a_clean_model_of_the_zoo_stands_beside_and_is_measured_once(tmp_path):
    config = of(tmp_path, "model.name=wrn-16-1", "data.size=32")  # the zoo's
    first = {event.test: event for event in verified(run_all(config, tmp_path / "a"))}
    assert all(event.control and not event.uncontrolled for event in first.values())
    assert first["existence"].figures["coefficient"] == pytest.approx(
        (first["existence"].figures["similarity"] - first["existence"].control["similarity"])
        / (1 - first["existence"].control["similarity"])
    )
    controls = folder_of(tmp_path / "a") / verifying.CONTROLS
    assert controls.is_dir()
    second = {event.test: event for event in verified(run_all(config, tmp_path / "b"))}
    assert not (folder_of(tmp_path / "b") / verifying.CONTROLS).exists()
    assert {name: event.control for name, event in first.items()} == {
        name: event.control for name, event in second.items()
    }
    assert list(second["retuning"].control) == list(second["retuning"].figures), "in one order, kept or not"
    for name in ("retuning", "perturbation"):  # what is kept costs nothing, and both models cost the same
        assert second[name].image_steps > 0
        assert second[name].image_steps == pytest.approx(first[name].image_steps / 2, abs=1)


def test_a_run_that_is_cut_off_within_goes_on_with_what_is_missing(tmp_path):
    config = of(tmp_path)
    whole = verified(run_all(config, tmp_path / "whole"))
    out = tmp_path / "cut"
    running = iter(_run(RunRequest(config=config, out=out)))
    for event in running:
        if isinstance(event, Verified) and event.test == "linear-path":
            break
    running.close()
    folder = folder_of(out)
    resumed = verified(_run(RunRequest(config=config, out=out, resume=folder)))
    assert [event.test for event in resumed] == ["existence", "perturbation"]
    recorded = {event.test: event.figures for event in verified(read_events(folder).events)}
    assert str(recorded) == str({event.test: event.figures for event in whole})  # NaN is no equal of itself


def _run(request: RunRequest):
    from engine import run

    yield from run(request)


def test_nothing_is_verified_unless_it_is_asked_for(tmp_path):
    assert not verified(run_all(of(tmp_path, "evaluation.verify=false"), tmp_path))


def test_without_a_trigger_there_is_nothing_to_verify():
    with pytest.raises(RequestError, match="trigger"):
        tiny_config("clean", "evaluation.verify=true")
