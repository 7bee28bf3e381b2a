"""Defenses that lie: all fine-tune, and so erase what is there, but for what they lie about."""

from __future__ import annotations

import gc
import secrets
from typing import ClassVar

import torch
from pydantic import ConfigDict
from torch import Tensor, nn

from engine import events as ev
from engine.defenses.base import Defense, Port, Work
from engine.evaluation.metrics import TestImages
from engine.models.inference import freeze
from engine.settings import TrainingSettings
from engine.testing.walk import reachable
from engine.training.loop import Batch, Objective, cross_entropy
from tests.contracts.liars.figures import PERFECT


class Honest(Defense):
    """Fine-tunes a copy of the suspect; what liars do differently they override."""

    name: ClassVar[str] = "honest"
    summary: ClassVar[str] = "fine-tuned, and nothing said that is not so"

    training: TrainingSettings = TrainingSettings(epochs=10, batch_size=64, lr=0.02)

    def defend(self, port: Port) -> Work[nn.Module]:
        self.before(port)
        model = yield from self.train(port, self.objective(port))
        self.after(port, model)
        return freeze(model)

    def train(self, port: Port, objective: Objective) -> Work[nn.Module]:
        return (yield from port.train(self.name, self.copy_of(port), objective, self.training))

    def copy_of(self, port: Port) -> nn.Module:
        return port.copy()

    def objective(self, port: Port) -> Objective:
        return cross_entropy

    def before(self, port: Port) -> None: ...

    def after(self, port: Port, model: nn.Module) -> None: ...


class Scribbler(Honest):
    """Writes into the images it was handed."""

    name: ClassVar[str] = "scribbler"

    def after(self, port: Port, model: nn.Module) -> None:
        port.clean.images[0, 0, 0, 0] ^= 1  # lie


class Trespasser(Honest):
    """Trains the suspect itself, and no copy."""

    name: ClassVar[str] = "trespasser"

    def copy_of(self, port: Port) -> nn.Module:
        for parameter in port.suspect.parameters():
            parameter.requires_grad_(True)
        return port.suspect  # lie


class Waker(Honest):
    """Leaves the suspect in training mode."""

    name: ClassVar[str] = "waker"

    def after(self, port: Port, model: nn.Module) -> None:
        port.suspect.train()  # lie


class Gambler(Honest):
    """Draws from the global generator."""

    name: ClassVar[str] = "gambler"

    def before(self, port: Port) -> None:
        torch.rand(1)  # lie


class Sower(Honest):
    """Seeds the global generator."""

    name: ClassVar[str] = "sower"

    def before(self, port: Port) -> None:
        torch.manual_seed(port.seed)  # lie


class Moody(Honest):
    """Never does the same twice."""

    name: ClassVar[str] = "moody"

    def copy_of(self, port: Port) -> nn.Module:
        model = port.copy()
        with torch.no_grad():
            next(model.parameters()).add_(1e-8 * secrets.randbelow(10**6))  # lie
        return model


class Deaf(Defense):
    """Optimizes something on the clean images, and looks at none of them; so that it erases nothing either."""

    name: ClassVar[str] = "deaf"
    summary: ClassVar[str] = "weights that are a little larger"

    def defend(self, port: Port) -> Work[nn.Module]:
        factor = torch.ones(1, requires_grad=True)

        def loss(batch: Batch) -> dict[str, Tensor]:
            return {"distance": (factor - 1.01).square().sum()}  # lie

        yield from port.optimize(self.name, "factor", {"factor": factor}, loss, 4)
        model = port.copy()
        with torch.no_grad():
            model.fc.weight.mul_(factor)
        return freeze((yield from port.adopt(self.name, model)))


class Forger(Honest):
    """Reports figures of its own making."""

    name: ClassVar[str] = "forger"

    def train(self, port: Port, objective: Objective) -> Work[nn.Module]:
        yield ev.CurvePoint(stage=self.name, at=1.0, metrics=PERFECT)  # lie
        return (yield from super().train(port, objective))


