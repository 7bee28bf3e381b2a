"""Records, configurations and summaries of schema 1, brought up to today's: the only place that knows the old names.

A run of schema 1 was always the same: an attack, a teacher, NAD, and further defenses beside it, of a wide ResNet
whose taps were its three groups. What is brought up here reads like today's; it cannot be written on.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

TAPS = ("group1", "group2", "group3")
"""What the taps of schema 1's only family were called."""

_PLANNED = {
    "attack": {"role": "suspect", "defense": ""},
    "teacher": {"role": "reference", "defense": "nad"},
    "nad": {"role": "purified", "defense": "nad"},
}
_NEEDS = {"attack": [], "nad": ["attack", "teacher"]}
_MOVED = ("student", "teacher", "distill")


def run_started(values: dict[str, Any]) -> dict[str, Any]:
    """The fields of a record's first event; one of today's, or one that makes no sense, is returned as it is."""
    names, settings = values.get("stages"), values.get("config")
    if "plan" in values or not isinstance(names, list) or not isinstance(settings, dict):
        return values
    content = json.dumps(settings, sort_keys=True)
    return {
        **values,
        "plan": [{"name": name, **_planned(name), "needs": _NEEDS.get(name, ["attack"])} for name in map(str, names)],
        "config": configuration(settings),
        "config_sha256": hashlib.sha256(content.encode()).hexdigest(),
        "model": _with_taps(values.get("model")),
        "attention": {name: _table(settings.get("distill")).get(name) for name in ("operator", "p")},
        "schema": values.get("schema", 1),
    }


def configuration(settings: dict[str, Any]) -> dict[str, Any]:
    """A complete configuration under today's names; one that has no old names is returned as it is."""
    if not any(name in settings for name in _MOVED):
        return settings
    teacher, distill, others = (_table(settings.get(name)) for name in ("teacher", "distill", "defenses"))
    brought = {"suspect" if name == "student" else name: value for name, value in settings.items()}
    brought["suspect"] = settings.get("student") or "trained"
    brought["model"] = {"taps": None, "mean": None, "std": None, **_table(settings.get("model"))}
    if "training" in settings:
        brought["training"] = {"first_layer": "random", **_table(settings["training"])}
    brought["defenses"] = {
        "nad": {"teacher": teacher, "distill": distill},
        **{name: _filled(_table(own), distill) for name, own in others.items()},
    }
    return {name: value for name, value in brought.items() if name not in _MOVED}


def summary(values: dict[str, Any]) -> dict[str, Any]:
    """What a `summary.json` holds; one of today's, or one that makes no sense, is returned as it is."""
    stages = values.get("stages")
    if values.get("schema") != 1 or not isinstance(stages, list) or not all(isinstance(each, dict) for each in stages):
        return values
    brought = [
        {"stage": stage.get("stage"), **_planned(str(stage.get("stage"))), **stage, "curve": [], "chosen": []}
        for stage in stages
    ]
    return {**values, "schema": 2, "model": _with_taps(values.get("model")), "attacked": True, "stages": brought}


def _planned(stage: str) -> dict[str, str]:
    return _PLANNED.get(stage, {"role": "purified", "defense": stage})


def _filled(own: dict[str, Any], distill: dict[str, Any]) -> dict[str, Any]:
    """A further defense's settings: what it left open, it took over from NAD's distillation."""
    return {name: distill.get(name) if value is None else value for name, value in own.items()}


def _with_taps(model: Any) -> dict[str, Any]:
    return {**_table(model), "taps": list(TAPS)}


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
