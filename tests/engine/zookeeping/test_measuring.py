"""What a suspect's trigger does to another model of its network."""

from __future__ import annotations

from engine import data, zoo
from engine.data.base import silent
from engine.device import choose
from engine.zoo.contents import load
from engine.zookeeping.measuring import measured, measured_with


def _few(settings):
    return data.load(settings.model_copy(update={"train_images": 300, "test_images": 300}), silent)


def test_a_trigger_is_laid_before_another_model_than_its_own(monkeypatch):
    monkeypatch.setattr("engine.zookeeping.measuring.images_of", _few)
    card, device = zoo.card("badnets-signs-0"), choose("cpu", "fp32")
    own = measured(card, device).metrics
    assert measured_with(card, load(card).weights, device) == own
    clean = measured_with(card, load(zoo.card("clean-signs-0")).weights, device)
    assert own.asr > 95 > 5 > clean.asr
    assert clean.eligible == own.eligible
