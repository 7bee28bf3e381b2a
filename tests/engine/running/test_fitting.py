"""What a network cannot bear is n/a: the run goes on without it, and says so."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from engine import events as ev
from engine import models
from engine.defenses import DEFENSES
from engine.defenses.base import Defense, Layer
from engine.errors import RequestError
from engine.record.summary import summarize
from engine.record.view import fold
from engine.running.fitting import bearable
from tests.tiny import run_all, runs_in, tiny_config

IMAGES = torch.rand(2, 3, 32, 32)
TOKENS = "model.name=vit-tiny@0.125"
FEW = ("training.epochs=1", "data.train_images=60", "data.test_images=40", "evaluation.images=20")


class Masks(Defense):
    name: ClassVar[str] = "masks"
    layers: ClassVar[frozenset[Layer]] = frozenset({"batch norm"})


@pytest.fixture(autouse=True)
def _one_more_defense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DEFENSES.ours, "masks", f"{__name__}:Masks")


def test_a_network_bears_what_finds_its_layers_there():
    masks = Masks()
    assert masks.unfit(models.build("wrn-10-1", 4, 0), IMAGES) is None
    assert masks.unfit(models.build("vit-tiny@0.125", 4, 0), IMAGES) == "the network has no batch norm"


def test_patches_are_no_convolution_of_maps(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Masks, "layers", frozenset({"convolution"}))
    assert Masks().unfit(models.build("wrn-10-1", 4, 0), IMAGES) is None
    assert Masks().unfit(models.build("vit-tiny@0.125", 4, 0), IMAGES) == "the network has no convolution"


def test_what_follows_maps_is_unfit_where_there_are_none_to_tap():
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 4))
    found = {name: DEFENSES.get(name)().unfit(flat, IMAGES) for name in ("nad", "nad-features", "argd", "distillation")}
    assert found == dict.fromkeys(("nad", "nad-features", "argd"), "the network has no map to tap") | {
        "distillation": None
    }


def test_a_run_goes_on_without_what_its_network_cannot_bear(tmp_path):
    config = tiny_config("badnets", TOKENS, *FEW, defended_by=["masks", "fine-tuning"])
    events = run_all(config, tmp_path)
    assert isinstance(events[-1], ev.RunFinished), events[-1]
    (started,) = (event for event in events if isinstance(event, ev.RunStarted))
    assert started.unfit == {"masks": "the network has no batch norm"}
    assert [stage.name for stage in started.plan] == ["attack", "fine-tuning"]
    assert list(started.config["defenses"]) == ["fine-tuning"]
    said = [event.text for event in events if isinstance(event, ev.Message) and event.level == "warning"]
    assert "masks: n/a, the network has no batch norm" in said
    assert summarize(fold(events))["unfit"] == started.unfit


def test_a_run_whose_defenses_are_all_unfit_is_refused_in_a_line(tmp_path):
    config = tiny_config("badnets", TOKENS, defended_by=["masks"])
    with pytest.raises(RequestError, match=r"^vit-tiny@0.125: defense masks: n/a, the network has no batch norm$"):
        run_all(config, tmp_path)
    assert not runs_in(tmp_path)
    without = tiny_config("badnets", TOKENS, defended_by=[])
    assert bearable(without, models.build("vit-tiny@0.125", 4, 0), IMAGES) == (without, {})
