"""D3, distance-driven detoxification: fine-tuning with the head drawn anew, pushed away from what it was.

    min  mean_i max(0, CE_i - eps) - (1 / lambda) sum_layers ||W - W0||    with ||W|| = ||W0|| after every step

The authors minimize lambda / (lambda + 1) times this where lambda > 1, else lambda times: for SGD without weight decay
that is their learning rate times the same factor. The suspect's frozen weights are W0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from engine.defenses.base import Defense, Port, Work
from engine.settings import AugmentSettings, DistanceSettings, ObjectiveSettings, ScheduleSettings, TrainingSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.training.distance import Distance

PROBE = 2
"""Clean images with which a network is asked for its layers."""


class D3(Defense):
    """Settings of D3. The authors' 100 epochs at 0.01 (`recipe: paper`) are 20 at ten times the rate here: that
    many steps of five hundred images are a minute of two cores."""

    name: ClassVar[str] = "d3"
    summary: ClassVar[str] = "the head drawn anew and pushed away from its old weights, at their norm"
    source: ClassVar[str] = (
        "Wei, Liu, Zha: Backdoor Mitigation by Distance-Driven Detoxification, ICCV 2025 (arXiv 2411.09585)"
    )

    training: TrainingSettings = TrainingSettings(
        epochs=20,
        batch_size=64,
        lr=0.1,
        schedule=ScheduleSettings(name="cosine", warmup=0),
        nesterov=False,
        weight_decay=0,
        augment=AugmentSettings(crop=4, flip=True, cutout=9),
    )
    objective: ObjectiveSettings = ObjectiveSettings(hinge=0.1)
    distance: DistanceSettings = DistanceSettings(weight=0.1, start="random")

    def check(self, model: nn.Module, clean: Tensor) -> None:
        """Refuse layers that the network does not have."""
        self._distance(model, clean)

    def defend(self, port: Port) -> Work[nn.Module]:
        """Train a copy of the suspect whose chosen layers begin elsewhere and are kept away."""
        from engine.models.inference import as_input, freeze
        from engine.training.objectives import CleanObjective

        distance = self._distance(port.suspect, as_input(port.clean.images[:PROBE]))
        objective = distance.pushing(CleanObjective(self.objective, port.suspect))
        model = distance.begin(port.copy(), port.seed)
        return freeze((yield from port.train(self.name, model, objective, self.training, step=distance.step())))

    def _distance(self, suspect: nn.Module, images: Tensor) -> Distance:
        from engine.training.distance import Distance

        return Distance.of_layers(self.distance, suspect, images, "defenses.d3.distance")
