"""What every attack is: settings that know how to mark images and whom to poison.

The base owns the protocol (which images, how many, which label); an attack owns its idea, the trigger. torch is
imported inside functions: an attack's settings are validated before torch loads, which takes a second.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from pydantic import Field, field_validator, model_validator

from engine.attacks.target import class_id
from engine.errors import RequestError
from engine.events import Event
from engine.settings import Section, Seed, TrainingSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from engine.device import Device

LabelRule = Literal["all-to-one", "all-to-all", "clean-label"]


class Trigger(Protocol):
    """A pure function on a uint8 batch [N, 3, H, W]: same images, same result, the input untouched."""

    def __call__(self, images: Tensor) -> Tensor:
        """The triggered images, uint8 [N, 3, H, W]."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """What defines the trigger (pattern, mask, warp), for the record and other tools."""
        ...


class Steps(Protocol):
    """Counts an optimization's steps, tells of them, and honors a pause or a stop between two."""

    count: int
    """Steps that are done, by a run that was resumed too."""

    def done(self, count: int = 1) -> Generator[Event, None, None]:
        """`count` steps more are done."""
        ...


Making = Generator[Event, None, "dict[str, Tensor]"]
"""Work that ends in tensors."""


class Lab(Protocol):
    """What an attack that trains or optimizes is lent: `engine.attacks.lab.TrainingLab` has it all."""

    device: Device

    def fresh_model(self, seed: int) -> nn.Module:
        """A network as the backdoored one's, on the device."""
        ...

    def surrogate(self, context: AttackContext, epochs: int | None = None) -> Generator[Event, None, nn.Module]:
        """A model trained on the clean images, frozen and in eval mode; `epochs` None = as the backdoored one."""
        ...

    def shapers_of_surrogate(self, seed: int, epochs: int | None = None) -> dict[str, Any]:
        """What shapes a surrogate, and with it whatever is optimized on it."""
        ...

    def surrogate_training(self, epochs: int | None) -> TrainingSettings:
        """How a model is trained that only the attack needs."""
        ...

    def product(
        self, kind: str, shapers: Mapping[str, Any], context: AttackContext, make: Callable[[], Making]
    ) -> Making:
        """Tensors that take long to make: recalled where they are known, else made and kept."""
        ...

    def train(
        self,
        kind: str,
        what: str,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        settings: TrainingSettings,
        *,
        seed: int,
        objective: Any = ...,
    ) -> Generator[Event, None, nn.Module]:
        """Train `model` for the product `kind`, from its last saved epoch on."""
        ...

    def steps(self, kind: str, what: str, total: int, state: Callable[[], dict[str, Tensor]]) -> Steps:
        """The steps of an optimization of the product `kind`, to be told of and to be paused between.

        `state`: all that it needs to go on after its last step, named.
        """
        ...

    def kept(self, kind: str) -> dict[str, Tensor]:
        """What `state` gave when the optimization was interrupted, on the CPU; empty where it begins."""
        ...


class JointModel(Protocol):
    """A backdoored model and a trigger that learn together: `engine.attacks.joint.Joint` is the base of such."""

    classifier: nn.Module
    learner: nn.Module

    def trigger(self) -> Trigger:
        """The trigger as it is now."""
        ...


@dataclass(frozen=True)
class AttackContext:
    """What an attack may build its trigger from."""

    images: Tensor
    """The training images, uint8 [N, 3, H, W]."""
    labels: Tensor
    """int64 [N]."""
    classes: int
    seed: int
    lent: Lab | None = None
    """Where it may train and optimize; None for attacks that do neither."""

    @property
    def lab(self) -> Lab:
        """Where an attack trains and optimizes; TypeError where none was lent."""
        if self.lent is None:
            raise TypeError("an attack that trains or optimizes needs a lab")
        return self.lent


@dataclass(frozen=True)
class PoisonedSet:
    """A training set after the attacker had it; the originals are untouched."""

    images: Tensor
    labels: Tensor
    indices: Tensor
    """The poisoned images' places, sorted, int64."""
    covers: Tensor
    """The places of images that were changed and keep their true class so that it means nothing, sorted, int64."""
    trigger_tensors: dict[str, Tensor] = field(default_factory=dict)


def generator(seed: int, purpose: int) -> torch.Generator:
    """A CPU generator for one purpose: streams of one seed for different purposes do not overlap in practice."""
    import torch

    return torch.Generator().manual_seed((seed * 1_000_003 + purpose * 7_919 + 17) % 2**63)


