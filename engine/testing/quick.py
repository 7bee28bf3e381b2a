"""What makes slow things quick: a table of settings by name, and for defenses those that say how long they train.

Just enough of each optimization to see that it happens. Free of torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.attacks.base import Attack
from engine.config.layers import merge, nested
from engine.defenses.base import Defense
from engine.settings import TrainingSettings

EPOCHS = 2
"""Of every stage of a defense: one to be stopped after, and one more."""
TRAINING: Mapping[str, Any] = {"batch_size": 16, "lr": 0.1, "augment": {"crop": 2}}
"""A defense's training that does in few steps what its own does in many."""

ATTACKS: Mapping[str, Mapping[str, Any]] = {
    "trojan": {"size": 4, "steps": 4, "surrogate_epochs": 2},
    "cl": {"steps": 2, "surrogate_epochs": 2},
    "dynamic": {"mask_steps": 20, "width": 4},
    "refool": {
        "reflections": 1,
        "selection": {"rounds": 2, "candidates": 4, "tried": 2, "epochs": 1},
    },
}

PLANTED: Mapping[str, Mapping[str, Any]] = {
    "sig": {"label_rule": "all-to-one", "poisoning_rate": 0.3},
    "cl": {"label_rule": "all-to-one", "poisoning_rate": 0.3},
    "refool": {"label_rule": "all-to-one", "poisoning_rate": 0.3},
    "pixel": {"pixels": [[-2, -2], [-2, -3], [-3, -2], [-3, -3]]},
    "wanet": {"strength": 2.0, "noise_ratio": 0.5},
    "dynamic": {"mask_steps": 30, "width": 8, "density": 0.2, "pace": 1.0},
}
"""What makes an attack strong enough for the few images of the tiny world, beside poisoning many of them. Where labels
are left alone nothing there is learned by a trigger: the color tells more than enough."""
PLANTED_RATE = 0.3

DEFENSES: Mapping[str, Mapping[str, Any]] = {
    "nad": {"distill": {"beta": 20}},
    "nad-features": {"distill": {"beta": 0.1}},
    "anp": {"steps": 12, "batch_size": 16},
    "rnp": {"unlearning_steps": 12, "recovering_steps": 12, "batch_size": 16, "window": 64},
    "nft": {"steps": 24, "batch_size": 16, "rates": [2.0, 1.0]},
    "unit": {"steps": 12, "batch_size": 16, "lr": 0.1},
    "d3": {"training": {"batch_size": 8, "lr": 0.05}, "distance": {"weight": 0.03}},
    "mcr": {"points": 2, "t": 0.8},
    "i-bau": {"training": {"lr": 0.001}, "perturbation_lr": 1},
    "argd": {"distill": {"node": 20, "dimensions": 4}},
    "sau": {"training": {"lr": 0.001}, "bound": 0.08, "step": 0.08},
    "abl": {"isolation": {"share": 0.2, "looks": 2}, "unlearning": {"training": {"lr": 0.03}}},
}


def attack(name: str) -> dict[str, Any]:
    """Quick settings of an attack."""
    return dict(ATTACKS.get(name, {}))


def planted(kind: type[Attack], name: str) -> dict[str, Any]:
    """Settings with which an attack is to be seen in a model."""
    strong = {"poisoning_rate": PLANTED_RATE} if kind.marks else {}
    return merge(merge(attack(name), strong), PLANTED.get(name, {}))


def defense(kind: type[Defense], name: str, epochs: int = EPOCHS) -> dict[str, Any]:
    """Quick settings of a defense: its table, over few epochs of small batches in every stage that says how many."""
    values: dict[str, Any] = {}
    plain = kind()
    for stage in plain.stages():
        field = plain.epochs_field(stage.name)
        if field is None:
            continue
        values = merge(values, nested(field, epochs))
        where, _, last = field.rpartition(".")
        if last == "epochs" and isinstance(_at(plain, where), TrainingSettings):
            values = merge(values, nested(where, TRAINING))
    return merge(values, DEFENSES.get(name, {}))


def _at(section: Any, where: str) -> Any:
    """The section at a dotted path, None where there is none."""
    for part in where.split("."):
        section = getattr(section, part, None)
    return section
