"""What every defense is: settings that know how to turn a suspect into a purified model, and the port it works through.

A defense sees the suspect and the clean subset, and acts through the port's verbs: train, optimize, adopt, choose,
isolate. The verbs do nothing themselves: they yield an `Ask`, which whoever runs the defense carries out and answers.
So nothing that the port holds leads to the test set, the trigger or the target, whatever a defense walks along, while
what it asks for is still measured, recorded, paused, stopped and resumed. torch is imported inside functions: settings
are validated before torch loads.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from engine.events import Event, Role
from engine.settings import AugmentSettings, ScheduleSettings, Section, TrainingSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from engine.device import Device
    from engine.figures import Cost, TapHealth
    from engine.training.loop import Batch, Objective
    from engine.training.steps import OptimizerFactory, TrainStep

T = TypeVar("T")

Need = Literal["poisoned set"]
Layer = Literal["batch norm", "convolution", "map to tap"]
Watch = Callable[["nn.Module"], "tuple[TapHealth, ...]"]
"""Looks at the model under training, at a stage's first step and after its last epoch; () = nothing to say yet."""


@dataclass(frozen=True)
class Stage:
    """A stage of a defense as it declares it: a `purified` model is what it is for, a `reference` helps on the way."""

    name: str
    """Unique in a run, and a file's name in its folder: the defense's own, or what the stage makes."""
    role: Role = "purified"
    needs: tuple[str, ...] = ()
    """The defense's own stages that it stands on; all stand on the suspect."""


@dataclass(frozen=True)
class LabeledImages:
    """Images with their labels, on the device."""

    images: Tensor
    """uint8 [N, 3, H, W]."""
    labels: Tensor
    """int64 [N]."""

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Ask:
    """Something a defense wants done; yielded to whoever runs it, who sends the answer back."""

    stage: str
    """The stage it belongs to, one that the defense declared."""


@dataclass(frozen=True)
class Train(Ask):
    """Train `model`, on the clean images unless it says on which; the answer is the model."""

    model: nn.Module
    objective: Objective
    settings: TrainingSettings
    optimizer: OptimizerFactory | None
    step: TrainStep | None
    watch: Watch | None
    data: LabeledImages | None
    """None = the clean images."""
    beside: nn.Module | None
    """Trained with it, and no part of what the stage comes to."""
    end: Callable[[nn.Module], object] | None
    """Done to the model after its last step, in place."""


@dataclass(frozen=True)
class Optimize(Ask):
    """Optimize tensors in place; the answer is the tensors."""

    name: str
    parameters: dict[str, Tensor]
    loss: Callable[[Batch], dict[str, Tensor]]
    steps: int
    batch_size: int
    optimizer: Callable[[list[Tensor]], torch.optim.Optimizer]
    project: Callable[[], None] | None
    augment: AugmentSettings | None = None
    schedule: ScheduleSettings | None = None


@dataclass(frozen=True)
class Adopt(Ask):
    """Take `model` as what the stage has come to; the answer is the model."""

    model: nn.Module
    given: bool
    curve: Mapping[float, Callable[[], nn.Module]]


@dataclass(frozen=True)
class Choose(Ask):
    """Score candidates by name; the answer is the name of the best."""

    what: str
    candidates: tuple[str, ...]
    score: Callable[[str], float]
    cost: Callable[[str], Cost] | None
    """What the best comes to, where there is a budget."""


@dataclass(frozen=True)
class Isolate(Ask):
    """Set images of the poisoned set apart; the answer is their places, sorted."""

    places: Tensor


Work = Generator["Event | Ask", Any, T]
"""What a defense does: events and asks on the way, a result at the end."""


