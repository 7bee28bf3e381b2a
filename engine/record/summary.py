"""A run in plain types: what `summary.json` holds, `--json` prints and the exports are made of. Free of torch."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from engine.events import SCHEMA, Chosen, Isolated, ProxiesMade, Verified
from engine.plain import plain
from engine.record.absent import absent, known_class, target_class
from engine.record.origin import origin
from engine.record.stage_view import StageView
from engine.record.verdict import of_summary
from engine.record.view import RunView


def summarize(view: RunView) -> dict[str, Any]:
    """The run as in `summary.json`; of one that is not finished, what there is.

    A stage is listed once it has figures: the final ones where it is finished, else the newest of its curve, over a
    draw of the test images. The suspect comes first, the last purified model last, between them the plan's order.
    Percentages are 0-100, numbers that do not exist null; `absent` of a stage says why. `poisoned` are training images,
    null where they are not counted once and for all; `class_names` are in the order of `class_acc`; `unfit` says, by
    name, why the network cannot bear a defense that was asked for.
    """
    came_from = origin(view)
    stages = [_stage(view, stage) for stage in _listed(view) if stage.metrics]
    verdicts = of_summary({"stages": stages})
    return {
        "schema": SCHEMA,
        "run": view.run,
        "status": view.status,
        "preset": view.preset,
        "recipe": view.config.get("recipe"),
        "seed": view.config.get("seed"),
        "device": view.environment.get("device", view.config.get("device")),
        "dataset": {key: view.dataset.get(key) for key in ("name", "classes", "train", "test", "clean")},
        "model": view.model,
        "attack": view.config.get("attack") or {},
        "attacked": view.attacked,
        "poisoned": view.dataset.get("poisoned"),
        "target_class": target_class(view),
        "class_names": view.dataset.get("class_names"),
        "suspect": came_from.to_dict() if came_from else None,
        "stages": [
            stage | ({"verdict": verdicts[name].to_dict()} if (name := stage["stage"]) in verdicts else {})
            for stage in stages
        ],
        "unfit": view.unfit,
        **({"proxies": _proxies(view, view.proxies)} if view.proxies else {}),
        "seconds": round(view.elapsed(), 3),
        "peak_memory": view.finished.peak_memory if view.finished else None,
        "started": datetime.fromtimestamp(view.started, UTC).isoformat(),
        "environment": view.environment,
        "config_sha256": view.config_sha256,
        **({"failure": view.failure.message} if view.failure else {}),
    }


def _listed(view: RunView) -> list[StageView]:
    """The stages in the order of the list."""
    first, last = view.suspect, next(reversed(view.purified), None)
    between = [stage for stage in view.stages.values() if stage is not first and stage is not last]
    return [stage for stage in (first, *between, last) if stage is not None]


def _stage(view: RunView, stage: StageView) -> dict[str, Any]:
    metrics, done, last = stage.metrics, stage.finished, stage.last
    assert metrics is not None
    rate = done.images_per_second if done else last.images_per_second if last else math.nan
    balanced = metrics.balanced_acc
    return {
        "stage": stage.name,
        "role": stage.role,
        "defense": stage.defense,
        "needs": list(stage.needs),
        "state": stage.state,
        **plain(metrics),
        "absent": absent(view, metrics),
        "balanced_acc": balanced if math.isfinite(balanced) else None,
        "epochs": done.epochs if done else stage.evaluations[-1].epoch,
        "seconds": round(done.seconds if done else stage.worked, 3),
        "evaluation_seconds": round(done.evaluation_seconds, 3) if done else None,
        "images_per_second": round(rate, 1) if math.isfinite(rate) else None,
        "image_steps": done.image_steps if done else None,
        "cached": stage.cached,
        "checkpoint": done.checkpoint if done else None,
        "sha256": done.sha256 if done else None,
        "curve": [{"at": point.at, **plain(point.metrics)} for point in stage.curve],
        "chosen": [_chosen(each) for each in stage.chosen],
        **({"changes": [plain(each) for each in done.changes]} if done and done.changes else {}),
        **({"shadow": plain(stage.shadows[-1].figures)} if stage.shadows else {}),
        **({"isolated": _isolated(stage.isolated)} if stage.isolated else {}),
        **({"verified": {name: _verified(each) for name, each in stage.verified.items()}} if stage.verified else {}),
    }


def _proxies(view: RunView, event: ProxiesMade) -> dict[str, Any]:
    """The made-up triggers: for which class, and how much it stands out among all."""
    kept = ("target", "outliers", "stands_out", "cells", "image_steps", "seconds")
    return plain({key: getattr(event, key) for key in kept} | {"class": known_class(view, event.target)})


def _chosen(event: Chosen) -> dict[str, Any]:
    """What a stage chose; `cost` where it kept to a budget: points of ACC lost on held images, and whether within."""
    told = {"what": event.what, "choice": event.choice, "scores": plain(event.scores)}
    if event.cost is not None:
        told["cost"] = {**plain(event.cost), "within": event.cost.within, "sure": event.cost.sure}
    return told


def _isolated(event: Isolated) -> dict[str, Any]:
    """What a stage set apart, in images and in shares of 0-1."""
    counts = {key: getattr(event, key) for key in ("images", "isolated", "poisoned", "found")}
    return {**counts, **plain({"precision": event.precision, "recall": event.recall})}


def _verified(event: Verified) -> dict[str, Any]:
    """One measurement of a purified model, beside a clean model's."""
    kept = ("figures", "control", "points", "uncontrolled", "unfit", "seconds", "image_steps")
    return {key: plain(value) for key in kept if (value := getattr(event, key)) or key == "figures"}
