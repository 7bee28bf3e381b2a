"""Anti-backdoor learning (Li et al., NeurIPS 2021): a network learns poisoned images sooner than others. One is trained
anew on the poisoned set so that this shows, the images of the lowest loss are isolated, the network is trained on with
the rest, and then unlearns the isolated ones.

That it shows: below a loss of gamma an image's loss is driven up again (flooding, |L - gamma| + gamma, of the batch's
mean, as the authors' code does by default; or local gradient ascent, sign(L - gamma) L, the paper's equation 3). Such a
network swings between classes from step to step, so ours takes each image's loss as its mean over several looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.defenses.base import Defense, LabeledImages, Need, Port, Stage, Work
from engine.settings import (
    AttackTrainingSettings,
    AugmentSettings,
    Fraction,
    ScheduleSettings,
    Section,
    TrainingSettings,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.training.loop import Batch

ISOLATION, TRAINING = "abl-isolation", "abl-training"


class IsolationSettings(Section):
    """The training in which poisoned images stand out, and what is isolated after it."""

    training: TrainingSettings = TrainingSettings(
        epochs=2,
        batch_size=64,
        lr=0.1,
        schedule=ScheduleSettings(name="constant"),
        weight_decay=1e-4,
        augment=AugmentSettings(crop=0, flip=False),
    )
    trap: Literal["flooding", "ascent"] = "flooding"
    """How the loss is kept at gamma: flooding of the batch's mean, or local gradient ascent."""
    gamma: float = Field(0.5, ge=0, le=100)
    share: Fraction = 0.01
    """Of the poisoned set, the images of the lowest loss that are isolated."""
    looks: int = Field(4, ge=1, le=100)
    """Times at which every image's loss is taken, evenly over the second half of the training up to its end; the mean
    counts. 1, at the end alone, is the authors'."""


class UnlearningSettings(Section):
    """The ascent on the isolated images."""

    training: TrainingSettings = TrainingSettings(
        epochs=10,
        batch_size=64,
        lr=5e-4,
        schedule=ScheduleSettings(name="constant"),
        weight_decay=1e-4,
        augment=AugmentSettings(crop=0, flip=False),
    )


class Abl(Defense):
    """Settings of ABL: those of its three stages."""

    name: ClassVar[str] = "abl"
    summary: ClassVar[str] = "isolates what is learned first, trains anew without it, then unlearns it"
    source: ClassVar[str] = (
        "Li, Lyu, Koren, Lyu, Li, Ma: Anti-Backdoor Learning: Training Clean Models on Poisoned Data, NeurIPS 2021 "
        "(arXiv 2110.11571), section 3, and the authors' code"
    )
    needs: ClassVar[frozenset[Need]] = frozenset({"poisoned set"})
    slow: ClassVar[bool] = True

    isolation: IsolationSettings = IsolationSettings()
    training: AttackTrainingSettings = AttackTrainingSettings(epochs=4, batch_size=128, lr=0.2, first_layer="whitened")
    """Of the same network with what was not isolated."""
    unlearning: UnlearningSettings = UnlearningSettings()

    def stages(self) -> tuple[Stage, ...]:
        """The two trainings, references; what is left after unlearning."""
        return (
            Stage(ISOLATION, "reference"),
            Stage(TRAINING, "reference", needs=(ISOLATION,)),
            Stage(self.name, "purified", needs=(TRAINING,)),
        )

    def epochs_field(self, stage: str) -> str | None:
        """Each stage is trained."""
        return {ISOLATION: "isolation.training.epochs", TRAINING: "training.epochs"}.get(
            stage, "unlearning.training.epochs"
        )

    def defend(self, port: Port) -> Work[nn.Module]:
        """Isolate, train, unlearn."""
        from engine.defenses.retraining import without
        from engine.models.inference import copy_of, freeze
        from engine.settings import ObjectiveSettings
        from engine.training.conditioning import whiten_first_layer
        from engine.training.objectives import CleanObjective

        poisoned, model, trap = port.poisoned, port.fresh(), Trap(self.isolation, port)
        if self.training.first_layer == "whitened":
            whiten_first_layer(model, poisoned.images)
        settings = self.isolation.training
        trapped = yield from port.train(ISOLATION, model, trap, settings, data=poisoned, beside=trap.seen)
        places = yield from port.isolate(ISOLATION, trap.learned_first(freeze(trapped)))
        isolated = LabeledImages(poisoned.images[places], poisoned.labels[places])
        rest, objective = without(poisoned, places), CleanObjective(ObjectiveSettings(mixup=self.training.mixup))
        trained = yield from port.train(TRAINING, copy_of(trapped), objective, self.training, data=rest)
        settings = self.unlearning.training
        return freeze((yield from port.train(self.name, copy_of(trained), _ascent, settings, data=isolated)))


class Trap:
    """What the first training minimizes, and the losses by which it isolates."""

    def __init__(self, settings: IsolationSettings, port: Port) -> None:
        import torch
        from torch import nn

        self._settings, self._port = settings, port
        device = port.poisoned.labels.device
        self.seen = nn.Module()
        """The images' losses, summed over the looks but the last, and the number of these: a resume goes on there."""
        self.seen.register_buffer("losses", torch.zeros(len(port.poisoned), device=device))
        self.seen.register_buffer("looks", torch.tensor(0, device=device))

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The loss, kept from falling below gamma."""
        import torch.nn.functional as F

        from engine.models.inference import in_eval_mode

        looks, settings = int(self.seen.looks), self._settings
        if looks + 1 < settings.looks and batch.done >= (1 + (looks + 1) / settings.looks) / 2:
            with in_eval_mode(model):
                self.seen.losses += losses(model, self._port)
            self.seen.looks += 1
        loss = F.cross_entropy(model(batch.images).float(), batch.labels)
        if settings.trap == "flooding":
            return {"flooding": (loss - settings.gamma).abs() + settings.gamma}
        return {"ascent": (loss.detach() - settings.gamma).sign() * loss}

    def learned_first(self, model: nn.Module) -> Tensor:
        """The places of the images of the lowest loss, a last look at the trained model, in eval mode, included."""
        count = max(1, round(self._settings.share * len(self._port.poisoned)))
        return (self.seen.losses + losses(model, self._port)).argsort(stable=True)[:count]


def losses(model: nn.Module, port: Port) -> Tensor:
    """The cross-entropy of each image of the poisoned set under its label there, float [N]."""
    import torch
    import torch.nn.functional as F

    from engine.models.inference import BATCH, as_input

    poisoned, found = port.poisoned, []
    with torch.no_grad(), port.device.autocast():
        for images, labels in zip(poisoned.images.split(BATCH), poisoned.labels.split(BATCH), strict=True):
            found.append(F.cross_entropy(model(as_input(images)).float(), labels, reduction="none"))
    return torch.cat(found)


def _ascent(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Up the loss."""
    import torch.nn.functional as F

    return {"ascent": -F.cross_entropy(model(batch.images).float(), batch.labels)}
