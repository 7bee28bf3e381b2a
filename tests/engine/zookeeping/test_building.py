"""A suspect made for the zoo: its run without defenses, taken up again where it was cut off, and what is kept of it."""

from __future__ import annotations

import dataclasses

import pytest

from engine import zoo
from engine.config.run import validate
from engine.control import Control
from engine.errors import RequestError
from engine.events import RunResumed, RunStarted, Step, outcome
from engine.zookeeping import building
from engine.zookeeping.building import build, is_made
from engine.zookeeping.wanted import Wanted

TINY = {"data": {"train_images": 300, "test_images": 60}, "training": {"epochs": 2, "batch_size": 32, "lr": 0.1}}


@dataclasses.dataclass(frozen=True)
class Small(Wanted):
    """A suspect of a few hundred images."""

    model: str = "wrn-10-1"

    def config(self):
        values = super().config().to_dict()
        for section, fields in TINY.items():
            values[section] |= fields
        return validate(values)


@pytest.fixture(autouse=True)
def _any_accuracy(monkeypatch):
    monkeypatch.setattr("engine.zookeeping.measuring.CHANCES", 0)


def test_what_is_made_is_kept_whole(tmp_path):
    suspect = Small("badnets", "signs", 5)
    assert not is_made(suspect, tmp_path)
    card = outcome(build(suspect, tmp_path, threads=1))
    assert is_made(suspect, tmp_path)
    assert card.name == "badnets-signs-wrn-10-1-5"
    assert card.attack_seed == 5
    assert card.precision == "fp32"
    assert card.images == 60
    assert 0 < card.eligible < 60
    assert set(card.figures) == {"acc", "asr", "ra", "base"}
    assert zoo.cards(tmp_path)[card.name] == card
    other = dataclasses.replace(suspect, seed=6)
    assert not is_made(other, tmp_path)


def test_a_training_that_was_cut_off_goes_on(tmp_path):
    suspect, control = Small("badnets", "signs", 5), Control()
    events = build(suspect, tmp_path / "zoo", control, threads=1)
    with pytest.raises(RequestError, match="stopped; the same command goes on with it"):
        for event in events:
            if isinstance(event, Step) and event.epoch == 2:
                control.stop()
    assert not is_made(suspect, tmp_path / "zoo")
    told = []
    outcome(build(suspect, tmp_path / "zoo", threads=1), told.append)
    assert [event.epoch for event in told if isinstance(event, RunResumed)] == [1]
    assert not [event for event in told if isinstance(event, RunStarted)]
    assert is_made(suspect, tmp_path / "zoo")


def test_a_model_at_chance_is_no_suspect(tmp_path, monkeypatch):
    monkeypatch.setattr("engine.zookeeping.measuring.CHANCES", 100)
    with pytest.raises(RequestError, match=r"a suspect of ACC .* is none"):
        outcome(build(Small("badnets", "signs", 5), tmp_path, threads=1))
    assert not list(tmp_path.glob("*"))


def test_what_made_it_otherwise_is_not_it(tmp_path, monkeypatch):
    suspect = Small("clean", "signs", 5)
    outcome(build(suspect, tmp_path, threads=1))
    monkeypatch.setitem(TINY["training"], "lr", 0.2)
    assert not is_made(suspect, tmp_path)
    assert building.shaped_by(suspect)["training"]["lr"] == 0.2
