"""Dynamic: a trigger of its own for every image (Nguyen & Tran, NeurIPS 2020, arXiv 2010.08138)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.attacks.base import Attack, AttackContext, JointModel, Trigger, generator
from engine.events import Event

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.attacks.input_aware import DynamicTrigger, Generators


class Dynamic(Attack):
    """Settings of the input-aware dynamic attack; its pattern network learns together with the backdoored model."""

    summary: ClassVar[str] = "a trigger of its own for every image, learned together with the model"
    learns: ClassVar[bool] = True

    name: Literal["dynamic"] = "dynamic"
    label_rule: Literal["all-to-one", "all-to-all"] = "all-to-one"
    """all-to-one: triggered images get the target class; all-to-all: class y gets y + 1."""
    poisoning_rate: float = Field(0.1, ge=0, le=1)
    """Share of every batch that carries its own trigger."""
    cross_rate: float = Field(0.1, ge=0, le=1)
    """Share of every batch that carries another image's trigger and keeps its true class."""
    diversity: float = Field(1.0, ge=0, le=1e3)
    """Weight of the loss that makes unlike images' patterns unlike."""
    density: float = Field(0.032, gt=0, le=1)
    """Share of the image that a trigger covers."""
    mask_weight: float = Field(100.0, ge=0, le=1e6)
    """Weight of the masks' size against their diversity."""
    mask_steps: int = Field(300, ge=1, le=100_000)
    """Steps in which the masks are learned, before the model."""
    mask_lr: float = Field(0.01, gt=0, le=1)
    """Their learning rate (Adam)."""
    width: int = Field(16, ge=1, le=512)
    """Channels of the networks' first layer."""
    pace: float = Field(0.1, gt=0, le=1)
    """The pattern network's learning rate as a share of the model's."""

    def recalled(self, tensors: Mapping[str, Tensor], context: AttackContext) -> DynamicTrigger:
        """The networks as they were."""
        from engine.attacks.input_aware import DynamicTrigger
        from engine.models.inference import freeze

        generators = self._fresh(context)
        generators.load_state_dict(dict(tensors))
        return DynamicTrigger(freeze(generators))

    def build(self, context: AttackContext) -> Generator[Event, None, DynamicTrigger]:
        """Learn the masks; the patterns are as they were initialized until the model learns with them."""
        from engine.attacks.input_aware import DynamicTrigger, train_masks
        from engine.models.inference import freeze

        generators = self._fresh(context)
        lab = context.lab

        def make() -> Generator[Event, None, dict[str, Tensor]]:
            yield from train_masks(
                generators,
                context.images,
                steps=self.mask_steps,
                batch_size=32,
                density=self.density,
                weight=self.mask_weight,
                lr=self.mask_lr,
                draw=generator(context.seed, 2),
                lab=lab,
            )
            return generators.mask_net.state_dict()

        fields = {"name", "density", "mask_weight", "mask_steps", "mask_lr", "width"}
        shapers = {"attack": self.model_dump(mode="json", include=fields), "seed": context.seed}
        masks = yield from lab.product("masks", shapers, context, make)
        generators.mask_net.load_state_dict(masks)
        return DynamicTrigger(freeze(generators))

    def _fresh(self, context: AttackContext) -> Generators:
        """The networks as they are initialized."""
        import torch

        from engine.attacks.input_aware import Generators

        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(generator(context.seed, 5).initial_seed())
            return Generators(self.width).to(context.images.device)

    def joint(self, classifier: nn.Module, trigger: Trigger, context: AttackContext) -> JointModel:
        """The classifier and the networks, to be trained as one."""
        from engine.attacks.input_aware import DynamicJoint

        generators = self._fresh(context)
        generators.load_state_dict(trigger.tensors())
        return DynamicJoint(
            classifier,
            generators,
            wanted=lambda labels: self.wanted(labels, context.classes),
            rate=self.poisoning_rate,
            cross_rate=self.cross_rate,
            weight=self.diversity,
            pace=self.pace,
        )

    def remarks(
        self, trigger: Trigger, predict: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor
    ) -> Iterator[str]:
        """The cross-trigger test: an image under the next image's trigger is to keep its class."""
        import torch

        others = images.roll(1, dims=0)
        pairs = zip(images.split(500), others.split(500), strict=True)
        crossed = torch.cat([trigger.with_trigger_of(some, their) for some, their in pairs])
        kept = 100 * (predict(crossed) == labels).float().mean().item()
        yield f"cross-trigger test: {kept:.1f} % of the test images keep their class under another image's trigger"
