"""ARGD's settings: how the teacher is made, and how the student follows it. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, field_validator

from engine.errors import RequestError
from engine.settings import ObjectiveSettings, Section, TrainingSettings

AUTHORS = ((1024, 2000.0), (256, 5000.0), (64, 2000.0))
"""The cells of a WRN's maps at 32 pixels, and the authors' weights of the means over them."""
TOGETHER = 50.0
"""What those weights add up to as weights of sums over cells, rounded."""


class ArgdTeacherSettings(Section):
    """The teacher: the suspect, fine-tuned on the clean subset."""

    training: TrainingSettings = TrainingSettings(epochs=10, batch_size=64, lr=0.02)
    objective: ObjectiveSettings = ObjectiveSettings()


class ArgdDistillSettings(Section):
    """The distillation: the student's graph of attention maps follows the teacher's."""

    training: TrainingSettings = TrainingSettings(epochs=10, batch_size=64, lr=0.02)
    objective: ObjectiveSettings = ObjectiveSettings()
    node: float | tuple[float, ...] | None = None
    """Weights of the maps' own distances, in the order of the taps, or one for all of them; null = the authors' 2000,
    5000, 2000 on maps of 32x32, 16x16 and 8x8; on others the same weight for all taps, which means the same on maps of
    any size."""
    edge: float = Field(1.0, ge=0)
    """Weight of the distances between two taps' maps."""
    embedding: float = Field(1.0, ge=0)
    """Weight of the maps' distances across taps, each pair as alike as its projections are."""
    dimensions: int = Field(128, ge=1, le=4096)
    """Of the projections."""

    @field_validator("node")
    @classmethod
    def _node_in_range(cls, value: float | tuple[float, ...] | None) -> float | tuple[float, ...] | None:
        given = value if isinstance(value, tuple) else [value or 0.0]
        if any(weight < 0 for weight in given):
            raise ValueError("weights of 0 or more are wanted")
        return value

    def node_weights(self, cells: Sequence[int]) -> tuple[float, ...]:
        """The weight of each tap's mean over its cells.

        Raises:
            RequestError: not one for each tap.
        """
        if self.node is None:
            if tuple(cells) == tuple(size for size, _ in AUTHORS):
                return tuple(weight for _, weight in AUTHORS)
            return tuple(TOGETHER / len(cells) * size for size in cells)
        if not isinstance(self.node, tuple):
            return (self.node,) * len(cells)
        if len(self.node) != len(cells):
            raise RequestError(
                f"defenses.argd.distill.node = {list(self.node)}: {len(cells)} weights are wanted, one for each tap"
            )
        return self.node
