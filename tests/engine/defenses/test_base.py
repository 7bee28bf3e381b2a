"""The port of a defense: what it hands out, and that its verbs ask and do nothing themselves."""

from __future__ import annotations

import math
from typing import ClassVar

import pytest
import torch

from engine.defenses.base import Adopt, Choose, Defense, Optimize, Port, Stage, Train, Work
from engine.models.inference import freeze
from engine.settings import TrainingSettings
from engine.training.loop import cross_entropy
from tests.ports import Driver, Tapped, clean_images, port, snapshot, unchanged


class Everything(Defense):
    """Asks for everything that can be asked for."""

    name: ClassVar[str] = "everything"

    def stages(self) -> tuple[Stage, ...]:
        return Stage("helper", "reference"), Stage("everything", needs=("helper",))

    def defend(self, port: Port) -> Work:
        helper = yield from port.train("helper", port.copy(), cross_entropy, TrainingSettings(epochs=1, batch_size=8))
        mask = torch.ones(4, requires_grad=True)

        def loss(batch):
            return {"size": (mask**2).sum() + 0 * batch.images.mean()}

        def project():
            mask.clamp_(min=0.25)

        found = yield from port.optimize("everything", "mask", {"mask": mask}, loss, 40, batch_size=6, project=project)
        assert found["mask"] is mask
        share = yield from port.choose("everything", "share", {"none": 0.0, "half": 0.5, "all": 1.0}, self._score)
        model = port.copy()
        with torch.no_grad():
            model.convs[0].weight.mul_(1 - share * mask.view(-1, 1, 1, 1))
        curve = {0.5: lambda: helper, 0.0: port.copy}
        return freeze((yield from port.adopt("everything", model, curve=curve)))

    def _score(self, share: float) -> float:
        return -abs(share - 0.4)


def test_a_defense_may_ask_for_all_of_it():
    at = port()
    before = snapshot(at.suspect)
    driver = Driver(Everything(), at)
    model = driver.run()
    assert [(type(ask), ask.stage) for ask in driver.asked] == [
        (Train, "helper"),
        (Optimize, "everything"),
        (Choose, "everything"),
        (Adopt, "everything"),
    ]
    assert driver.scores == {"share": pytest.approx({"none": -0.4, "half": -0.1, "all": -0.6})}
    assert list(driver.curves["everything"]) == [0.0, 0.5]
    assert driver.curves["everything"][0.5] is driver.models["helper"]
    expected = before["convs.0.weight"] * (1 - 0.5 * 0.25)
    torch.testing.assert_close(model.convs[0].weight, expected)
    assert unchanged(at.suspect, before)


def test_verbs_only_ask():
    at, model = port(), Tapped(1)
    before = snapshot(model)
    work = at.train("stage", model, cross_entropy, TrainingSettings())
    ask = next(work)
    assert isinstance(ask, Train)
    assert (ask.stage, ask.model, ask.optimizer, ask.step, ask.watch) == ("stage", model, None, None, None)
    assert unchanged(model, before)
    with pytest.raises(StopIteration) as end:
        work.send("whatever it was answered")
    assert end.value.value == "whatever it was answered"


def test_without_an_optimizer_adam_optimizes_at_a_tenth():
    ask = next(port().optimize("stage", "mask", {"mask": torch.zeros(2)}, lambda batch: {}, 3))
    optimizer = ask.optimizer([torch.zeros(2, requires_grad=True)])
    assert isinstance(optimizer, torch.optim.Adam)
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert (ask.steps, ask.batch_size, ask.project) == (3, 64, None)


def test_the_first_of_the_best_is_chosen_and_handed_over_as_it_was():
    candidates = {"a": [1], "b": [2], "c": [3]}
    work = port().choose("stage", "it", candidates, lambda candidate: min(candidate[0], 2))
    ask = next(work)
    assert [ask.score(name) for name in ask.candidates] == [1, 2, 2]
    with pytest.raises(StopIteration) as end:
        work.send("b")
    assert end.value.value is candidates["b"]


def test_a_copy_can_be_trained_and_the_suspect_cannot():
    at = port()
    copied = at.copy()
    assert copied is not at.suspect
    assert unchanged(copied, at.suspect.state_dict())
    assert all(parameter.requires_grad for parameter in copied.parameters())
    assert not any(parameter.requires_grad for parameter in at.suspect.parameters())
    with torch.no_grad():
        copied.fc.weight.fill_(math.pi)
    assert not unchanged(copied, at.suspect.state_dict())


def test_held_images_are_not_trained_on():
    at = port(held=5)
    assert (len(at.clean), len(at.held)) == (15, 5)
    assert torch.equal(torch.cat([at.held.images, at.clean.images]), clean_images().images)
    assert len(port().held) == 0


def test_a_defense_without_more_to_say_has_one_stage_and_no_epochs():
    class Plain(Defense):
        name: ClassVar[str] = "plain"

    class Trained(Plain):
        training: TrainingSettings = TrainingSettings()

    plain, trained = Plain(), Trained()
    assert plain.stages() == (Stage("plain", "purified", ()),)
    assert (plain.held, plain.attention, plain.needs, plain.slow) == (0, None, frozenset(), False)
    assert plain.epochs_field("plain") is None
    assert trained.epochs_field("plain") == "training.epochs"
    assert trained.epochs_field("another") is None
    with pytest.raises(TypeError, match="Plain does not say how it defends"):
        plain.defend(port())
