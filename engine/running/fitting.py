"""Which of a run's defenses its network can bear."""

from __future__ import annotations

from torch import Tensor, nn

from engine.config.run import RunConfig
from engine.errors import UnfitError


def bearable(config: RunConfig, model: nn.Module, clean: Tensor) -> tuple[RunConfig, dict[str, str]]:
    """The configuration less the defenses that the network cannot bear, and why it cannot, by name.

    Args:
        clean: a few images of the clean subset, float [N, 3, H, W] in [0, 1].

    Raises:
        UnfitError: it can bear none of those that were asked for.
    """
    found = {name: defense.unfit(model, clean) for name, defense in config.defenses.items()}
    unfit = {name: why for name, why in found.items() if why is not None}
    if not unfit:
        return config, {}
    if len(unfit) == len(found):
        reasons = "; ".join(f"defense {name}: n/a, {why}" for name, why in unfit.items())
        raise UnfitError(f"{config.model.name}: {reasons}")
    kept = {name: defense for name, defense in config.defenses.items() if name not in unfit}
    return config.model_copy(update={"defenses": kept}), unfit
