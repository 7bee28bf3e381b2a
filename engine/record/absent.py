"""Why a figure of a run does not exist. Free of torch."""

from __future__ import annotations

import math
from typing import Any

from engine.figures import Metrics
from engine.record.view import RunView

UNKNOWN = "no trigger is known"


def absent(view: RunView, metrics: Metrics) -> dict[str, str]:
    """By name the figures of a model that do not exist, each with the reason in words."""
    return {**_of_trigger(view, metrics), **_of_classes(view, metrics)}


def _of_trigger(view: RunView, metrics: Metrics) -> dict[str, str]:
    if not view.attacked:
        return dict.fromkeys(("asr", "ra", "base"), UNKNOWN)
    if metrics.eligible == 0:
        why = f"all {metrics.images} test images are of the class that the attacker wants"
        return dict.fromkeys(("asr", "ra", "base"), why)
    if math.isnan(metrics.asr):
        return dict.fromkeys(("asr", "ra"), f"{_name(view)} puts no trigger on images")
    return {}


def _of_classes(view: RunView, metrics: Metrics) -> dict[str, str]:
    missing = [class_name(view, label) for label, acc in enumerate(metrics.class_acc) if math.isnan(acc)]
    if not missing:
        return {}
    return {"class_acc": f"no test image of class{'es' * (len(missing) > 1)} {', '.join(map(repr, missing))}"}


def _name(view: RunView) -> str:
    attack = view.config.get("attack")
    name = attack.get("name") if isinstance(attack, dict) else None
    return f"the attack '{name}'" if name else "the attack"


def known_class(view: RunView, label: Any) -> str | None:
    """What a class is called; None where the record gives it no name."""
    names = view.dataset.get("class_names")
    known = isinstance(names, list) and isinstance(label, int) and 0 <= label < len(names)
    return str(names[label]) if known else None


def class_name(view: RunView, label: int) -> str:
    """What a class is called; `class 3` where the record gives it no name."""
    return known_class(view, label) or f"class {label}"


def target_class(view: RunView) -> str | None:
    """What the attacker's class is called; None where there is no single one, or no name for it."""
    attack = view.config.get("attack")
    if not isinstance(attack, dict) or attack.get("label_rule") == "all-to-all":
        return None
    return known_class(view, attack.get("target"))
