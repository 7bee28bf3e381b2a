"""RNP: a model that has unlearned clean images gets back masks on its neurons; where they stay low, the backdoor is.

What ascends on clean images alone keeps the trigger: the neurons that masks must silence, so that clean images are
recognized again, are those of the backdoor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from engine.defenses.base import Port, Work
from engine.defenses.masked import Found, MaskPruning

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.training.loop import Batch

STEEPEST = 20.0
"""The L2 norm to which the source's code means to clip the ascent's gradient."""


class Rnp(MaskPruning):
    """Settings of reconstructive neuron pruning.

    The source prunes at thresholds of which the best on triggered test images is reported; here as many neurons go,
    those of the lowest masks first, as a budget of ACC on held clean images allows. It unlearns until a fifth of the
    clean images is recognized; of so few images a half is better: the masks of the backdoor then stand apart. Its code
    clips the gradient before there is one; ours after.
    """

    name: ClassVar[str] = "rnp"
    summary: ClassVar[str] = "unlearns clean images, recovers masks on neurons, prunes where they stay low"
    source: ClassVar[str] = (
        "Li, Lyu, Ma, Koren, Lyu, Li, Jiang: Reconstructive Neuron Pruning for Backdoor Defense, ICML 2023 "
        "(arXiv 2305.14876), section 3; code: bboylyg/RNP"
    )

    unlearning_steps: int = Field(80, ge=1, le=1_000_000)
    """Steps of the ascent, at most (the source: 20 epochs of 4)."""
    unlearning_lr: float = Field(0.01, gt=0, le=100)
    unlearned: float = Field(0.5, ge=0, le=1)
    """Share of the images still recognized at which the ascent ends (the source: 0.2)."""
    window: int = Field(512, ge=1, le=1_000_000)
    """Images after which that is looked at again (the source: its 500): after more of them the ascent has gone too far,
    and what is recovered tells nothing."""
    recovering_steps: int = Field(80, ge=1, le=1_000_000)
    """Steps in which masks are recovered (the source: 20 epochs of 4)."""
    recovering_lr: float = Field(0.2, gt=0, le=100)
    alpha: float = Field(0.2, gt=0, le=1)
    """Factor of the loss while masks are recovered."""
    features: bool = True
    """As the source: what an unlearned model silences first is not always a feature."""
    batch_size: int = Field(128, ge=1, le=65_536)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0, le=1)
    """Of the ascent."""

    def masks(self, port: Port) -> Work[Found]:
        """Unlearn, then recover."""
        unlearned = yield from self._unlearned(port)
        return (yield from self._recovered(port, unlearned))

    def _unlearned(self, port: Port) -> Work[nn.Module]:
        """A copy of the suspect, up the loss of clean images."""
        import torch

        from engine.defenses.neurons import by_batch, logits_under
        from engine.defenses.unlearning import Ascent, Recognized
        from engine.models.inference import freeze

        model = by_batch(freeze(port.copy()))
        weights = {name: weight.detach().clone().requires_grad_(True) for name, weight in model.named_parameters()}
        told = Recognized(min(self.window, len(port.clean)), self.unlearned, port.device.torch)

        def loss(batch: Batch) -> dict[str, Tensor]:
            if told.over:
                return {"ce": torch.zeros((), requires_grad=True)}
            logits = logits_under(model, batch.images, others=weights)
            told.count(logits, batch.labels)
            return {"ce": -torch.nn.functional.cross_entropy(logits.float(), batch.labels)}

        def ascent(tensors: list[Tensor]) -> torch.optim.Optimizer:
            settings = {"lr": self.unlearning_lr, "momentum": self.momentum, "weight_decay": self.weight_decay}
            return Ascent(tensors[:-1], told, steepest=STEEPEST, **settings)

        found = yield from port.optimize(
            self.name,
            "unlearning",
            {**weights, "recognized": told.state},
            loss,
            self.unlearning_steps,
            batch_size=self.batch_size,
            optimizer=ascent,
            augment=self.augment,
        )
        with torch.no_grad():
            for name, weight in model.named_parameters():
                weight.copy_(found[name])
        return model

    def _recovered(self, port: Port, model: nn.Module) -> Work[Found]:
        """The masks under which the unlearned model recognizes clean images again."""
        from torch.nn.functional import cross_entropy

        from engine.defenses.neurons import channels_of, logits_under

        def loss(masks: Tensor, batch: Batch) -> dict[str, Tensor]:
            logits = logits_under(model, batch.images, weight=masks)
            return {"ce": self.alpha * cross_entropy(logits.float(), batch.labels)}

        return (
            yield from self.recovered(
                port,
                loss,
                self.recovering_steps,
                batch_size=self.batch_size,
                lr=self.recovering_lr,
                momentum=self.momentum,
                channels=channels_of(model),
            )
        )
