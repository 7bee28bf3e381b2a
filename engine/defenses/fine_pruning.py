"""Fine-pruning: channels of the last map that lie dormant on clean images are cut off, then the rest is fine-tuned."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from engine.defenses.base import Defense, Layer, Port, Work
from engine.settings import ObjectiveSettings, TrainingSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from engine.defenses.tracing import Reader
    from engine.training.steps import Losses


class FinePruning(Defense):
    """Settings of fine-pruning.

    The last map is what the head reads: in pre-activation networks, where the last convolution's own output goes
    through no activation, dormant is what the activation after the last sum leaves dormant. A channel is cut off where
    it is read, and stays so while the rest is fine-tuned.
    """

    name: ClassVar[str] = "fine-pruning"
    summary: ClassVar[str] = "cuts off channels of the last map that lie dormant on clean images, then fine-tunes"
    source: ClassVar[str] = (
        "Liu, Dolan-Gavitt, Garg: Fine-Pruning: Defending Against Backdooring Attacks on Deep Neural Networks, "
        "RAID 2018 (arXiv 1805.12185), section 4"
    )
    layers: ClassVar[frozenset[Layer]] = frozenset({"convolution"})
    budgeted: ClassVar[str] = "tolerance"

    tolerance: float = Field(4.0, ge=0, le=100)
    """Points of ACC on the held images that pruning may cost, before the fine-tuning (the source: 4)."""
    held_share: float = Field(0.2, gt=0, lt=1)
    """Of the clean images, those on which it is decided how many channels go."""
    training: TrainingSettings = TrainingSettings(epochs=10, batch_size=64, lr=0.02)
    objective: ObjectiveSettings = ObjectiveSettings()

    @property
    def held(self) -> float:
        """How much it holds."""
        return self.held_share

    def unfit(self, model: nn.Module, clean: Tensor) -> str | None:
        """Neither without convolutions, nor where no linear layer reads the last one."""
        from engine.defenses.tracing import reader_of

        missing = super().unfit(model, clean)
        if missing is None and reader_of(model, clean) is None:
            return "no linear layer reads its last convolution"
        return missing

    def defend(self, port: Port) -> Work[nn.Module]:
        """Cut channels off, the most dormant first, then fine-tune."""
        from engine.defenses.budget import furthest, rungs
        from engine.defenses.tracing import reader_of
        from engine.models.inference import as_input, freeze
        from engine.training.objectives import CleanObjective

        reader = reader_of(port.suspect, as_input(port.clean.images[:2]))
        if reader is None:
            raise TypeError("fine-pruning is unfit for this network, and was set against it")
        order = activity(port.suspect, port.clean.images, reader).argsort()

        def at(count: float) -> nn.Module:
            return cut(port.copy(), reader, order[: round(count)])

        counts = rungs(reader.channels - 1, reader.channels)
        count = yield from furthest(port, self.name, "channels cut off", counts, at, self.tolerance)
        dormant = order[: round(count)]

        def step(model: nn.Module, optimizer: torch.optim.Optimizer, losses: Losses) -> dict[str, Tensor]:
            from engine.training.steps import descend

            told = descend(model, optimizer, losses)
            cut(model, reader, dormant)
            return told

        objective = CleanObjective(self.objective, port.suspect)
        return freeze((yield from port.train(self.name, at(count), objective, self.training, step=step)))


def activity(model: nn.Module, images: Tensor, reader: Reader) -> Tensor:
    """The mean of each channel of the last map as it is read [C], over uint8 images [N, 3, H, W]."""
    import torch

    from engine.models.inference import BATCH, as_input, in_eval_mode

    sums: list[Tensor] = []

    def note(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        read = given[0].detach().double()
        if reader.last:
            sums.append(read.flatten(0, -2).mean(0) * len(read))
        else:
            sums.append(read.unflatten(1, (reader.channels, -1)).mean(2).sum(0))

    handle = model.get_submodule(reader.name).register_forward_pre_hook(note)
    try:
        with in_eval_mode(model), torch.inference_mode():
            for chunk in images.split(BATCH):
                model(as_input(chunk))
    finally:
        handle.remove()
    return torch.stack(sums).sum(0) / len(images)


def cut(model: nn.Module, reader: Reader, channels: Tensor) -> nn.Module:
    """Have those channels of the last map no longer read; the model itself."""
    import torch

    linear = model.get_submodule(reader.name)
    with torch.no_grad():
        if reader.last:
            linear.weight[:, channels] = 0
        else:
            linear.weight.unflatten(1, (reader.channels, -1))[:, channels] = 0
    return model
