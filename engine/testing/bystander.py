"""The plainest of defenses: what others are set beside, to see whether either disturbs the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from engine.defenses.base import Defense, Port, Work
from engine.settings import TrainingSettings

if TYPE_CHECKING:
    from torch import nn


class Bystander(Defense):
    """Settings of a short fine-tuning."""

    name: ClassVar[str] = "bystander"

    training: TrainingSettings = TrainingSettings(epochs=1, batch_size=40, lr=0.02)

    def defend(self, port: Port) -> Work[nn.Module]:
        """Fine-tune a copy of the suspect."""
        from engine.models.inference import freeze
        from engine.training.loop import cross_entropy

        return freeze((yield from port.train(self.name, port.copy(), cross_entropy, self.training)))
