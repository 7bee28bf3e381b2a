"""NAD on raw feature maps: the paper's ablation, in which nothing is made of the channels before two maps are compared.

loss = CE(student(x), y) + sum over taps l of beta_l x mean (F_S^l - F_T^l)^2
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator

from engine.defenses.base import Layer
from engine.defenses.nad.settings import StudentSettings
from engine.defenses.nad.taught import Taught
from engine.defenses.nad.weights import Weights, check_range, spread
from engine.errors import RequestError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.defenses.nad.objective import TapObjective
    from engine.training.loop import Batch

WHERE = "defenses.nad-features.distill"


class FeatureSettings(StudentSettings):
    """The distillation: the student's features follow the teacher's."""

    beta: Weights = 1.0
    """Weight of the features' mean squared distance: one for every tap, a list in the order of the taps, or a table by
    tap name, where `others` are those not named; 0 leaves a tap out."""

    @field_validator("beta")
    @classmethod
    def _beta_in_range(cls, value: Any) -> Any:
        check_range(value)
        return value

    def weights(self, tap_names: Sequence[str], cells: Sequence[int]) -> tuple[float, ...]:
        """The weight of each tap, in the taps' order: it does not hang on the maps' sizes.

        Raises:
            RequestError: not one for each tap, a tap that the model does not have, or no tap with a weight at all.
        """
        weights = spread(self.beta, tap_names, f"{WHERE}.beta")
        if not any(weights):
            raise RequestError(f"{WHERE}.beta: all weights are 0, which follows no features: --defense fine-tuning")
        return weights


class NadFeatures(Taught):
    """Settings of NAD on raw feature maps."""

    name: ClassVar[str] = "nad-features"
    taught_by: ClassVar[str] = "nad-features-teacher"
    summary: ClassVar[str] = "NAD on raw feature maps instead of attention: what the attention adds"
    source: ClassVar[str] = (
        "Li, Lyu, Koren, Lyu, Li, Ma: Neural Attention Distillation, ICLR 2021 (arXiv 2101.05930), section 4.4; "
        "Romero et al.: FitNets, ICLR 2015 (arXiv 1412.6550)"
    )
    layers: ClassVar[frozenset[Layer]] = frozenset({"map to tap"})

    distill: FeatureSettings = FeatureSettings()

    def check(self, model: nn.Module, clean: Tensor) -> None:
        """Refuse a beta that does not fit the taps, and a teacher that does not fit: of another network, its channels
        are others."""
        super().check(model, clean)
        if self.teacher.model is not None:
            raise RequestError(
                f"defenses.{self.name}.teacher.model = {self.teacher.model!r}: features of another network cannot be "
                "compared with the suspect's; allowed: null"
            )
        self.distill.weights(model.tap_names, ())

    def objective(self, suspect: nn.Module, student: nn.Module, teacher: nn.Module, probe: Batch) -> TapObjective:
        """Cross-entropy and the features' distances."""
        from engine.defenses.nad.objective import FeatureObjective

        return FeatureObjective(self.distill, suspect, teacher, suspect.tap_names)
