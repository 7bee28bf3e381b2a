"""Neural attention distillation (Li et al., ICLR 2021): a teacher fine-tuned on the clean subset, and a student whose
attention maps follow the teacher's, group by group.

    loss = CE(student(x), y) + sum over groups l of beta_l x || a_S^l - a_T^l ||^2   (the paper's equation 3)
"""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor, nn

from engine.attention.maps import attention_loss, dead_taps
from engine.config.run import DistillSettings, TeacherSettings
from engine.defenses.base import Defender, freeze
from engine.errors import RequestError, StageError
from engine.events import Event, TapHealth
from engine.training.loop import Batch, as_input
from engine.training.objectives import CleanObjective, Mixed, mixup

PROBE = 64
"""Clean images on which dead taps are looked for and the taps' health is measured."""


def make_teacher(defender: Defender, settings: TeacherSettings) -> Generator[Event, None, nn.Module]:
    """Fine-tune a copy of the backdoored model on the clean subset; returned frozen, in eval mode."""
    objective = CleanObjective(settings.objective, defender.backdoored)
    model = yield from defender.train("teacher", defender.fresh(), objective, settings.training)
    return freeze(model)


def distill(defender: Defender, teacher: nn.Module, settings: DistillSettings) -> Generator[Event, None, nn.Module]:
    """Train a copy of the backdoored model so that its attention maps follow the teacher's.

    Raises:
        StageError: a tap that is to be distilled has a map that can say nothing (see `dead_taps`).
    """
    student = defender.fresh()
    objective = NadObjective(settings, defender.backdoored, freeze(teacher), student.tap_names)
    probe = as_input(defender.images[:PROBE])
    refuse_dead_taps(teacher, probe, settings)
    batch = Batch(probe, defender.labels[:PROBE], torch.Generator())
    trained = yield from defender.train(
        "nad", student, objective, settings.training, watch=lambda model: objective.health(model, batch)
    )
    return freeze(trained)


def check_taps(tap_names: tuple[str, ...], settings: DistillSettings) -> None:
    """Refuse a beta that does not fit the model.

    Raises:
        RequestError: not one weight for each tap, or no tap with a weight at all.
    """
    if len(settings.beta) != len(tap_names):
        raise RequestError(
            f"distill.beta = {list(settings.beta)}: {len(tap_names)} weights are wanted, one for each of "
            f"{', '.join(tap_names)}"
        )
    if not any(settings.beta):
        raise RequestError("distill.beta: all weights are 0, which is plain fine-tuning: --defense fine-tuning")


@torch.no_grad()
def refuse_dead_taps(model: nn.Module, images: Tensor, settings: DistillSettings) -> None:
    """Look for taps with a weight but without information.

    Args:
        images: float [N, 3, H, W] in [0, 1].

    Raises:
        StageError: there is one; each is named with the reason.
    """
    was_training = model.training
    _, taps = model.eval().forward_with_taps(images)
    model.train(was_training)
    dead = dead_taps(model.tap_names, taps, settings.operator, settings.p)
    used = {name: why for name, why in dead.items() if settings.beta[model.tap_names.index(name)]}
    if used:
        reasons = "; ".join(f"{name}: {why}" for name, why in used.items())
        raise StageError(
            f"stage nad: {reasons}, so its attention loss would be 0 whatever the student does; give it weight 0 "
            f"in distill.beta, or larger images"
        )


class NadObjective(CleanObjective):
    """Cross-entropy (and anchor, mixup) plus the attention losses, on one forward pass of each model."""

    def __init__(
        self, settings: DistillSettings, backdoored: nn.Module, teacher: nn.Module, tap_names: tuple[str, ...]
    ) -> None:
        super().__init__(settings.objective, backdoored)
        self.distill = settings
        self.teacher = teacher
        self.tap_names = tap_names

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The loss's summands: `ce`, `anchor` where it is on, and one for each tap with a weight."""
        return self._all_parts(model, mixup(batch, self.settings.mixup))

    def _all_parts(self, model: nn.Module, mixed: Mixed) -> dict[str, Tensor]:
        with torch.no_grad():
            _, teacher_taps = self.teacher.forward_with_taps(mixed.images)
        logits, taps = model.forward_with_taps(mixed.images)
        parts = self.parts(logits, mixed)
        for name, beta, mine, theirs in zip(self.tap_names, self.distill.beta, taps, teacher_taps, strict=True):
            if beta:
                parts[name] = beta * attention_loss(
                    mine,
                    theirs,
                    operator=self.distill.operator,
                    p=self.distill.p,
                    normalize=self.distill.normalize,
                    reduction=self.distill.reduction,
                )
        return parts

    def health(self, model: nn.Module, batch: Batch) -> tuple[TapHealth, ...]:
        """Each tap's map size, loss, share of the whole loss and gradient norm, on a fixed batch in eval mode."""
        was_training = model.training
        model.eval()
        parts = self._all_parts(model, mixup(batch, 0))
        with torch.no_grad():
            _, taps = model.forward_with_taps(batch.images)
        total = sum(float(part.detach()) for part in parts.values())
        parameters = list(model.parameters())
        report = []
        for name, beta, tap in zip(self.tap_names, self.distill.beta, taps, strict=True):
            loss, norm = 0.0, 0.0
            if name in parts:
                loss = float(parts[name].detach())
                grads = torch.autograd.grad(parts[name], parameters, retain_graph=True, allow_unused=True)
                norm = float(torch.stack([g.float().norm() for g in grads if g is not None]).norm())
            height, width = tap.shape[-2:]
            report.append(
                TapHealth(
                    tap=name,
                    height=height,
                    width=width,
                    beta=beta,
                    loss=loss,
                    share=loss / total if total else 0.0,
                    gradient=norm,
                )
            )
        model.train(was_training)
        return tuple(report)
