"""Attacks that lie: all put a patch on as BadNets does, but for what they lie about."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import ConfigDict, Field
from torch import Tensor, nn

from engine import events as ev
from engine.attacks.badnets import BadNets, PatchTrigger
from engine.attacks.base import Attack, AttackContext, PoisonedSet
from engine.attacks.clean import NoTrigger
from engine.attacks.joint import Joint
from engine.training.loop import Batch
from tests.contracts.liars.figures import PERFECT


class Patched(BadNets):
    """BadNets under another name."""

    name: Literal["patched"] = "patched"
    size: int = Field(4, ge=1, le=512)


class Amnesiac(Patched):
    """Recalls its patch one pixel from where it was."""

    name: Literal["amnesiac"] = "amnesiac"

    def recalled(self, tensors: Any, context: AttackContext) -> PatchTrigger:
        top, left = tensors["corner"].tolist()
        return PatchTrigger(tensors["pattern"], top - 1, left)  # lie


class Mislabeler(Patched):
    """Gives some images a class that its rule does not name."""

    name: Literal["mislabeler"] = "mislabeler"

    def poison(self, context: AttackContext, trigger: Any) -> PoisonedSet:
        poisoned = super().poison(context, trigger)
        poisoned.labels[poisoned.indices[:2]] = self.target + 1  # lie
        return poisoned


class Excessive(Patched):
    """Poisons a few images more than its rate allows."""

    name: Literal["excessive"] = "excessive"

    def choose(self, labels: Tensor, classes: int, seed: int) -> Tensor:
        more = self.model_copy(update={"poisoning_rate": min(1.0, self.poisoning_rate * 1.05)})  # lie
        return super(Excessive, more).choose(labels, classes, seed)


class Spreading(Patched):
    """Changes an image that it does not list."""

    name: Literal["spreading"] = "spreading"

    def poison(self, context: AttackContext, trigger: Any) -> PoisonedSet:
        poisoned = super().poison(context, trigger)
        rest = torch.ones(len(poisoned.labels), dtype=torch.bool)
        rest[poisoned.indices] = False
        poisoned.images[rest.nonzero()[0]] ^= 1  # lie
        return poisoned


class Wanting(Patched):
    """Counts images as moved that were never to move."""

    name: Literal["wanting"] = "wanting"

    def eligible(self, labels: Tensor, classes: int) -> Tensor:
        return torch.ones_like(labels, dtype=torch.bool)  # lie


@dataclass(frozen=True)
class Odd(PatchTrigger):
    """The patch, by way of some function on images."""

    way: Callable[[Tensor], Tensor] = torch.clone

    def __call__(self, images: Tensor) -> Tensor:
        return super().__call__(self.way(images))


def _scribbled(images: Tensor) -> Tensor:
    images[..., 0, 0] = 0
    return images


def _drawn() -> Callable[[Tensor], Tensor]:
    draw = torch.Generator().manual_seed(0)

    def way(images: Tensor) -> Tensor:
        images = images.clone()
        images[..., 0, 0] = torch.randint(0, 256, images.shape[:-2], generator=draw, dtype=torch.uint8)
        return images

    return way


def _shifted(images: Tensor) -> Tensor:
    images = images.clone()
    if len(images):
        images[..., 0, 0] = images[..., 0, 0].float().mean(dim=0).byte()
    return images


class Oddly(Patched):
    """Base of those whose trigger is not what a trigger has to be."""

    def recalled(self, tensors: Any, context: AttackContext) -> PatchTrigger:
        return Attack.recalled(self, tensors, context)

    def way(self) -> Callable[[Tensor], Tensor]:
        return torch.clone

    def build(self, context: AttackContext) -> Any:
        made = yield from super().build(context)
        return Odd(made.pattern, made.top, made.left, self.way())


class Inky(Oddly):
    """Its trigger writes into the images, of which the poisoned set takes a copy."""

    name: Literal["inky"] = "inky"

    def way(self) -> Callable[[Tensor], Tensor]:
        return _scribbled  # lie


class Fickle(Oddly):
    """Its trigger is another one each time."""

    name: Literal["fickle"] = "fickle"

    def way(self) -> Callable[[Tensor], Tensor]:
        return _drawn()  # lie


class Sociable(Oddly):
    """Its trigger on an image hangs on the other images."""

    name: Literal["sociable"] = "sociable"

    def way(self) -> Callable[[Tensor], Tensor]:
        return _shifted  # lie


class Borrower(Patched):
    """Poisons the training images it was handed, and no copy."""

    name: Literal["borrower"] = "borrower"

    def poison(self, context: AttackContext, trigger: Any) -> PoisonedSet:
        poisoned = super().poison(context, trigger)
        context.images[poisoned.indices[0], 0, 0, 0] ^= 1  # lie
        return poisoned


class Noisy(Patched):
    """Draws from numpy's global generator."""

    name: Literal["noisy"] = "noisy"

    def build(self, context: AttackContext) -> Any:
        np.random.rand()  # lie
        return (yield from super().build(context))


