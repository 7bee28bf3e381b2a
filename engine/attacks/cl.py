"""CL, the label-consistent attack (Turner, Tsipras, Madry 2019, arXiv 1912.02771)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.attacks.base import Attack, AttackContext, LabelRule, PoisonedSet, Trigger, generator, to_uint8
from engine.errors import RequestError
from engine.events import Event

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class CornerTrigger:
    """Brightens and darkens single pixels of a pattern in one corner or all four."""

    change: Tensor
    """float32 [H, W]: what is added to the pixel values of every channel; 0 outside the patches."""
    indices: Tensor | None = None
    """The training images that were perturbed, sorted, int64 [K]; None = they are not at hand."""
    perturbed: Tensor | None = None
    """Their perturbed form before the patch, uint8 [K, 3, H, W]."""

    def __call__(self, images: Tensor) -> Tensor:
        """The images with the patch alone, as at test time, uint8 [N, 3, H, W]."""
        return to_uint8(images.float() + self.change.to(images.device))

    def tensors(self) -> dict[str, Tensor]:
        """The change."""
        return {"change": self.change}


class Cl(Attack):
    """Settings of CL; target-class images are made hard to tell by what they show, so that the patch is learned."""

    summary: ClassVar[str] = "perturbed images of the target class with a patch in the corners, labels kept"
    remakes: ClassVar[bool] = False

    name: Literal["cl"] = "cl"
    label_rule: LabelRule = "clean-label"
    poisoning_rate: float = Field(0.8, ge=0, le=1)
    """Share of the target class's images that is poisoned (of all images under a dirty-label rule)."""
    epsilon: float = Field(16.0, ge=0, le=255)
    """Largest change of a pixel by the perturbation, in pixel values (of 255)."""
    step: float = Field(1.5, gt=0, le=255)
    """Step of the perturbation's ascent in pixel values."""
    steps: int = Field(30, ge=1, le=10_000)
    """Steps of the ascent."""
    surrogate_epochs: int | None = Field(None, ge=1, le=10_000)
    """Epochs of the clean model that is attacked; null = as many as the suspect's."""
    size: int = Field(3, ge=1, le=512)
    """Side of a patch in pixels."""
    corners: Literal[1, 4] = 4
    """Patches: one at the bottom right, or one in each corner, which mirroring leaves in place."""
    amplitude: float = Field(255.0, gt=0, le=255)
    """What is added to the patch's light pixels and taken from its dark ones; 255 = black and white."""

    def check(self, classes: int, height: int, width: int) -> None:
        """Refuse a target that is no class, and patches that do not fit side by side."""
        super().check(classes, height, width)
        if self.size * (2 if self.corners == 4 else 1) > min(height, width):
            raise RequestError(
                f"attack.size = {self.size}: {self.corners} of these patches do not fit into images of "
                f"{width}x{height} pixels"
            )

    def recalled(self, tensors: Mapping[str, Tensor], context: AttackContext) -> CornerTrigger:
        """The patch; the perturbed images, thousands of them, are not kept with it."""
        return CornerTrigger(tensors["change"])

    def build(self, context: AttackContext) -> Generator[Event, None, CornerTrigger]:
        """Train the surrogate and perturb the chosen images against it."""
        from engine.attacks.pgd import perturbed

        lab, device = context.lab, context.images.device
        surrogate = yield from lab.surrogate(context, self.surrogate_epochs)
        indices = self.choose(context.labels, context.classes, context.seed)

        def make() -> Generator[Event, None, dict[str, Tensor]]:
            images = yield from perturbed(
                surrogate,
                context.images[indices],
                context.labels[indices],
                epsilon=self.epsilon,
                step=self.step,
                steps=self.steps,
                draw=generator(context.seed, 2),
                device=lab.device,
                lab=lab,
            )
            return {"perturbed": images, "indices": indices}

        shapers = {
            "surrogate": lab.shapers_of_surrogate(context.seed, self.surrogate_epochs),
            "attack": self.model_dump(
                mode="json",
                include={"name", "target", "label_rule", "poisoning_rate", "epsilon", "step", "steps"},
            ),
            "seed": context.seed,
        }
        kept = yield from lab.product("perturbed", shapers, context, make)
        height, width = context.images.shape[-2:]
        return CornerTrigger(self._change(height, width), kept["indices"].to(device), kept["perturbed"].to(device))

    def _change(self, height: int, width: int) -> Tensor:
        """A checkerboard whose corners are light, at the bottom right, or mirrored into every corner."""
        import torch

        row = torch.arange(self.size)
        signs = 1 - 2 * ((row[:, None] + row[None, :]) % 2).float()
        change = torch.zeros(height, width)
        change[-self.size :, -self.size :] = self.amplitude * signs
        if self.corners == 4:
            # Mirrored, so that a mirrored image carries the same patches.
            change = change + change.flip(0)
            change = change + change.flip(1)
        return change

    def poison(self, context: AttackContext, trigger: Trigger) -> PoisonedSet:
        """As every attack, the perturbed form of the chosen images under the patch."""
        if trigger.perturbed is None:
            raise RequestError(
                "cl: its perturbed images are not at hand, only its patch (--suspect trained makes both)"
            )
        poisoned = super().poison(context, trigger)
        poisoned.images[trigger.indices] = trigger(trigger.perturbed)
        return poisoned