@dataclass(frozen=True)
class Port:
    """All that a defense is handed."""

    suspect: nn.Module
    """The model under suspicion: frozen, in eval mode, on the device."""
    clean: LabeledImages
    """The clean subset, less what is held."""
    held: LabeledImages
    """The part of it to choose on: empty unless the defense says how much it holds (`Defense.held`)."""
    classes: int
    taps: tuple[str, ...]
    """The names of the suspect's taps, from input to output."""
    device: Device
    seed: int
    """For whatever the defense itself draws."""
    mirror: bool = False
    """Whether a mirrored image keeps its label."""
    purified: Mapping[str, nn.Module] = field(default_factory=dict)
    """What the defenses that it stands on came to (`Defense.stands_on`), by their names: frozen, in eval mode."""
    _build: Callable[[int], nn.Module] | None = field(default=None, repr=False)
    _poisoned: LabeledImages | None = field(default=None, repr=False)

    @property
    def poisoned(self) -> LabeledImages:
        """The training set as the suspect's owner had it, poisoned images among them, nobody knows which.

        Raises:
            TypeError: the defense does not declare that it needs it.
        """
        if self._poisoned is None:
            raise TypeError("this defense is not handed the poisoned set: it has to declare needs = {'poisoned set'}")
        return self._poisoned

    def copy(self) -> nn.Module:
        """A trainable copy of the suspect."""
        from engine.models.inference import copy_of

        return copy_of(self.suspect)

    def fresh(self) -> nn.Module:
        """A trainable network of the suspect's kind, its weights drawn anew by the port's seed."""
        if self._build is None:
            raise TypeError("this port builds no networks")
        return self._build(self.seed)

    def train(
        self,
        stage: str,
        model: nn.Module,
        objective: Objective,
        settings: TrainingSettings,
        *,
        optimizer: OptimizerFactory | None = None,
        step: TrainStep | None = None,
        watch: Watch | None = None,
        data: LabeledImages | None = None,
        beside: nn.Module | None = None,
        end: Callable[[nn.Module], object] | None = None,
    ) -> Work[nn.Module]:
        """Train `model` by the settings: one stage, measured at epoch ends, saved after each.

        Args:
            objective: the loss's summands for a batch (see `engine.training.objectives`).
            optimizer: makes another than the settings name.
            step: another step than down the gradient once (a sharpness-aware one, say).
            watch: what is recorded of each tap at the first step and at the end.
            data: the images it learns on (the poisoned set less what was isolated, say); None = `clean`.
            beside: what the objective uses and what learns with the model (projections, say): saved while it trains,
                left out of what the stage comes to.
            end: what is done to the model after its last step, in place (its weights drawn back, say).
        """
        return (yield Train(stage, model, objective, settings, optimizer, step, watch, data, beside, end))

    def optimize(
        self,
        stage: str,
        name: str,
        parameters: Mapping[str, Tensor],
        loss: Callable[[Batch], dict[str, Tensor]],
        steps: int,
        *,
        batch_size: int = 64,
        optimizer: Callable[[list[Tensor]], torch.optim.Optimizer] | None = None,
        project: Callable[[], None] | None = None,
        augment: AugmentSettings | None = None,
        schedule: ScheduleSettings | None = None,
    ) -> Work[dict[str, Tensor]]:
        """Optimize tensors (masks, noises, an inverted trigger) on batches of `clean`, in place.

        Args:
            name: of what is optimized, unique in the stage: under it a resumed run finds it.
            parameters: leaves that want gradients, by name.
            loss: the summands for a batch of clean images, float [B, 3, H, W] in [0, 1].
            optimizer: made for the parameters; None = Adam at 0.1.
            project: after each step, to bring the parameters back into their bounds.
            augment: how the images are augmented; None = they are not.
            schedule: of the optimizer's rate, over all steps; its milestones are passes. None = constant.
        """

        def adam(tensors: list[Tensor]) -> torch.optim.Optimizer:
            import torch

            return torch.optim.Adam(tensors, lr=0.1)

        leaves, made = dict(parameters), optimizer or adam
        return (yield Optimize(stage, name, leaves, loss, steps, batch_size, made, project, augment, schedule))

    def adopt(
        self,
        stage: str,
        model: nn.Module,
        *,
        given: bool = False,
        curve: Mapping[float, Callable[[], nn.Module]] | None = None,
    ) -> Work[nn.Module]:
        """Take a model for a stage that was edited without training, or with modules added (masks, bounds): measured.

        Args:
            given: it came from a file rather than from this run.
            curve: models along a path to it, made when their turn comes; their figures are recorded as a curve.
        """
        return (yield Adopt(stage, model, given, dict(curve or {})))

    def choose(
        self,
        stage: str,
        what: str,
        candidates: Mapping[str, T],
        score: Callable[[T], float],
        cost: Callable[[T], Cost] | None = None,
    ) -> Work[T]:
        """The candidate of the highest score, the first among equals; choice and scores are recorded.

        Args:
            what: is chosen, in a word or two.
            candidates: by the name under which they are recorded.
            score: judges one, by what the defense holds.
            cost: what the best costs, by the same; None = there is no budget.
        """
        told = None if cost is None else lambda name: cost(candidates[name])
        chosen = yield Choose(stage, what, tuple(candidates), lambda name: score(candidates[name]), told)
        return candidates[chosen]

    def isolate(self, stage: str, places: Tensor) -> Work[Tensor]:
        """Report which images of `poisoned` the defense takes for poisoned, once in a stage.

        How many of them are, the record says; the defense is not told. In a resumed run the answer is what was
        isolated at first.

        Args:
            places: among `poisoned`, int64, each once.
        """
        return (yield Isolate(stage, places))


