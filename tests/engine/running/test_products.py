"""What a run makes is looked at before it is kept: finite, better than chance or said so; bad cache entries go."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import nn

from engine import models
from engine.attacks.base import AttackContext
from engine.attacks.lab import TrainingLab
from engine.defenses.base import Defense, Stage
from engine.errors import StageError
from engine.events import Message, RunFailed, RunFinished, StageFinished, outcome
from engine.running.doubts import check_finite
from engine.storage.artifacts import ArtifactCache
from engine.storage.checkpoints import load_weights, save_weights
from tests.tiny import finished, run_all, runs_in, tiny_config

FEW = ["data.train_images=100", "data.test_images=60", "training.epochs=1", "evaluation.samples=0"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NADTUI_CACHE", str(tmp_path / "cache"))


def tiny(*overrides, defended_by=()):
    return tiny_config("badnets", *FEW, *overrides, defended_by=list(defended_by))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["bn1.running_var", "fc.weight", "block1.layer.0.bn1.running_mean"])
def test_parameters_and_buffers_are_looked_at(name, value):
    model = models.build("wrn-10-1", 5)
    check_finite("attack", model, "")
    model.state_dict()[name].view(-1)[0] = value
    with pytest.raises(StageError, match=f"stage attack: {name} is no longer finite"):
        check_finite("attack", model, "a lower training.lr usually helps")


def diverging(monkeypatch):
    """Every training step leaves a buffer that is not finite behind, as a rate that is far too high does."""
    from engine.training import loop

    real = loop.Loop.step

    def step(self, batch, lr):
        parts = real(self, batch, lr)
        next(each for each in self.model.modules() if isinstance(each, nn.BatchNorm2d)).running_var.fill_(float("inf"))
        return parts

    monkeypatch.setattr(loop.Loop, "step", step)


@pytest.mark.parametrize(
    ("stage", "field", "overrides", "defended_by"),
    [
        ("attack", "training.lr", [], []),
        ("teacher", "defenses.nad.teacher.training.lr", ["defenses.nad.teacher.training.epochs=1"], ["nad"]),
        ("fine-tuning", "defenses.fine-tuning.training.lr", [], ["fine-tuning"]),
    ],
)
def test_a_model_that_diverged_is_not_done_nor_kept_and_the_advice_fits(
    tmp_path, monkeypatch, stage, field, overrides, defended_by
):
    if stage != "attack":
        run_all(tiny(), tmp_path / "before")
    diverging(monkeypatch)
    events = run_all(tiny(*overrides, defended_by=defended_by), tmp_path / "runs")
    assert isinstance(events[-1], RunFailed)
    assert events[-1].stage == stage
    assert "running_var is no longer finite" in events[-1].message
    assert f"a lower {field} (now" in events[-1].message
    assert "beta" not in events[-1].message
    assert stage not in finished(events)
    (folder,) = runs_in(tmp_path / "runs")
    assert not (folder / "checkpoints" / f"{stage}.safetensors").exists()
    monkeypatch.undo()
    monkeypatch.setenv("NADTUI_CACHE", str(tmp_path / "cache"))
    # Nothing bad was kept: the same run goes well, and the one that failed can be gone on with.
    assert isinstance(run_all(tiny(*overrides, defended_by=defended_by), tmp_path / "again")[-1], RunFinished)
    resumed = run_all(tiny(*overrides, defended_by=defended_by), tmp_path / "runs", resume=folder)
    assert isinstance(resumed[-1], RunFinished)


def spoiled(kind):
    """What may be wrong with an entry of the cache that is whole."""

    def spoil(weights):
        name = "bn1.running_var"
        match kind:
            case "not finite":
                weights[name] = torch.full_like(weights[name], float("inf"))
            case "of another network":
                return models.build("wrn-16-1", 10).state_dict()
            case "without a tensor":
                del weights[name]
        return weights

    return spoil


@pytest.mark.parametrize("kind", ["not finite", "of another network", "without a tensor"])
def test_a_bad_entry_is_dropped_on_reading_and_made_anew(tmp_path, kind):
    first = finished(run_all(tiny(), tmp_path / "first"))["attack"]
    (entry,) = (tmp_path / "cache" / "artifacts" / "attack").iterdir()
    weights, about = load_weights(entry / "content.safetensors")
    save_weights(tmp_path / "bad.safetensors", spoiled(kind)(weights), about)
    cache = ArtifactCache()
    cache.drop("attack", entry.name)
    cache.put("attack", entry.name, tmp_path / "bad.safetensors")
    events = run_all(tiny(), tmp_path / "second")
    done = finished(events)["attack"]
    assert (done.sha256, done.cached) == (first.sha256, False)
    (said,) = [each.text for each in events if isinstance(each, Message) and "made anew" in each.text]
    assert "\n" not in said
    assert finished(run_all(tiny(), tmp_path / "third"))["attack"].cached


def made(lab, values):
    """The product of a lab, which comes to these values where it has to be made."""
    context = AttackContext(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.arange(2), 2, 0, lab)
    calls = []

    def make():
        calls.append(1)
        yield from ()
        return {"patch": torch.tensor(values)}

    return outcome(lab.product("patch", {"steps": 3}, context, make)), len(calls)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_bad_product_of_an_attack_is_not_kept_and_one_in_the_cache_is_made_anew(tmp_path, value):
    def lab(name):
        return TrainingLab(2, cache=ArtifactCache(), folder=tmp_path / name)

    with pytest.raises(StageError, match=r"patch of the patch is no longer finite; a lower training\.lr"):
        made(lab("a"), [1.0, value])
    assert made(lab("a"), [1.0, 2.0])[1] == 1
    assert made(lab("b"), [1.0, 2.0])[1] == 0
    (entry,) = (tmp_path / "cache" / "artifacts" / "patch").iterdir()
    save_weights(tmp_path / "bad.safetensors", {"patch": torch.tensor([value])}, {})
    cache = ArtifactCache()
    cache.drop("patch", entry.name)
    cache.put("patch", entry.name, tmp_path / "bad.safetensors")
    product, calls = made(lab("c"), [1.0, 2.0])
    assert (product["patch"].tolist(), calls) == ([1.0, 2.0], 1)
    assert made(lab("d"), [1.0, 2.0])[1] == 0


class Spoiling(Defense):
    """Edits a copy of the suspect into something that is not finite, or that answers one class."""

    name: ClassVar[str] = "spoiling"
    summary: ClassVar[str] = "for tests"
    source: ClassVar[str] = "none"
    how: str = "nan"

    def stages(self):
        return (Stage(self.name, "purified"),)

    def defend(self, port):
        model = port.copy()
        with torch.no_grad():
            model.fc.bias.fill_(float("nan")) if self.how == "nan" else model.fc.weight.zero_()
        return (yield from port.adopt(self.name, model, given=False))


@pytest.mark.parametrize("how", ["nan", "constant"])
def test_what_a_defense_edited_is_looked_at_too(tmp_path, monkeypatch, how):
    # Its suspect, trained in a moment, counts as a good one: of what stands on a bad one nothing new would be said.
    monkeypatch.setattr("engine.running.stages.no_better_than_chance", lambda metrics, labels: False)
    config = tiny().model_copy(update={"defenses": {"spoiling": Spoiling(how=how)}})
    events = run_all(config, tmp_path / "runs")
    if how == "nan":
        assert isinstance(events[-1], RunFailed)
        assert "fc.bias is no longer finite" in events[-1].message
        return
    assert isinstance(events[-1], RunFinished)
    assert any(isinstance(each, StageFinished) and each.stage == "spoiling" for each in events)
    assert any(
        "stage spoiling: ACC 10.0 is no better than chance" in each.text for each in events if isinstance(each, Message)
    )


def test_a_trained_model_no_better_than_chance_is_said_so_trained_or_recalled(tmp_path):
    for out in ("trained", "recalled"):
        events = run_all(tiny("training.lr=1e-9"), tmp_path / out)
        (said,) = [each.text for each in events if isinstance(each, Message) and "than chance" in each.text]
        assert "stage attack: ACC" in said
        assert "no better than chance" in said
        assert ("training.lr" in said) is (out == "trained")