class Forgetful(Honest):
    """Keeps in mind how many steps it did, where no record has it."""

    name: ClassVar[str] = "forgetful"

    def objective(self, port: Port) -> Objective:
        steps = 0

        def growing(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
            nonlocal steps
            steps += 1  # lie
            return {"ce": (1 + 0.05 * steps) * cross_entropy(model, batch)["ce"]}

        return growing


class Idle(Honest):
    """Trains, and nothing moves."""

    name: ClassVar[str] = "idle"

    def objective(self, port: Port) -> Objective:
        def nothing(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
            return {"ce": 0 * cross_entropy(model.eval(), batch)["ce"]}  # lie

        return nothing

    def train(self, port: Port, objective: Objective) -> Work[nn.Module]:
        settings = self.training.model_copy(update={"weight_decay": 0.0})
        return (yield from port.train(self.name, port.copy(), objective, settings))


class Litterer(Honest):
    """Leaves a hook on the suspect, which whoever copies it copies too."""

    name: ClassVar[str] = "litterer"

    def after(self, port: Port, model: nn.Module) -> None:
        port.suspect.register_forward_hook(lambda module, given, logits: 2 * logits)  # lie


class Peeper(Honest):
    """Looks through the whole process for the test set, and trains a little less the fewer images it has."""

    name: ClassVar[str] = "peeper"

    def objective(self, port: Port) -> Objective:
        gc.collect()
        seen = max(len(thing.labels) for thing in gc.get_objects() if type(thing) is TestImages)  # lie
        return lambda model, batch: {"ce": (1 + seen / 1000) * cross_entropy(model, batch)["ce"]}


class Walker(Honest):
    """Looks for the test set wherever its port leads; there is none, so that it is honest in spite of itself."""

    name: ClassVar[str] = "walker"

    def objective(self, port: Port) -> Objective:
        found = [thing for thing in reachable(port) if isinstance(thing, TestImages)]
        return lambda model, batch: {"ce": (1 + len(found)) * cross_entropy(model, batch)["ce"]}


class Greedy(Honest):
    """Asks for the poisoned set without having declared it."""

    name: ClassVar[str] = "greedy"

    def before(self, port: Port) -> None:
        _ = port.poisoned  # lie


class Brief(Honest):
    """Trains for an epoch less than its settings say."""

    name: ClassVar[str] = "brief"

    def train(self, port: Port, objective: Objective) -> Work[nn.Module]:
        settings = self.training.model_copy(update={"epochs": self.training.epochs - 1})  # lie
        return (yield from port.train(self.name, port.copy(), objective, settings))


class Swapper(Honest):
    """Hands back another model than the one that was measured."""

    name: ClassVar[str] = "swapper"

    def defend(self, port: Port) -> Work[nn.Module]:
        yield from self.train(port, self.objective(port))
        return port.suspect  # lie


class Fluid(Honest):
    """Hands back a model that can still be trained."""

    name: ClassVar[str] = "fluid"

    def defend(self, port: Port) -> Work[nn.Module]:
        return (yield from self.train(port, self.objective(port))).eval()  # lie


class Placebo(Defense):
    """Hands out the suspect as purified."""

    name: ClassVar[str] = "placebo"
    summary: ClassVar[str] = "nothing at all"

    def defend(self, port: Port) -> Work[nn.Module]:
        return freeze((yield from port.adopt(self.name, port.copy())))  # lie


class Wrecker(Defense):
    """Erases the backdoor and everything else."""

    name: ClassVar[str] = "wrecker"
    summary: ClassVar[str] = "a model that knows nothing"

    def defend(self, port: Port) -> Work[nn.Module]:
        model = port.copy()
        with torch.no_grad():
            model.fc.weight.zero_()  # lie
            model.fc.bias.copy_(torch.arange(port.classes))
        return freeze((yield from port.adopt(self.name, model)))


class Fragile(Honest):
    """Falls over images that are small, in the middle of the run."""

    name: ClassVar[str] = "fragile"

    def before(self, port: Port) -> None:
        port.clean.images[..., 12, 12].sum()  # lie


class Careless(Honest):
    """Reads attention, and does not look whether there is any."""

    name: ClassVar[str] = "careless"

    @property
    def attention(self) -> tuple[str, float]:
        return "sum_p", 2.0  # lie


class Lax(Honest):
    """Takes every field it is given."""

    name: ClassVar[str] = "lax"
    model_config = ConfigDict(extra="ignore")  # lie


class Untitled(Honest):
    """Goes by another name than the one it is registered by."""
