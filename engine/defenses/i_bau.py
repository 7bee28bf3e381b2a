"""Implicit backdoor adversarial unlearning (Zeng et al., ICLR 2022): whatever a perturbation, one for all images, makes
the network say, it unlearns.

min over theta, max over delta, of the loss on images + delta (their equation 1). In every round: (1) delta begins at 0,
and one pass over the clean images raises the loss of what the network itself says of them, less 0.001 ||delta||^2;
(2) for every batch a step against the hypergradient of the outer loss, which counts in how the best delta moves with
theta: d_theta L + (d_theta Phi)^T v, where Phi = delta - 0.1 d_delta L_inner is a step of the inner problem and v the
K-th iterate of v <- (d_delta Phi)^T v + d_delta L (their algorithm 1; the fixed point as in Grazzi et al., ICML 2020).
Batch norms stay in eval mode, and no pixel is clipped, as in the authors' code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from engine.defenses.base import Defense, Port, Work
from engine.settings import AugmentSettings, ScheduleSettings, TrainingSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.training.loop import Batch

PENALTY = 1e-3
"""Of the perturbation's squared L2 norm."""
INNER_STEP = 0.1
"""Of the map whose fixed point the best perturbation is."""


class IBau(Defense):
    """Settings of I-BAU; its rounds are the epochs of its training."""

    name: ClassVar[str] = "i-bau"
    summary: ClassVar[str] = "unlearns a universal perturbation, by the implicit hypergradient"
    source: ClassVar[str] = (
        "Zeng, Chen, Park, Mao, Jin, Jia: Adversarial Unlearning of Backdoors via Implicit Hypergradient, ICLR 2022 "
        "(arXiv 2110.03735), algorithm 1, and the authors' defense.py"
    )

    training: TrainingSettings = TrainingSettings(
        epochs=16,
        batch_size=100,
        lr=1e-3,
        optimizer="adam",
        schedule=ScheduleSettings(name="cosine", warmup=0.0),
        nesterov=False,
        weight_decay=0.0,
        augment=AugmentSettings(crop=0, flip=False),
    )
    """The authors' five rounds are of 50 batches of 100 images at a constant rate. Of a tenth of the images ours are
    16 rounds of five; the rate falls: the round that finds the backdoor costs accuracy, which has to come back. Eight
    rounds in batches of 32, of which one image carries the perturbation as well, lost 7 to 29 points on four subsets of
    `signs`, these 7 and 2 on two of them."""
    perturbation_lr: float = Field(10.0, gt=0, le=1000)
    """Of the pass that finds the perturbation, plain SGD."""
    radius: float | None = Field(None, gt=0, le=1e6)
    """Greatest L2 norm of the perturbation, of pixels of 0 to 1; null = none, as in the authors' code. Their equation 1
    has a ball; in one of 20 or 10 accuracy suffers less, and some backdoors stay."""
    portion: float = Field(0.01, ge=0, le=1)
    """Share of a batch's images that carry the perturbation in the outer loss, at least one image."""
    iterations: int = Field(5, ge=1, le=100)
    """Of the fixed point: the authors' K."""

    def defend(self, port: Port) -> Work[nn.Module]:
        """Unlearn, round by round, what a perturbation of the network as it then is does."""
        from engine.models.inference import freeze

        objective, training = Unlearning(self, port), self.training
        trained = yield from port.train(self.name, port.copy(), objective, training, beside=objective.found)
        return freeze(trained)


class Unlearning:
    """What is minimized: the outer loss, and a term of value 0 whose gradient is the implicit part of its own."""

    def __init__(self, settings: IBau, port: Port) -> None:
        import torch
        from torch import nn

        self._settings = settings
        self._images = port.clean.images
        self.found = nn.Module()
        """The perturbation of the round under way, and which round that is: a resume goes on in the middle of one."""
        self.found.register_buffer("perturbation", torch.zeros_like(self._images[:1], dtype=torch.float32))
        self.found.register_buffer("round", torch.tensor(-1, device=self._images.device))

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The summands for a batch: `ce` and `implicit`."""
        from torch.nn.attention import SDPBackend, sdpa_kernel

        from engine.models.inference import in_eval_mode
        from engine.training.precision import in_full

        # The implicit part is a gradient of a gradient, which fused attention does not have.
        with in_eval_mode(model), in_full(batch.images), sdpa_kernel(SDPBackend.MATH):
            now = batch.generator.initial_seed()  # of an epoch's own, and an epoch is a round
            if int(self.found.round) != now:
                self.found.round.fill_(now)
                self.found.perturbation.copy_(self.universal(model))
            return self.parts(model, batch, self.found.perturbation)

    def universal(self, model: nn.Module) -> Tensor:
        """One perturbation for all images, [1, 3, H, W], by a pass over them: the larger the loss the better."""
        import torch
        import torch.nn.functional as F

        from engine.models.inference import as_input

        found = torch.zeros_like(as_input(self._images[:1]))
        for chunk in self._images.split(self._settings.training.batch_size):
            images, perturbation = as_input(chunk), found.requires_grad_()
            with torch.no_grad():
                said = model(images).argmax(dim=1)
            loss = -F.cross_entropy(model(images + perturbation), said) + PENALTY * perturbation.square().sum()
            (gradient,) = torch.autograd.grad(loss, perturbation)
            found = self._within((perturbation - self._settings.perturbation_lr * gradient).detach())
        return found

    def _within(self, perturbation: Tensor) -> Tensor:
        """Drawn back to the sphere, where it lies beyond."""
        radius, norm = self._settings.radius, float(perturbation.norm())
        return perturbation if radius is None or norm <= radius else perturbation * (radius / norm)

    def parts(self, model: nn.Module, batch: Batch, perturbation: Tensor) -> dict[str, Tensor]:
        """The summands, for a perturbation [1, 3, H, W]."""
        import torch
        import torch.nn.functional as F

        images, labels = batch.images, batch.labels
        perturbation = perturbation.detach().clone().requires_grad_()
        carries = torch.zeros(len(images), 1, 1, 1, device=images.device)
        count = max(1, int(self._settings.portion * len(images)))
        carries[torch.randperm(len(images), generator=batch.generator)[:count].to(images.device)] = 1
        outer = F.cross_entropy(model(images + carries * perturbation), labels)
        inner = -F.cross_entropy(model(images + perturbation), labels) + PENALTY * perturbation.square().sum()
        implicit = implicit_part(outer, inner, perturbation, self._settings.iterations)
        return {"ce": outer, "implicit": implicit}


def implicit_part(outer: Tensor, inner: Tensor, variable: Tensor, iterations: int, step: float = INNER_STEP) -> Tensor:
    """A scalar of value 0 whose gradient is (d Phi)^T v: what reaches the outer loss through the inner solution.

    Args:
        outer, inner: scalars that hang on `variable`, and on whatever the gradient is for.
        variable: a leaf at the inner problem's solution; Phi(variable) = variable - step x d inner / d variable.
        iterations: v is the iterate of that number of v <- (d_variable Phi)^T v + d outer / d variable, from 0.
    """
    import torch

    (direct,) = torch.autograd.grad(outer, variable, retain_graph=True)
    (gradient,) = torch.autograd.grad(inner, variable, create_graph=True)
    stepped, v = variable - step * gradient, direct
    for _ in range(iterations - 1):  # the first iterate is the direct gradient
        (pulled,) = torch.autograd.grad(stepped, variable, v, retain_graph=True)
        v = pulled + direct
    answer = (stepped * v.detach()).sum()
    return answer - answer.detach()
