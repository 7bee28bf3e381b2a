"""Mode connectivity repair (Zhao et al., ICLR 2020): a curve of low loss on clean images, in the space of the weights,
between the suspect and its fine-tuned copy; a model on the way has less of the backdoor than either end.

The curve is a quadratic Bezier curve, phi(t) = (1 - t)^2 w_0 + 2 t (1 - t) w + t^2 w_1 (their equation 3): the ends are
the suspect (t = 0) and the copy (t = 1), the bend w is trained, at t drawn uniformly for every batch. No training has
passed through a model on it, so the statistics of its batch norms are taken anew on the clean subset. While the curve
is trained, what is saved and measured is its middle, phi(1/2): the bend itself does not lie on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from engine.defenses.base import Defense, Port, Stage, Work
from engine.settings import AugmentSettings, ObjectiveSettings, ScheduleSettings, Section, TrainingSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from engine.training.steps import Losses

END, MIDDLE = "mcr-end", "mcr-middle"


class EndSettings(Section):
    """The curve's other end: the suspect, fine-tuned on the clean subset."""

    training: TrainingSettings = TrainingSettings(epochs=10, batch_size=64, lr=0.02)
    objective: ObjectiveSettings = ObjectiveSettings()


class CurveSettings(Section):
    """The curve between the ends: how its bend is trained."""

    training: TrainingSettings = TrainingSettings(
        epochs=30,
        batch_size=32,
        lr=0.05,
        schedule=ScheduleSettings(name="one-cycle"),
        weight_decay=1e-4,
        augment=AugmentSettings(cutout=9),
    )
    objective: ObjectiveSettings = ObjectiveSettings()


class Mcr(Defense):
    """Settings of mode connectivity repair."""

    name: ClassVar[str] = "mcr"
    summary: ClassVar[str] = "a model on a trained curve between the suspect and its fine-tuned copy"
    source: ClassVar[str] = (
        "Zhao, Chen, Das, Ramamurthy, Lin: Bridging Mode Connectivity in Loss Landscapes and Adversarial Robustness, "
        "ICLR 2020 (arXiv 2005.00060), section 3; the curve: Garipov et al., NeurIPS 2018 (arXiv 1802.10026)"
    )

    end: EndSettings = EndSettings()
    curve: CurveSettings = CurveSettings()
    t: float = Field(0.3, ge=0, le=1)
    """Which model of the curve is taken: 0 = the suspect, 1 = its fine-tuned copy. The NAD paper compares at 0.3."""
    points: int = Field(11, ge=2, le=101)
    """Models of the curve, evenly spaced from 0 to 1, that are measured."""

    def stages(self) -> tuple[Stage, ...]:
        """The other end and the curve's middle, references; the model on the curve."""
        ends = Stage(END, "reference"), Stage(MIDDLE, "reference", needs=(END,))
        return (*ends, Stage(self.name, "purified", needs=(END, MIDDLE)))

    def epochs_field(self, stage: str) -> str | None:
        """The end's and the curve's; the model on it is not trained."""
        return {END: "end.training.epochs", MIDDLE: "curve.training.epochs"}.get(stage)

    def defend(self, port: Port) -> Work[nn.Module]:
        """Fine-tune the other end, train the curve, take the model at `t`; the whole curve is measured with it."""
        from engine.models.inference import freeze, reestimated
        from engine.training.objectives import CleanObjective

        goal = CleanObjective(self.end.objective, port.suspect)
        end = freeze((yield from port.train(END, port.copy(), goal, self.end.training)))
        curve = Curve(_weights(port.suspect), _weights(end))
        middle = port.copy()
        put(middle, curve.straight)
        goal, step = CleanObjective(self.curve.objective, port.suspect), CurveStep(curve)
        middle = freeze((yield from port.train(MIDDLE, middle, goal, self.curve.training, step=step)))
        bend = curve.bend(_weights(middle))

        def at(t: float) -> nn.Module:
            model = port.copy()
            put(model, curve.at(t, bend))
            return freeze(reestimated(model, port.clean.images, port.device))

        places = (place / (self.points - 1) for place in range(self.points))
        return (yield from port.adopt(self.name, at(self.t), curve={t: lambda t=t: at(t) for t in places}))


class Curve:
    """A quadratic Bezier curve between two models' weights, by their names."""

    def __init__(self, start: Mapping[str, Tensor], end: Mapping[str, Tensor]) -> None:
        self.start, self.end = start, end

    def at(self, t: float, bend: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The point at `t`: 0 = the start, 1 = the end."""
        return {
            name: (1 - t) ** 2 * value + 2 * t * (1 - t) * bend[name] + t**2 * self.end[name]
            for name, value in self.start.items()
        }

    @property
    def straight(self) -> dict[str, Tensor]:
        """Halfway on the straight line: the middle of the curve before it is bent, and its bend, too."""
        return {name: (value + self.end[name]) / 2 for name, value in self.start.items()}

    def bend(self, middle: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The bend of the curve whose point at 1/2 is `middle` = start / 4 + bend / 2 + end / 4."""
        return {name: 2 * middle[name] - value for name, value in self.straight.items()}


class CurveStep:
    """A step of the curve at a t of its own: the model stands at t while the losses are taken, in the middle else."""

    def __init__(self, curve: Curve) -> None:
        self._curve = curve

    def __call__(self, model: nn.Module, optimizer: torch.optim.Optimizer, losses: Losses) -> dict[str, Tensor]:
        """Down the gradient for the bend, which is that for the point times 2 t (1 - t). Whatever way the bend goes,
        the middle goes half of it. t is drawn by torch's generator, which the loop seeds for every step."""
        import torch

        from engine.training.steps import total

        t = float(torch.rand(()))
        middle = _weights(model)
        put(model, self._curve.at(t, self._curve.bend(middle)))
        parts = losses()
        optimizer.zero_grad(set_to_none=True)
        total(parts).backward()
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(2 * t * (1 - t) / 2)
        put(model, middle)
        optimizer.step()
        return {name: value.detach() for name, value in parts.items()}


def put(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Set the model's parameters in place; its buffers stay as they are."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """The model's parameters as they are now."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
