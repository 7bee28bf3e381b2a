"""A backdoored model and a trigger that learn together, for one training loop. Needs torch."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from engine.attacks.base import Trigger
from engine.training.loop import Batch


class Joint(nn.Module, ABC):
    """To the loop one module; to whoever measures it, the classifier."""

    def __init__(self, classifier: nn.Module, learner: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier
        self.learner = learner
        """What makes the trigger."""
        self.name = classifier.name
        self.tap_names = classifier.tap_names

    def forward(self, images: Tensor) -> Tensor:
        """The classifier's logits."""
        return self.classifier(images)

    def forward_with_taps(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The classifier's logits and groups."""
        return self.classifier.forward_with_taps(images)

    @abstractmethod
    def trigger(self) -> Trigger:
        """The trigger as it is now; it does not change when the training goes on."""

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The summands for a batch of clean images."""


def objective(model: Joint, batch: Batch) -> dict[str, Tensor]:
    """What the loop minimizes (an `engine.training.loop.Objective`)."""
    return model.losses(batch)
