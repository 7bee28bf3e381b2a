"""What NAD minimizes, and how each tap takes part in it. Needs torch.

loss = CE(student(x), y) + sum over taps l of beta_l x || a_S^l - a_T^l ||^2   (the paper's equation 3)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.attention.maps import attention_loss, dead_taps
from engine.defenses.nad.settings import DistillSettings
from engine.errors import RequestError
from engine.events import TapHealth
from engine.training.loop import Batch
from engine.training.objectives import CleanObjective, Mixed, mixup


@torch.no_grad()
def refuse_dead_taps(model: nn.Module, images: Tensor, settings: DistillSettings) -> None:
    """Look for taps with a weight but without information.

    Args:
        images: float [N, 3, H, W] in [0, 1].

    Raises:
        RequestError: there is one; each is named with the reason.
    """
    was_training = model.training
    _, taps = model.eval().forward_with_taps(images)
    model.train(was_training)
    dead = dead_taps(model.tap_names, taps, settings.operator, settings.p)
    weights = dict(zip(model.tap_names, settings.weights(model.tap_names), strict=True))
    used = {name: why for name, why in dead.items() if weights[name]}
    if used:
        reasons = "; ".join(f"{name}: {why}" for name, why in used.items())
        raise RequestError(
            f"nad: {reasons}, so its attention loss would be 0 whatever the student does; give it weight 0 "
            f"in defenses.nad.distill.beta, or larger images"
        )


class NadObjective(CleanObjective):
    """Cross-entropy (and anchor, mixup) plus the attention losses, on one forward pass of each model."""

    def __init__(
        self, settings: DistillSettings, suspect: nn.Module, teacher: nn.Module, tap_names: tuple[str, ...]
    ) -> None:
        super().__init__(settings.objective, suspect)
        self.distill = settings
        self.teacher = teacher
        self.tap_names = tap_names
        self.beta = settings.weights(tap_names)

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The loss's summands: `ce`, `anchor` where it is on, and one for each tap with a weight."""
        return self._all_parts(model, mixup(batch, self.settings.mixup))

    def _all_parts(self, model: nn.Module, mixed: Mixed) -> dict[str, Tensor]:
        with torch.no_grad():
            _, teacher_taps = self.teacher.forward_with_taps(mixed.images)
        logits, taps = model.forward_with_taps(mixed.images)
        parts = self.parts(logits, mixed)
        for name, beta, mine, theirs in zip(self.tap_names, self.beta, taps, teacher_taps, strict=True):
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
        for name, beta, tap in zip(self.tap_names, self.beta, taps, strict=True):
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
