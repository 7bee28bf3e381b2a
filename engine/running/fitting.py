"""Which of a run's defenses its network can bear."""

from __future__ import annotations

from torch import Tensor, nn

from engine.config.run import RunConfig
from engine.errors import UnfitError


def bearable(config: RunConfig, model: nn.Module, clean: Tensor) -> tuple[RunConfig, dict[str, str]]:
    """The configuration less the defenses that the network cannot bear, and why it cannot, by name; what stands on one
    of them goes with it.

    Args:
        clean: a few images of the clean subset, float [N, 3, H, W] in [0, 1].

    Raises:
        UnfitError: it can bear none but those on which others stand.
    """
    unfit: dict[str, str] = {}
    for name, defense in config.defenses.items():
        why = defense.unfit(model, clean)
        below = next((other for other in defense.stands_on if other in unfit), None)
        if why is not None or below is not None:
            unfit[name] = why if why is not None else f"it stands on {below}"
    if not unfit:
        return config, {}
    stood_on = {other for defense in config.defenses.values() for other in defense.stands_on}
    if unfit.keys() >= config.defenses.keys() - stood_on:
        reasons = "; ".join(f"defense {name}: n/a, {why}" for name, why in unfit.items())
        raise UnfitError(f"{config.model.name}: {reasons}")
    kept = {name: defense for name, defense in config.defenses.items() if name not in unfit}
    return config.model_copy(update={"defenses": kept}), unfit
