"""Trojan: a patch optimized so that chosen neurons of a clean model fire (Liu et al., NDSS 2018)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.attacks.badnets import Patch, PatchTrigger, Place, corner_of
from engine.attacks.base import AttackContext, generator, to_uint8
from engine.errors import RequestError
from engine.events import Event, Message

if TYPE_CHECKING:
    from torch import Tensor, nn

    Penultimate = Callable[[Tensor], Tensor]

_PROBES = 256
"""Images on which activations are measured."""


@dataclass(frozen=True)
class TrojanTrigger(PatchTrigger):
    """The optimized patch, and what it does to the neurons it was made for."""

    neurons: Tensor = field(kw_only=True)
    """The chosen neurons' places in the penultimate layer, int64 [K]."""
    activations: Tensor = field(kw_only=True)
    """Their mean activations without and with the patch, float32 [2, K]."""

    def tensors(self) -> dict[str, Tensor]:
        """Pattern, corner, neurons and activations."""
        return {**super().tensors(), "neurons": self.neurons, "activations": self.activations}


class Trojan(Patch):
    """Settings of the trojan attack; the paper's patch covers about 7 % of the image."""

    summary: ClassVar[str] = "a small patch optimized on a clean model so that chosen neurons fire"

    name: Literal["trojan"] = "trojan"
    size: int = Field(8, ge=1, le=512)
    """Side of the patch (the mask) in pixels."""
    place: Place = "bottom-right"
    """Which corner, or the center."""
    neurons: int = Field(2, ge=1, le=100_000)
    """How many neurons of the penultimate layer are to fire: those with the strongest connections onward."""
    steps: int = Field(200, ge=1, le=100_000)
    """Steps of the gradient ascent."""
    lr: float = Field(0.05, gt=0, le=10)
    """Step size of the ascent (Adam), pixel values being 0 to 1."""
    batch_size: int = Field(64, ge=1, le=65_536)
    """Images a step that wear the patch."""
    surrogate_epochs: int | None = Field(None, ge=1, le=10_000)
    """Epochs of the clean model; null = as many as the suspect's."""

    def recalled(self, tensors: Mapping[str, Tensor], context: AttackContext) -> TrojanTrigger:
        """The patch in its place, and the neurons it was made for."""
        return TrojanTrigger(
            tensors["pattern"],
            *tensors["corner"].tolist(),
            neurons=tensors["neurons"],
            activations=tensors["activations"],
        )

    def build(self, context: AttackContext) -> Generator[Event, None, TrojanTrigger]:
        """Train the clean model, choose the neurons, and optimize the patch."""
        lab = context.lab
        model = yield from lab.surrogate(context, self.surrogate_epochs)
        height, width = context.images.shape[-2:]
        corner = corner_of(self.place, self.size, self.margin, height, width)

        def make() -> Generator[Event, None, dict[str, Tensor]]:
            with penultimate(model) as (activations, outgoing):
                neurons = self._neurons(context, activations, outgoing)
                pattern = yield from self._optimized(context, corner, lambda x: activations(x)[:, neurons])
                trigger = PatchTrigger(pattern, *corner)
                measured = _measured(context.images, trigger, activations)[:, neurons]
            before, after = measured.mean(dim=1).tolist()
            yield Message(
                text=f"trojan: the patch raises {len(neurons)} neurons from {before:.3g} to {after:.3g} on average, "
                f"{after / before:.2f} times"
            )
            return {"pattern": pattern, "neurons": neurons, "activations": measured}

        shapers = {
            "surrogate": lab.shapers_of_surrogate(context.seed, self.surrogate_epochs),
            "attack": self.model_dump(
                mode="json", include={"name", "size", "place", "margin", "neurons", "steps", "lr", "batch_size"}
            ),
            "seed": context.seed,
        }
        kept = yield from lab.product("patch", shapers, context, make)
        return TrojanTrigger(kept["pattern"], *corner, neurons=kept["neurons"], activations=kept["activations"])

    def _neurons(self, context: AttackContext, activations: Penultimate, outgoing: Tensor) -> Tensor:
        """The neurons with the largest sum of absolute weights onward, among those that ever fire on clean images."""
        import torch

        with torch.no_grad():
            alive = activations(context.images[:_PROBES]).mean(dim=0) > 0
        strength = outgoing.abs().sum(dim=0).masked_fill(~alive, -1)
        count = int(alive.sum())
        if self.neurons > count:
            raise RequestError(f"attack.neurons = {self.neurons}: {count} neurons of the penultimate layer fire at all")
        return strength.topk(self.neurons).indices.sort().values

    def _optimized(
        self, context: AttackContext, corner: tuple[int, int], chosen: Penultimate
    ) -> Generator[Event, None, Tensor]:
        """Gradient ascent on the mean chosen activation of images that wear the patch; uint8 [3, size, size]."""
        import torch

        from engine.training.steps import Interruptible

        images, device = context.images, context.images.device
        draw = generator(context.seed, 2)
        start = torch.rand(3, self.size, self.size, generator=draw)
        pattern = start.to(device).requires_grad_(True)
        optimizer = torch.optim.Adam([pattern], lr=self.lr, maximize=True)
        work = Interruptible({"pattern": pattern}, optimizer, draw)
        work.restore(context.lab.kept("patch"))
        told = context.lab.steps("patch", "optimizing the patch", self.steps, work.state)
        rows, columns = (slice(place, place + self.size) for place in corner)
        while told.count < self.steps:
            places = torch.randint(len(images), (self.batch_size,), generator=draw).to(device)
            worn = images[places].float()
            worn[..., rows, columns] = 255 * pattern
            with torch.enable_grad():
                optimizer.zero_grad(set_to_none=True)
                chosen(worn).mean().backward()
            optimizer.step()
            with torch.no_grad():
                pattern.clamp_(0, 1)
            yield from told.done()
        return to_uint8(255 * pattern.detach()).cpu()


@contextmanager
def penultimate(model: nn.Module) -> Generator[tuple[Penultimate, Tensor], None, None]:
    """What the last linear layer is fed for images [N, 3, H, W] (0 to 255), and that layer's weights [classes, F].

    Raises:
        RequestError: the model has no linear layer.
    """
    import torch
    from torch import nn

    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise RequestError("trojan: a model whose last layer is linear is wanted")
    fed: list[Tensor] = []
    hook = linear[-1].register_forward_pre_hook(lambda _, inputs: fed.append(inputs[0]))

    def activations(images: Tensor) -> Tensor:
        fed.clear()
        model((images.float() / 255).contiguous(memory_format=torch.channels_last))
        return fed[-1].flatten(1).float()

    try:
        yield activations, linear[-1].weight.detach()
    finally:
        hook.remove()


def _measured(images: Tensor, trigger: PatchTrigger, activations: Penultimate) -> Tensor:
    """Mean activations without and with the finished patch, float32 [2, F]."""
    import torch

    probes = images[:_PROBES]
    with torch.no_grad():
        return torch.stack([activations(probes).mean(dim=0), activations(trigger(probes)).mean(dim=0)])