def draw_from(candidates: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` of the candidates, drawn by a CPU generator, sorted."""
    import torch

    order = torch.randperm(len(candidates), generator=generator)[:count]
    return candidates[order.to(candidates.device)].sort().values


class Attack(Section):
    """Base of all attacks' settings."""

    summary: ClassVar[str] = ""
    """What the attack does, in one line."""
    marks: ClassVar[bool] = True
    """Whether there is a trigger at all: without one, ASR and RA do not exist."""
    remakes: ClassVar[bool] = True
    """Whether a trigger that was recalled poisons the training set as it did when it was made."""
    learns: ClassVar[bool] = False
    """Whether the trigger learns together with the backdoored model, by `joint`."""

    name: str
    target: int | str = 0
    """The class the attacker wants, by its id (from 0) or its name; the record holds the id."""
    label_rule: LabelRule = "all-to-one"
    """all-to-one: poisoned images get the target class; all-to-all: class y gets y + 1; clean-label: only images
    of the target class are poisoned and no label changes."""
    poisoning_rate: float = Field(0.1, ge=0, le=1)
    """Share of the training images that is poisoned; for clean-label of the target class's images."""
    seed: Seed | None = None
    """Decides everything the attack draws, its model's training too; null = the run's seed."""

    @field_validator("target", mode="before")
    @classmethod
    def _target_is_an_id_or_a_name(cls, value: Any) -> Any:
        if (isinstance(value, int) and value >= 0) or (isinstance(value, str) and value.strip()):
            return value
        raise ValueError("the id of a class is wanted, greater than or equal to 0, or its name")

    @model_validator(mode="after")
    def _target_only_where_it_counts(self) -> Attack:
        if self.label_rule == "all-to-all" and self.target != 0:
            raise ValueError("all-to-all has no target class: leave attack.target at 0")
        return self

    def aimed(self, class_names: Sequence[str]) -> tuple[Attack, str]:
        """This attack with its target by id, and what is to be said of how that was read; mostly nothing.

        Raises:
            RequestError: no class has that id or name.
        """
        label, remark = class_id(self.target, class_names)
        return (self if label == self.target else self.model_copy(update={"target": label})), remark

    def check(self, classes: int, height: int, width: int) -> None:
        """Refuse settings that this data set cannot bear.

        Raises:
            RequestError: the target is no class of the data set, or what a subclass adds.
        """
        if self.target >= classes:
            raise RequestError(f"attack.target = {self.target}: the data set has classes 0 to {classes - 1}")

    def build(self, context: AttackContext) -> Generator[Event, None, Trigger]:
        """Make the trigger; attacks that optimize one yield `Preparing` events on the way."""
        raise TypeError(f"{type(self).__name__} builds no trigger")

    def recalled(self, tensors: Mapping[str, Tensor], context: AttackContext) -> Trigger:
        """The trigger that these tensors define: those that its `tensors` gave when it was made.

        Raises:
            RequestError: this attack's trigger cannot be had without carrying it out.
        """
        raise RequestError(f"attack {self.name}: its trigger cannot be read back, only made anew (--suspect trained)")

    def files(self) -> list[Path]:
        """The files whose content shapes the attack: what is kept of it is kept for their content."""
        return []

    def digest(self) -> str:
        """SHA-256 over the content of `files`, in hex; files that cannot be read count as empty."""
        digest = hashlib.sha256()
        for file in self.files():
            with contextlib.suppress(OSError):
                digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()

    def joint(self, classifier: nn.Module, trigger: Trigger, context: AttackContext) -> JointModel | None:
        """A trigger that learns together with the backdoored model; None: the model learns on the poisoned set."""
        return None

    def remarks(
        self, trigger: Trigger, predict: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor
    ) -> Iterator[str]:
        """What else is to be said of a backdoored model, a line each, once it is trained.

        `predict` gives the model's classes, int64 [N], for uint8 images [N, 3, H, W]; images and labels are the test
        set's.
        """
        yield from ()

    def wanted(self, labels: Tensor, classes: int) -> Tensor:
        """The class the attacker wants for each triggered image, int64 like `labels`."""
        import torch

        if self.label_rule == "all-to-all":
            return (labels + 1) % classes
        return torch.full_like(labels, self.target)

    def eligible(self, labels: Tensor, classes: int) -> Tensor:
        """Which images ASR, RA and base are counted over: those not yet where the attacker wants them, bool [N]."""
        return self.wanted(labels, classes) != labels

    def choose(self, labels: Tensor, classes: int, seed: int) -> Tensor:
        """The places of the images to poison, sorted, int64; exactly the poisoning rate, rounded.

        Raises:
            RequestError: the rate asks for more images than there are.
        """
        if self.label_rule == "clean-label":
            candidates = (labels == self.target).nonzero().flatten()
            count = round(self.poisoning_rate * len(candidates))
        else:
            candidates = self.eligible(labels, classes).nonzero().flatten()
            count = round(self.poisoning_rate * len(labels))
        if count > len(candidates):
            raise RequestError(
                f"attack.poisoning_rate = {self.poisoning_rate}: {count} images to poison, but only "
                f"{len(candidates)} are not of the target class"
            )
        return draw_from(candidates, count, generator(seed, 1))

    def poison(self, context: AttackContext, trigger: Trigger) -> PoisonedSet:
        """The training set as the attacker leaves it: chosen images marked, and relabeled unless clean-label."""
        indices = self.choose(context.labels, context.classes, context.seed)
        images, labels = context.images.clone(), context.labels.clone()
        images[indices] = self.mark(images[indices], trigger)
        if self.label_rule != "clean-label":
            labels[indices] = self.wanted(labels[indices], context.classes)
        return PoisonedSet(images, labels, indices, indices[:0], trigger.tensors())

    def mark(self, images: Tensor, trigger: Trigger) -> Tensor:
        """The poisoned form of the chosen training images; by default the trigger itself."""
        return trigger(images)


def to_uint8(values: Tensor) -> Tensor:
    """Pixel values computed wide, clipped to 0-255, rounded, then cast: nothing wraps."""
    import torch

    return values.clamp(0, 255).round().to(torch.uint8)
