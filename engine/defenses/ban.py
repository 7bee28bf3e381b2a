"""BAN: fine-tuning under adversarial noise on neurons, which moves a backdoored model more than a clean one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from engine.defenses.base import Defense, Layer, Port, Work
from engine.settings import ObjectiveSettings, TrainingSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.training.loop import Batch


class Ban(Defense):
    """Settings of fine-tuning under neuron noise.

    The source's 200 epochs at 0.01, without augmentation, are three times 66,000 image steps for 330 images. Its code
    lets the noise grow to twice eps, which is its random start and a step; ours keeps it within eps, as its paper says.
    """

    name: ClassVar[str] = "ban"
    summary: ClassVar[str] = "fine-tuned on the clean subset under adversarial noise on its neurons"
    source: ClassVar[str] = (
        "Xu, Liu, Koffas, Yu, Picek: BAN: Detecting Backdoors Activated by Adversarial Neuron Noise, NeurIPS 2024 "
        "(arXiv 2405.19928), section 3.4; code: xiaoyunxxy/ban, ban_finetune.py"
    )
    layers: ClassVar[frozenset[Layer]] = frozenset({"batch norm"})

    training: TrainingSettings = TrainingSettings(epochs=20, batch_size=64, lr=0.05)
    objective: ObjectiveSettings = ObjectiveSettings()
    eps: float = Field(0.3, ge=0, le=10)
    """Greatest relative noise on a neuron's weight and bias."""
    noise_steps: int = Field(1, ge=1, le=1_000)
    """Steps in which the noise is found."""
    weight: float = Field(0.2, ge=0, le=1_000)
    """Of the loss under noise (the source's lambda)."""

    def defend(self, port: Port) -> Work[nn.Module]:
        """Fine-tune a copy of the suspect on both losses."""
        from torch.nn.functional import cross_entropy

        from engine.defenses.neurons import logits_under, worst_noise
        from engine.models.inference import freeze
        from engine.training.objectives import CleanObjective

        plain = CleanObjective(self.objective, port.suspect)

        def losses(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
            parts = plain(model, batch)
            weight, bias = worst_noise(
                model, batch.images, batch.labels, batch.generator, eps=self.eps, steps=self.noise_steps
            )
            noisy = logits_under(model, batch.images, weight=1 + weight, bias=1 + bias)
            return {**parts, "noise": self.weight * cross_entropy(noisy.float(), batch.labels)}

        return freeze((yield from port.train(self.name, port.copy(), losses, self.training)))
