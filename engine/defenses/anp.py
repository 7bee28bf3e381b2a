"""ANP: masks on neurons, trained against adversarial noise on them; those whose masks give way are pruned.

Neurons that a backdoor uses are those through which a little relative noise makes a model fail on clean images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from engine.defenses.base import Port, Work
from engine.defenses.masked import Found, MaskPruning

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.training.loop import Batch


class Anp(MaskPruning):
    """Settings of adversarial neuron pruning.

    The source prunes at a threshold of 0.2, or at whichever of its script is best on triggered test images; here as
    many neurons go, those of the lowest masks first, as a budget of ACC on held clean images allows. Its 2,000 steps of
    batches of 128 come to 768,000 image steps; ours are fewer, of smaller batches. Its code lets the noise grow to
    twice eps, which is its random start and a step; ours keeps it within eps, as its paper says.
    """

    name: ClassVar[str] = "anp"
    summary: ClassVar[str] = "prunes the neurons whose masks give way under adversarial noise on neurons"
    source: ClassVar[str] = (
        "Wu, Wang: Adversarial Neuron Pruning Purifies Backdoored Deep Models, NeurIPS 2021 (arXiv 2110.14430), "
        "equations 4-6; code: csdongxian/ANP_backdoor"
    )

    steps: int = Field(450, ge=1, le=100_000)
    """Steps of the masks; each looks at its batch three times (the source: 2,000)."""
    batch_size: int = Field(32, ge=1, le=65_536)
    """Images a step (the source: 128)."""
    lr: float = Field(0.2, gt=0, le=100)
    momentum: float = Field(0.9, ge=0, lt=1)
    eps: float = Field(0.4, ge=0, le=10)
    """Greatest relative noise on a neuron's weight and bias."""
    noise_steps: int = Field(1, ge=1, le=1_000)
    """Steps in which the noise is found."""
    alpha: float = Field(0.2, ge=0, le=1)
    """Share of the loss without noise in the loss of the masks."""

    def masks(self, port: Port) -> Work[Found]:
        """Train them against the noise."""
        from engine.defenses.neurons import by_batch, channels_of
        from engine.models.inference import freeze

        model = by_batch(freeze(port.copy()))
        return (
            yield from self.recovered(
                port,
                lambda masks, batch: self.losses(model, masks, batch),
                self.steps,
                batch_size=self.batch_size,
                lr=self.lr,
                momentum=self.momentum,
                channels=channels_of(model),
            )
        )

    def losses(self, model: nn.Module, masks: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The loss of the masks (equation 5): without noise, and under the noise that is worst for this batch."""
        from torch.nn.functional import cross_entropy

        from engine.defenses.neurons import logits_under, worst_noise

        parts = {}
        if self.alpha:
            plain = logits_under(model, batch.images, weight=masks)
            parts["ce"] = self.alpha * cross_entropy(plain.float(), batch.labels)
        if self.alpha < 1:
            noise = worst_noise(
                model,
                batch.images,
                batch.labels,
                batch.generator,
                eps=self.eps,
                steps=self.noise_steps,
                weight=masks,
            )
            noisy = logits_under(model, batch.images, weight=masks + noise[0], bias=1 + noise[1])
            parts["noise"] = (1 - self.alpha) * cross_entropy(noisy.float(), batch.labels)
        return parts
