"""Shared adversarial unlearning (Wei et al., NeurIPS 2023): of the adversarial examples of a backdoored network, those
that also fool a purified one in the same way are what the backdoor leaves; the network unlearns them.

In every batch: (1) a perturbation of each image, |.| <= 0.2 in every pixel, for which the network and the frozen
suspect are fooled, and agree on the wrong class: by steps along the sign of the gradient of beta_1 L_adv + beta_2
L_share (their equations 8 to 10), from +0.2; (2) a step on CE(clean) + L_sar (equation 11), which makes the network
leave the class k that the perturbed image has in the suspect. As in the author's own code (BackdoorBench, sau.py) batch
norms stay in eval mode, perturbed images are not clipped to [0, 1], and images are not augmented.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from engine.defenses.base import Defense, Port, Work
from engine.settings import AugmentSettings, ScheduleSettings, TrainingSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.training.loop import Batch

TINY = 1e-6
"""Kept off the logarithms' zero, as the author's."""


class Sau(Defense):
    """Settings of SAU; its rounds are the epochs of its training."""

    name: ClassVar[str] = "sau"
    summary: ClassVar[str] = "unlearns adversarial examples that it shares with the suspect"
    source: ClassVar[str] = (
        "Wei, Zhang, Zha, Wu: Shared Adversarial Unlearning: Backdoor Mitigation by Unlearning Shared Adversarial "
        "Examples, NeurIPS 2023 (arXiv 2307.10562), and the first author's sau.py in BackdoorBench"
    )

    training: TrainingSettings = TrainingSettings(
        epochs=12,
        batch_size=32,
        lr=5e-4,
        optimizer="adam",
        schedule=ScheduleSettings(name="cosine", warmup=0.0),
        nesterov=False,
        weight_decay=0.0,
        augment=AugmentSettings(crop=0, flip=False),
    )
    """The author's 100 rounds of batches of 256 at 1e-4 take the best part of an hour; ours are few, of more steps at a
    higher rate."""
    bound: float = Field(0.2, gt=0, le=1)
    """Of the perturbation, in every pixel of images in [0, 1]."""
    step: float = Field(0.2, gt=0, le=1)
    """By which a perturbation goes along the gradient's sign."""
    steps: int = Field(2, ge=1, le=100)
    """Of a perturbation; the author's are 5."""
    adversarial: float = Field(0.01, ge=0)
    """beta_1: weight of fooling either network."""
    shared: float = Field(1.0, ge=0)
    """beta_2: weight of fooling both alike."""
    unlearning: float = Field(1.0, ge=0)
    """Weight of L_sar beside the cross-entropy."""

    def defend(self, port: Port) -> Work[nn.Module]:
        """Unlearn, batch by batch, what the network shares with the suspect."""
        from engine.models.inference import freeze

        objective = SharedUnlearning(self, port.suspect)
        return freeze((yield from port.train(self.name, port.copy(), objective, self.training)))


class SharedUnlearning:
    """What is minimized: the cross-entropy, and the share of the suspect's wrong classes on perturbed images."""

    def __init__(self, settings: Sau, suspect: nn.Module) -> None:
        self._settings = settings
        self._suspect = suspect

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The summands for a batch: `ce` and `shared`."""
        import torch
        import torch.nn.functional as F

        from engine.models.inference import in_eval_mode
        from engine.training.precision import in_full

        with in_eval_mode(model), in_full(batch.images):
            perturbed = batch.images + self.perturbation(model, batch)
            logits, moved = model(torch.cat([batch.images, perturbed])).chunk(2)
            with torch.no_grad():
                before, after = (self._suspect(images).argmax(dim=1) for images in (batch.images, perturbed))
            fooled = (after != batch.labels) & (after != before)
            return {
                "ce": F.cross_entropy(logits, batch.labels),
                "shared": self._settings.unlearning * leaving(moved, after, fooled),
            }

    def perturbation(self, model: nn.Module, batch: Batch) -> Tensor:
        """A perturbation of each image, float [B, 3, H, W], within the bound."""
        import torch

        bound, images = self._settings.bound, batch.images
        with torch.no_grad():
            said = [network(images).argmax(dim=1) for network in (model, self._suspect)]
        found = torch.full_like(images, bound)
        for _ in range(self._settings.steps):
            found = found.requires_grad_()
            logits = [network(images + found) for network in (model, self._suspect)]
            loss, done = self._goal(logits, said, batch.labels)
            (gradient,) = torch.autograd.grad(loss, found)
            found = (found - self._settings.step * gradient.sign()).clamp(-bound, bound).detach()
            if done:
                break
        return found

    def _goal(self, logits: list[Tensor], said: list[Tensor], labels: Tensor) -> tuple[Tensor, bool]:
        """What a perturbation minimizes, and whether every image is fooled alike already."""
        import torch
        import torch.nn.functional as F

        classes = [each.argmax(dim=1) for each in logits]
        fooled = [now != before for now, before in zip(classes, said, strict=True)]
        alike = fooled[0] & fooled[1] & (classes[0] == classes[1])
        losses = [F.cross_entropy(each, labels, reduction="none") for each in logits]
        adversarial = torch.stack([loss[~done].sum() for loss, done in zip(losses, fooled, strict=True)]).sum()
        shared = js_divergence(*logits)[~alike].sum()
        settings, count = self._settings, len(labels)
        return settings.adversarial * -adversarial / 2 / count + settings.shared * shared / count, bool(alike.all())


def js_divergence(one: Tensor, other: Tensor) -> Tensor:
    """The Jensen-Shannon divergence of the classes' probabilities, in nats, [B]: 0 = the same, log 2 = apart.

    Args:
        one, other: logits [B, K].
    """
    p, q = (logits.softmax(dim=1).clamp(min=1e-8) for logits in (one, other))
    middle = ((p + q) / 2).log()
    return ((p * (p.log() - middle) + q * (q.log() - middle)) / 2).sum(dim=1)


def leaving(logits: Tensor, classes: Tensor, counted: Tensor) -> Tensor:
    """-log(1 - p_k) of the classes k, summed over the images that are counted, over all images; a scalar.

    Both forms of 1 - p_k are taken, half each, so that neither is lost where p_k is near 1 or 0.

    Args:
        logits: [B, K].
        classes: int64 [B].
        counted: bool [B].
    """
    p = logits.softmax(dim=1)
    own = p.gather(1, classes[:, None])[:, 0]
    others = p.scatter(1, classes[:, None], 0).sum(dim=1)
    each = (TINY + others.clamp(max=0.999)).log() + (1 + TINY - own.clamp(min=0.001)).log()
    return -each[counted].sum() / 2 / len(logits)
