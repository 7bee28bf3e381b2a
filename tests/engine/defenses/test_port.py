"""What a defense is handed, and what it cannot get at: the test set, the trigger, the target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from engine import events as ev
from engine.attacks.base import Attack
from engine.config.run import RunConfig
from engine.data.base import ImageData
from engine.defenses import DEFENSES
from engine.defenses.base import Defense, LabeledImages, Port, Stage, Work
from engine.evaluation.metrics import TestImages as Images  # pytest would take the class for tests
from engine.running import observer
from engine.running.observer import Observer
from engine.running.session import Session
from engine.running.stages import StageRunner
from engine.running.suspect import Suspect
from engine.settings import ObjectiveSettings, TrainingSettings
from engine.testing.walk import reachable
from engine.training.loop import Batch
from engine.training.objectives import CleanObjective
from tests.tiny import run_all, tiny_config

FORBIDDEN = (Attack, RunConfig, ImageData, Images, Observer, Session, StageRunner, Suspect)
SEEN: dict[str, list[Any]] = {}
"""What the spy could reach, by the moment at which it looked."""


class Spy(Defense):
    """Uses every verb of the port, and looks about wherever it is called."""

    name: ClassVar[str] = "spy"
    needs_poisoned: ClassVar[bool] = False

    @property
    def held(self) -> float:
        return 0.25

    def stages(self) -> tuple[Stage, ...]:
        return Stage("spy-helper", "reference"), Stage("spy", "purified", needs=("spy-helper",))

    def defend(self, port: Port) -> Work[Any]:
        SEEN["port"] = reachable(port)
        objective = CleanObjective(ObjectiveSettings(), port.suspect)

        def looked(model: Any, batch: Batch) -> dict[str, Tensor]:
            SEEN.setdefault("objective", reachable((model, batch)))
            return objective(model, batch)

        def watched(model: Any) -> tuple[()]:
            SEEN.setdefault("watch", reachable(model))
            return ()

        settings = TrainingSettings(epochs=1, batch_size=32, lr=0.02)
        helper = yield from port.train("spy-helper", port.copy(), looked, settings, watch=watched)
        noise = torch.zeros_like(port.clean.images[:1], dtype=torch.float32, requires_grad=True)

        def loss(batch: Batch) -> dict[str, Tensor]:
            SEEN.setdefault("optimize", reachable(batch))
            return {"ce": helper(batch.images + noise).square().mean()}

        yield from port.optimize("spy", "noise", {"noise": noise}, loss, 3)

        def score(candidate: float) -> float:
            SEEN.setdefault("choose", reachable(candidate))
            return -abs(candidate - 2)

        chosen = yield from port.choose("spy", "factor", {"1": 1.0, "2": 2.0, "3": 3.0}, score)
        model = port.copy()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1 + 0.01 * chosen)
        SEEN["asks"] = reachable([(yield from port.adopt("spy", model)), objective])
        return model


def tensors(things: list[Any]) -> Iterator[Tensor]:
    yield from (thing for thing in things if isinstance(thing, Tensor))


@pytest.fixture(scope="module")
def spied(tmp_path_factory, module_cache) -> tuple[list[ev.Event], dict[str, Images]]:
    """A run whose defense is the spy, and the test images that were measured in it."""
    shown: dict[str, Images] = {}
    show = observer.Observer.show

    def remembered(self: Observer, trigger: Any) -> None:
        show(self, trigger)
        shown["test"] = self.test

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DEFENSES.ours, "spy", f"{__name__}:Spy")
        patch.setattr(Observer, "show", remembered)
        config = tiny_config("badnets", defended_by=["spy"])
        events = run_all(config, tmp_path_factory.mktemp("runs"))
    assert isinstance(events[-1], ev.RunFinished), events[-1]
    return events, shown


@pytest.mark.parametrize("moment", ["port", "objective", "watch", "optimize", "choose", "asks"])
def test_nothing_that_a_defense_holds_leads_to_test_set_trigger_or_target(spied, moment):
    _, shown = spied
    test = shown["test"]
    things = SEEN[moment]
    assert not [thing for thing in things if isinstance(thing, FORBIDDEN)]
    hidden = {tensor.untyped_storage().data_ptr() for tensor in (test.clean, test.triggered, test.labels, test.wanted)}
    assert not [tensor.shape for tensor in tensors(things) if tensor.untyped_storage().data_ptr() in hidden]


def test_no_tensor_is_a_view_of_the_training_set(spied):
    for things in SEEN.values():
        for tensor in tensors(things):
            assert tensor.untyped_storage().nbytes() < 300 * 3 * 32 * 32, "the training set has 300 images"


def test_the_walk_finds_what_a_closure_a_bound_method_or_a_generator_holds(spied):
    """The walk can fail: it goes wherever somebody could have put the test set."""
    _, shown = spied
    test = shown["test"]

    class Holder:
        def __init__(self) -> None:
            self.kept = test

        def train(self) -> None:
            return None

        def work(self) -> Iterator[None]:
            inner = self.kept
            yield
            del inner

    def closed() -> Any:
        return test

    begun = Holder().work()
    next(begun)
    for liar in (closed, Holder().train, {"a": [Holder()]}, begun, lambda hidden=test: hidden):
        assert any(thing is test for thing in reachable(liar))


def test_the_poisoned_set_is_handed_to_those_alone_that_declare_it():
    images = LabeledImages(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64))
    given = {"suspect": None, "clean": images, "held": images, "classes": 2, "taps": (), "device": None, "seed": 0}
    with pytest.raises(TypeError, match="poisoned set"):
        _ = Port(**given).poisoned
    assert Port(**given, _poisoned=images).poisoned is images


def test_what_was_chosen_is_recorded_with_its_scores(spied):
    events, _ = spied
    (chosen,) = [event for event in events if isinstance(event, ev.Chosen)]
    assert (chosen.stage, chosen.what, chosen.choice) == ("spy", "factor", "2")
    assert chosen.scores == {"1": -1.0, "2": 0.0, "3": -1.0}
