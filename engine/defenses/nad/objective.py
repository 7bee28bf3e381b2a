"""What NAD minimizes, and how each tap takes part in it. Needs torch.

loss = CE(student(x), y) + sum over taps l of beta_l x || a_S^l - a_T^l ||^2   (the paper's equation 3)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.attention.maps import attention_loss, dead_taps
from engine.attention.pairs import compared, paired
from engine.defenses.nad.settings import DistillSettings, StudentSettings
from engine.errors import RequestError
from engine.figures import TapHealth
from engine.models.inference import in_eval_mode
from engine.training.loop import Batch
from engine.training.objectives import CleanObjective, Mixed, anchored, drawn, mixup


class TapSettings(Protocol):
    """A student's settings with a weight for each tap."""

    def weights(self, tap_names: Sequence[str], cells: Sequence[int]) -> tuple[float, ...]:
        """The weight of each tap, in the taps' order; `cells`: of each, how many there are that are compared."""
        ...


@torch.no_grad()
def refuse_dead_taps(
    model: nn.Module, images: Tensor, settings: DistillSettings, teacher: nn.Module | None = None
) -> None:
    """Look for taps with a weight but without information, in the student, and in the teacher where one is given.

    Args:
        images: float [N, 3, H, W] in [0, 1].

    Raises:
        RequestError: there is one; each is named with the reason.
    """
    mine = _maps(model, images)
    theirs = mine if teacher is None else _maps(teacher, images)
    weights = settings.weights(model.tap_names, compared(mine, theirs))
    dead = dead_taps(model.tap_names, mine, settings.operator, settings.p)
    used = {
        name: why for name, weight in zip(model.tap_names, weights, strict=True) if weight and (why := dead.get(name))
    }
    if teacher is not None:
        dead = dead_taps(teacher.tap_names, theirs, settings.operator, settings.p)
        whose = "" if teacher.tap_names == model.tap_names else "the teacher's "
        for place, weight in zip(paired(mine, theirs), weights, strict=True):
            name = teacher.tap_names[place]
            if weight and name in dead:
                used.setdefault(f"{whose}{name}", dead[name])
    if used:
        reasons = "; ".join(f"{name}: {why}" for name, why in used.items())
        raise RequestError(
            f"nad: {reasons}, so its attention loss would be 0 whatever the student does; give it weight 0 "
            f"in defenses.nad.distill.beta, or larger images"
        )


def _maps(model: nn.Module, images: Tensor) -> tuple[Tensor, ...]:
    with in_eval_mode(model):
        return model.forward_with_taps(images)[1]


class LedObjective(CleanObjective):
    """Cross-entropy (and anchor, mixup) plus the anchor to a teacher's logits, where it has a weight."""

    def __init__(self, settings: StudentSettings, suspect: nn.Module, teacher: nn.Module) -> None:
        super().__init__(settings.objective, suspect)
        self.student = settings
        self.teacher = teacher

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The loss's summands: `ce`, and the anchors that are on."""
        mixed = drawn(batch, self.settings)
        with torch.no_grad():
            taught = self.teacher(mixed.plain)
        return self.led(model(mixed.images), taught, mixed)

    def led(self, logits: Tensor, taught: Tensor, mixed: Mixed) -> dict[str, Tensor]:
        """The summands for logits already computed, the model's and the teacher's."""
        parts = self.parts(logits, mixed)
        anchor = self.student.teacher_anchor
        if anchor.weight:
            parts["teacher_anchor"] = anchored(anchor, logits, taught, mixed.done)
        return parts


class TapObjective(LedObjective):
    """The same plus a distance from the teacher's map at every tap, on one forward pass of each model.

    Where the teacher is another network, each of the student's maps follows the teacher's that fits it best.
    """

    def __init__(
        self, settings: TapSettings, suspect: nn.Module, teacher: nn.Module, tap_names: tuple[str, ...]
    ) -> None:
        super().__init__(settings, suspect, teacher)
        self.distill = settings
        self.tap_names = tap_names
        self._leveled: tuple[float, ...] | None = None

    def apart(self, mine: Tensor, theirs: Tensor) -> Tensor:
        """The distance of two maps [N, C, h, w], a scalar, before its weight."""
        raise TypeError(f"{type(self).__name__} does not say how far two maps are apart")

    def level(self, model: nn.Module, batch: Batch) -> None:
        """From now on weigh the taps so that, of `model` as it is on this batch, each has an equal share of what their
        default weights come to together; a tap without any loss keeps its weight."""
        report = self.health(model, batch)
        share = sum(tap.loss for tap in report) / len(report)
        self._leveled = tuple(tap.beta * share / tap.loss if tap.loss else tap.beta for tap in report)

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The loss's summands: `ce`, the anchors that are on, and one for each tap with a weight."""
        return self._all_parts(model, drawn(batch, self.settings))[0]

    def _all_parts(self, model: nn.Module, mixed: Mixed) -> tuple[dict[str, Tensor], tuple[float, ...]]:
        """The summands, and each tap's weight."""
        with torch.no_grad():
            taught, theirs = self.teacher.forward_with_taps(mixed.plain)
        logits, mine = model.forward_with_taps(mixed.images)
        parts = self.led(logits, taught, mixed)
        weights = self._leveled or self.distill.weights(self.tap_names, compared(mine, theirs))
        for name, beta, own, place in zip(self.tap_names, weights, mine, paired(mine, theirs), strict=True):
            if beta:
                parts[name] = beta * self.apart(own, theirs[place])
        return parts, weights

    def health(self, model: nn.Module, batch: Batch) -> tuple[TapHealth, ...]:
        """Each tap's map size, loss, share of the whole loss and gradient norm, on a fixed batch in eval mode."""
        was_training = model.training
        model.eval()
        parts, weights = self._all_parts(model, mixup(batch, 0))
        with torch.no_grad():
            _, taps = model.forward_with_taps(batch.images)
        total = sum(float(part.detach()) for part in parts.values())
        parameters = list(model.parameters())
        report = []
        for name, beta, tap in zip(self.tap_names, weights, taps, strict=True):
            loss, norm = 0.0, 0.0
            if name in parts:
                loss = float(parts[name].detach())
                norm = _gradient(parts[name], parameters)
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


class NadObjective(TapObjective):
    """With the distance of the attention maps: the paper's equation 3."""

    distill: DistillSettings

    def apart(self, mine: Tensor, theirs: Tensor) -> Tensor:
        """The attention loss."""
        return attention_loss(
            mine,
            theirs,
            operator=self.distill.operator,
            p=self.distill.p,
            normalize=self.distill.normalize,
            reduction=self.distill.reduction,
        )


class FeatureObjective(TapObjective):
    """With the distance of the features themselves."""

    def apart(self, mine: Tensor, theirs: Tensor) -> Tensor:
        """The mean squared distance, over images, channels and cells."""
        return F.mse_loss(mine.float(), theirs.float())


def _gradient(loss: Tensor, parameters: list[nn.Parameter]) -> float:
    """The L2 norm of its gradient; 0 where it hangs on none of the parameters."""
    if not loss.requires_grad:
        return 0.0
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    norms = [each.float().norm() for each in found if each is not None]
    return float(torch.stack(norms).norm()) if norms else 0.0