class Defense(Section):
    """Base of all defenses' settings."""

    name: ClassVar[str]
    summary: ClassVar[str] = ""
    """What the defense does, in one line."""
    source: ClassVar[str] = ""
    """Citation."""
    needs: ClassVar[frozenset[Need]] = frozenset()
    """What it has to be handed beside the suspect and the clean subset."""
    layers: ClassVar[frozenset[Layer]] = frozenset()
    """What a network has to be made of: of one without, the defense is `unfit`."""
    slow: ClassVar[bool] = False
    """Whether it takes so long that `all` leaves it out."""
    budgeted: ClassVar[str] = "budget"
    """The field, where it has one of that name, that says how many points of ACC on the held images it may cost."""

    @property
    def held(self) -> float:
        """The share of the clean subset, below 1, that it does not train on but chooses on; 0 = it chooses nothing."""
        return 0.0

    @property
    def attention(self) -> tuple[str, float] | None:
        """Operator and exponent by which it reads attention, for the maps of the record; None = it reads none."""
        return None

    @property
    def wanted(self) -> frozenset[Layer]:
        """`layers`; of one that reads attention, a map to tap as well."""
        return self.layers if self.attention is None else self.layers | {"map to tap"}

    @property
    def stands_on(self) -> tuple[str, ...]:
        """The defenses of the same run, by their names, whose purified models it uses; they run before it."""
        return ()

    def stages(self) -> tuple[Stage, ...]:
        """Its stages in their order; the last is of the purified model."""
        return (Stage(self.name),)

    def epochs_field(self, stage: str) -> str | None:
        """The field of its own that says in how many epochs a stage is trained; None where there is none.

        By default `training.epochs`, where the defense has it, for the last stage.
        """
        trains = "training" in type(self).model_fields and stage == self.stages()[-1].name
        return "training.epochs" if trains else None

    def files(self) -> list[Path]:
        """The files whose content shapes what it does: a resumed run goes on with the same, or not at all."""
        return []

    def unfit(self, model: nn.Module, clean: Tensor) -> str | None:
        """Why a network cannot bear this defense, whatever its settings, in a few words; None = it can.

        The run then goes on without it and says so (n/a), where `check` refuses the whole of it. By default what of
        `wanted` the network has none of; a convolution that cuts images into patches is none of maps.

        Args:
            model: as the suspect's, its weights drawn anew.
            clean: a few images of the clean subset, float [N, 3, H, W] in [0, 1].
        """
        from torch import nn

        there: dict[Layer, bool] = {
            "batch norm": any(isinstance(each, nn.BatchNorm2d) for each in model.modules()),
            "convolution": any(
                isinstance(each, nn.Conv2d) and each.kernel_size > each.stride for each in model.modules()
            ),
            "map to tap": bool(getattr(model, "tap_names", ())),
        }
        missing = [layer for layer in sorted(self.wanted) if not there[layer]]
        return f"the network has no {' and no '.join(missing)}" if missing else None

    def check(self, model: nn.Module, clean: Tensor) -> None:
        """Refuse a network, or settings, that cannot work together; called before anything is trained.

        Args:
            model: as the suspect's, its weights drawn anew.
            clean: a few images of the clean subset, float [N, 3, H, W] in [0, 1].

        Raises:
            RequestError: one line that says what, where, and what is allowed.
        """

    def defend(self, port: Port) -> Work[nn.Module]:
        """Make the purified model; the generator's result, frozen."""
        raise TypeError(f"{type(self).__name__} does not say how it defends")
