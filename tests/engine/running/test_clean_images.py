"""A run whose defender holds other clean images than the suspect's own."""

from __future__ import annotations

import pytest

from engine import events as ev
from engine import run
from engine.errors import RequestError
from engine.running.request import RunRequest
from tests.tiny import finished, run_all, tiny_config

FEW = ("training.epochs=1", "defenses.fine-tuning.training.epochs=1", "evaluation.samples=1", "data.clean_fraction=0.1")


@pytest.fixture(autouse=True)
def _one_cache(module_cache, monkeypatch) -> None:
    monkeypatch.setenv("NADTUI_CACHE", str(module_cache))


def run_with(tmp_path, *overrides: str) -> list[ev.Event]:
    return run_all(tiny_config("badnets", *FEW, *overrides, defended_by=["fine-tuning"]), tmp_path)


def started(events: list[ev.Event]) -> ev.RunStarted:
    return next(event for event in events if isinstance(event, ev.RunStarted))


def test_images_the_suspect_never_saw_are_not_tested_on(tmp_path):
    own = run_with(tmp_path / "own")
    unseen = run_with(tmp_path / "unseen", "data.clean_from=test")
    assert (started(own).dataset["clean"], started(own).dataset["test"]) == (30, 120)
    assert (started(unseen).dataset["clean"], started(unseen).dataset["test"]) == (30, 60)
    first, second = finished(own), finished(unseen)
    assert first["attack"].sha256 == second["attack"].sha256, "one suspect, and one entry of the cache"
    assert second["attack"].cached and second["fine-tuning"].metrics.images == 60
    assert first["fine-tuning"].sha256 != second["fine-tuning"].sha256


def test_shifted_images_are_the_defenders_alone(tmp_path):
    shifted = run_with(tmp_path, "data.clean_shift=gray")
    assert started(shifted).dataset["test"] == 120 and finished(shifted)["attack"].cached


def test_too_few_are_refused_before_anything_is_written(tmp_path):
    asked = (*FEW, "data.clean_from=test", "data.clean_fraction=0.5")
    config = tiny_config("badnets", *asked, defended_by=["fine-tuning"])
    with pytest.raises(RequestError, match=r"is 150 images; data\.clean_from = 'test' has 60"):
        list(run(RunRequest(config=config, out=tmp_path)))
    assert not list(tmp_path.iterdir())
