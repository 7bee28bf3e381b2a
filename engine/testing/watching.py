"""A defense looked at from all sides while a run carries it out: what it is handed, says, asks for, and leaves behind.

The watch is a subclass made for one defense, put into the configuration in its place: nothing of the engine is changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from engine.attacks.base import Attack, AttackContext, PoisonedSet
from engine.config.run import RunConfig
from engine.data.base import ImageData
from engine.defenses.base import Ask, Defense, LabeledImages, Port, Work
from engine.evaluation.metrics import TestImages
from engine.events import Event
from engine.running.observer import Observer
from engine.running.session import Session
from engine.running.stages import StageRunner
from engine.running.suspect import Suspect
from engine.testing import digests
from engine.testing.contract import differences, listed
from engine.testing.walk import reachable

HIDDEN = (
    *(Attack, AttackContext, PoisonedSet, RunConfig, ImageData, TestImages),
    *(Observer, Session, StageRunner, Suspect),
)
"""What no defense may come by."""


@dataclass
class Notes:
    """What was seen of a defense."""

    secret: frozenset[bytes]
    """Digests of the test images, one by one."""
    told: list[Event] = field(default_factory=list)
    """Events of its own, not of what it asked for."""
    asked: list[Ask] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    """Which of the things it was handed were seen changed."""
    doors: str = ""
    """What its port leads to and should not; empty = nothing."""
    result: Any = None

    def follow(self, defense: Defense, work: Work[nn.Module], port: Port) -> Work[nn.Module]:
        """Carry on the defense's work, taking notes."""
        self.doors = open_doors(port, defense, self.secret)
        before = _handed(port)
        answer: Any = None
        try:
            while True:
                try:
                    said = work.send(answer)
                except StopIteration as end:
                    self.result = end.value
                    return end.value
                finally:
                    seen = differences(before, _handed(port))
                    self.changed += [what for what in seen if what not in self.changed]
                (self.asked if isinstance(said, Ask) else self.told).append(said)
                answer = yield said
        finally:
            work.close()


def watched(defense: Defense, notes: Notes) -> Defense:
    """The same defense, of which notes are taken."""

    class Watched(type(defense)):
        def defend(self, port: Port) -> Work[nn.Module]:
            return notes.follow(self, super().defend(port), port)

    return Watched.model_construct(**{name: getattr(defense, name) for name in type(defense).model_fields})


def _handed(port: Port) -> dict[str, object]:
    """Digests of everything that the defense was handed."""
    seen: dict[str, object] = {f"the suspect's {what}": told for what, told in digests.of_model(port.suspect).items()}
    poisoned = {"poisoned images": port.poisoned} if "poisoned set" in _open(port) else {}
    for what, given in {"clean images": port.clean, "held images": port.held, **poisoned}.items():
        seen[f"the {what}"] = digests.of_tensors({"images": given.images})
        seen[f"the labels of the {what}"] = digests.of_tensors({"labels": given.labels})
    return seen


def _open(port: Port) -> set[str]:
    """What more the port hands out when it is asked."""
    try:
        return {"poisoned set"} if len(port.poisoned) else set()
    except TypeError:
        return set()


def open_doors(port: Port, defense: Defense, secret: frozenset[bytes]) -> str:
    """What a port leads to that it should not: a thing of the engine, a test image, the training set."""
    found = reachable(port)
    doors = sorted({type(thing).__name__ for thing in found if isinstance(thing, HIDDEN)})
    own = [*_tensors(port.clean), *_tensors(port.held)]
    if "poisoned set" in defense.needs:
        own += _tensors(port.poisoned)
    elif _open(port):
        doors.append("the poisoned set, which it does not declare that it needs")
    images = [thing for thing in found if isinstance(thing, Tensor) and thing.ndim == 4]
    if any(not secret.isdisjoint(digests_of_images(tensor)) for tensor in images):
        doors.append("test images")
    if any(tensor.untyped_storage().nbytes() > tensor.nbytes for tensor in own):
        doors.append("what lies beside the images it is handed")
    return listed(doors)


def _tensors(images: LabeledImages) -> list[Tensor]:
    return [images.images, images.labels]


def digests_of_images(images: Tensor) -> Iterator[bytes]:
    """A digest of each image's pixels."""
    for image in images.detach().cpu():
        yield hashlib.sha256(image.contiguous().numpy().tobytes()).digest()