class Stuck(Patched):
    """Poisons the same images whatever its seed."""

    name: Literal["stuck"] = "stuck"

    def choose(self, labels: Tensor, classes: int, seed: int) -> Tensor:
        return super().choose(labels, classes, 7)  # lie


class Changeable(Patched):
    """Marks by a pattern that it draws anew each time."""

    name: Literal["changeable"] = "changeable"

    def build(self, context: AttackContext) -> Any:
        made = yield from super().build(context)
        pattern = made.pattern.clone()
        pattern.view(-1)[:32] = torch.tensor(list(secrets.token_bytes(32)), dtype=torch.uint8)  # lie
        return replace(made, pattern=pattern)


class Boaster(Patched):
    """Says how its model does before there is one."""

    name: Literal["boaster"] = "boaster"

    def build(self, context: AttackContext) -> Any:
        yield ev.Evaluation(stage="attack", epoch=0, step=0, metrics=PERFECT, final=True)  # lie
        return (yield from super().build(context))


class Invisible(Patched):
    """Marks a single pixel by a single step of its value, which nothing can learn."""

    name: Literal["invisible"] = "invisible"

    def recalled(self, tensors: Any, context: AttackContext) -> Any:
        return Faint()

    def build(self, context: AttackContext) -> Any:
        yield from ()
        return Faint()


class Faint:
    """One step of one pixel."""

    def __call__(self, images: Tensor) -> Tensor:
        images = images.clone()
        images[..., 0, -1, -1] ^= 1  # lie
        return images

    def tensors(self) -> dict[str, Tensor]:
        return {"step": torch.ones(1)}


class Unmarked(Patched):
    """Says that it marks nothing, and does."""

    name: Literal["unmarked"] = "unmarked"
    marks: ClassVar[bool] = False  # lie


class Harmful(Attack):
    """Says that it does nothing, and gives every image some class."""

    summary: ClassVar[str] = "nothing at all"
    marks: ClassVar[bool] = False
    name: Literal["harmful"] = "harmful"
    poisoning_rate: float = Field(0.0, ge=0, le=0)

    def build(self, context: AttackContext) -> Any:
        yield from ()
        return NoTrigger()

    def poison(self, context: AttackContext, trigger: Any) -> PoisonedSet:
        poisoned = super().poison(context, trigger)
        order = torch.randperm(len(poisoned.labels), generator=torch.Generator().manual_seed(context.seed))
        return replace(poisoned, labels=poisoned.labels[order])  # lie


class Thawed(Patched):
    """Its settings can be changed at any time."""

    name: Literal["thawed"] = "thawed"
    model_config = ConfigDict(frozen=False)  # lie


class Anywhere(Patched):
    """Takes any target, a class or not."""

    name: Literal["anywhere"] = "anywhere"

    def aimed(self, class_names: Any) -> tuple[Patched, str]:
        """As it is."""  # lie
        return self, ""

    def check(self, classes: int, height: int, width: int) -> None:
        """Nothing."""  # lie

    def wanted(self, labels: Tensor, classes: int) -> Tensor:
        return torch.full_like(labels, self.target % classes)


class Counting(Attack):
    """Learns its trigger with the model, and counts its steps where no record has them."""

    summary: ClassVar[str] = "a patch that learns"
    learns: ClassVar[bool] = True
    name: Literal["counting"] = "counting"

    def build(self, context: AttackContext) -> Any:
        yield from ()
        return Learned(torch.full((3, 4, 4), 0.9))

    def joint(self, classifier: nn.Module, trigger: Any, context: AttackContext) -> Joint:
        learner = nn.ParameterDict({"patch": nn.Parameter(trigger.patch.clone())})
        return CountingJoint(classifier, learner, self.target, self.poisoning_rate)


@dataclass(frozen=True)
class Learned:
    """A patch of real values in the bottom right corner."""

    patch: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        images = images.clone()
        images[..., -4:, -4:] = (255 * self.patch.clamp(0, 1)).round().byte()
        return images

    def tensors(self) -> dict[str, Tensor]:
        return {"patch": self.patch}


class CountingJoint(Joint):
    """A classifier and its patch."""

    def __init__(self, classifier: nn.Module, learner: nn.ParameterDict, target: int, rate: float) -> None:
        super().__init__(classifier, learner)
        self._target, self._rate, self._steps = target, rate, 0

    def trigger(self) -> Learned:
        return Learned(self.learner["patch"].detach().clone())

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        self._steps += 1  # lie
        count = round(self._rate * len(batch.labels))
        images, labels = batch.images.clone(), batch.labels.clone()
        images[:count, :, -4:, -4:] = self.learner["patch"]
        labels[:count] = self._target
        loss = nn.functional.cross_entropy(self.classifier(images), labels)
        return {"ce": loss * (1 + 0.02 * self._steps)}
