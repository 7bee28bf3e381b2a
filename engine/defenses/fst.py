"""FST, feature shift tuning: a fresh head that is kept from its old direction, so that the features have to move.

    loss = CE(f(x), y) + alpha <W, W0>    with ||W|| = ||W0|| after every step, W the head's weights, W0 the suspect's

The head's weights and bias are drawn anew, evenly within 1 / sqrt(its inputs), and everything is trained.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from engine.defenses.base import Defense, Port, Work
from engine.settings import AugmentSettings, ObjectiveSettings, ScheduleSettings, TrainingSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from engine.training.distance import Held
    from engine.training.loop import Batch


class Fst(Defense):
    """Settings of FST. The authors' ten epochs at 0.01 (`recipe: paper`) are 20 at ten times the rate here: a
    head drawn anew needs more steps than five hundred images give in ten epochs."""

    name: ClassVar[str] = "fst"
    summary: ClassVar[str] = "a fresh head, kept from its old direction: the features have to move"
    source: ClassVar[str] = (
        "Min, Qin, Shen, Cheng: Towards Stable Backdoor Purification through Feature Shift Tuning, NeurIPS 2023 "
        "(arXiv 2310.01875)"
    )

    training: TrainingSettings = TrainingSettings(
        epochs=20,
        batch_size=64,
        lr=0.1,
        schedule=ScheduleSettings(name="cosine", warmup=0),
        nesterov=False,
        weight_decay=0,
        augment=AugmentSettings(crop=4, flip=True, cutout=0),
    )
    objective: ObjectiveSettings = ObjectiveSettings()
    alpha: float = Field(0.1, ge=0, le=1e6)
    """Weight of the inner product of the head with what it was."""

    def check(self, model: nn.Module, clean: Tensor) -> None:
        """Refuse a network without a head."""
        self._held(model, clean)

    def defend(self, port: Port) -> Work[nn.Module]:
        """Train a copy of the suspect whose head is drawn anew."""
        from engine.models.inference import as_input, freeze
        from engine.training.objectives import CleanObjective

        held = self._held(port.suspect, as_input(port.clean.images))
        usual = CleanObjective(self.objective, port.suspect)

        def objective(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
            return {**usual(model, batch), "shift": self.alpha * likeness(held, model)}

        model = port.copy()
        redraw(held, model, port.seed)
        return freeze((yield from port.train(self.name, model, objective, self.training, step=held.step())))

    def _held(self, suspect: nn.Module, images: Tensor) -> Held:
        from engine.models.layers import HEAD, layer_paths
        from engine.training.distance import PROBE, Held

        return Held(suspect, layer_paths(suspect, images[:PROBE], (HEAD,), f"defenses.{self.name}"))


def likeness(held: Held, model: nn.Module) -> torch.Tensor:
    """<W, W0>, a scalar."""
    ((path, weight),) = held.weights(model).items()
    return (weight * held.origin[path]).sum()


def redraw(held: Held, model: nn.Module, seed: int) -> None:
    """Draw the head's weights and bias anew, as a linear layer's are, on the CPU; their norm is free until the first
    step."""
    import torch

    generator = torch.Generator().manual_seed((seed * 1_000_003 + 7_719) % 2**63)
    ((path, weight),) = held.weights(model).items()
    bound = 1 / math.sqrt(weight[0].numel())
    bias = model.get_submodule(path).bias
    with torch.no_grad():
        for drawn in (weight, *([] if bias is None else [bias])):
            drawn.copy_((2 * torch.rand(drawn.shape, generator=generator) - 1) * bound)
