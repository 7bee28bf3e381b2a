"""What a defender's training minimizes on the clean subset: cross-entropy, mixup, decoys, and the anchor."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.settings import AnchorSettings, ObjectiveSettings
from engine.training.decoys import with_decoys
from engine.training.loop import Batch


@dataclass(frozen=True)
class Mixed:
    """A batch after mixup and decoys: a share of each image is itself, the rest its partner's."""

    images: Tensor
    """What the model in training sees."""
    plain: Tensor
    """The same without decoys: what those see that it is to be like."""
    labels: Tensor
    partners: Tensor
    """The partners' labels, int64 [B]."""
    shares: Tensor | None
    """float [B] in [0, 1]; None = nothing was mixed."""
    done: float = 0.0
    """Share of the training that lies before it."""

    def cross_entropy(self, logits: Tensor, *, hinge: float = 0.0, smoothing: float = 0.0) -> Tensor:
        """The mixed labels' cross-entropy, a scalar: the mean over the images of what each has above `hinge`.

        `smoothing`: the share of each label that is spread evenly over all classes.
        """
        if self.shares is None and hinge == 0:
            return F.cross_entropy(logits.float(), self.labels, label_smoothing=smoothing)
        each = F.cross_entropy(logits.float(), self.labels, reduction="none", label_smoothing=smoothing)
        if self.shares is not None:
            partners = F.cross_entropy(logits.float(), self.partners, reduction="none", label_smoothing=smoothing)
            each = torch.lerp(partners, each, self.shares)
        return (F.relu(each - hinge) if hinge else each).mean()


def drawn(batch: Batch, settings: ObjectiveSettings) -> Mixed:
    """The batch as a step of the training sees it: mixed up, then with decoys."""
    mixed = mixup(batch, settings.mixup)
    if settings.decoys.share == 0:
        return mixed
    return replace(mixed, images=with_decoys(mixed.plain, settings.decoys, batch.generator))


def mixup(batch: Batch, alpha: float) -> Mixed:
    """Mix each image with another of the batch (Zhang et al. 2018); alpha 0 leaves the batch as it is.

    Each image has a share of its own, Beta(alpha, alpha): one for the whole batch makes the loss jump.
    """
    if alpha == 0:
        return Mixed(batch.images, batch.images, batch.labels, batch.labels, None, batch.done)
    # torch draws no Beta variates from a given generator; numpy does, seeded from ours.
    seed = int(torch.randint(2**62, (1,), generator=batch.generator))
    variates = np.random.default_rng(seed).beta(alpha, alpha, size=len(batch.labels)).astype(np.float32)
    shares = torch.from_numpy(variates).to(batch.images.device)
    order = torch.randperm(len(batch.labels), generator=batch.generator).to(batch.labels.device)
    images = torch.lerp(batch.images[order], batch.images, shares.view(-1, 1, 1, 1))
    return Mixed(images, images, batch.labels, batch.labels[order], shares, batch.done)


def anchored(settings: AnchorSettings, logits: Tensor, anchor_logits: Tensor, done: float) -> Tensor:
    """The anchor's summand when that share of the training is done."""
    weight = settings.weight * (1 - settings.fade * done)
    return weight * anchor_loss(logits, anchor_logits, settings.temperature)


def anchor_loss(logits: Tensor, anchor_logits: Tensor, temperature: float) -> Tensor:
    """T^2 x KL(anchor || model) of the softened outputs, the mean over the images (Hinton et al. 2015)."""
    log_p = F.log_softmax(logits.float() / temperature, dim=1)
    log_q = F.log_softmax(anchor_logits.float() / temperature, dim=1)
    return temperature**2 * F.kl_div(log_p, log_q, reduction="batchmean", log_target=True)


class CleanObjective:
    """Cross-entropy, mixed up on request, and the anchor where it has a weight.

    Without an anchor no suspect is needed: the suspect itself is trained with this objective.
    """

    def __init__(self, settings: ObjectiveSettings, suspect: nn.Module | None = None) -> None:
        if settings.anchor.weight and suspect is None:
            raise ValueError("an anchor needs the suspect")
        self.settings = settings
        self.suspect = suspect

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The loss's summands: `ce`, and `anchor` where it is on."""
        mixed = drawn(batch, self.settings)
        return self.parts(model(mixed.images), mixed)

    def parts(self, logits: Tensor, mixed: Mixed) -> dict[str, Tensor]:
        """The summands for logits already computed."""
        settings = self.settings
        parts = {"ce": mixed.cross_entropy(logits, hinge=settings.hinge, smoothing=settings.label_smoothing)}
        anchor: AnchorSettings = self.settings.anchor
        if anchor.weight:
            with torch.no_grad():
                anchor_logits = self.suspect(mixed.plain)
            parts["anchor"] = anchored(anchor, logits, anchor_logits, mixed.done)
        return parts
