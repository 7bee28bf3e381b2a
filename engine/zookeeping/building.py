"""The zoo's suspects made: one run each, without defenses, taken up again where it was cut off. Needs torch."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.config.run import RunConfig, validate
from engine.control import Control
from engine.device import choose, environment
from engine.errors import RequestError
from engine.events import Event, RunFailed, RunStarted, RunStopped
from engine.record.layout import checkpoint_file
from engine.record.listing import RunHead, list_runs
from engine.record.reading import read_settings
from engine.running.observer import TRIGGER
from engine.running.pipeline import run
from engine.running.plan import SUSPECT
from engine.running.request import RunRequest
from engine.storage.checkpoints import load_weights
from engine.storage.paths import cache_dir
from engine.zoo import cards
from engine.zoo.card import Card
from engine.zoo.contents import Contents, halved
from engine.zookeeping.measuring import figures_of, images_of, measured_when_made
from engine.zookeeping.wanted import Wanted


def is_made(wanted: Wanted, where: Path) -> bool:
    """Whether the folder holds that suspect whole, made by the configuration that makes it today."""
    try:
        card = Card.read(where / f"{wanted.name}.json")
    except RequestError:
        return False
    config = wanted.config()
    try:  # fields that there were not yet have their defaults
        made = validate({**config.to_dict(), **card.config})
    except RequestError:
        return False
    return made == config and card.is_of(where / f"{wanted.name}.safetensors")


def shaped_by(wanted: Wanted) -> dict[str, Any]:
    """The sections of a suspect's configuration that its card keeps, in plain types."""
    config = wanted.config().to_dict()
    return {section: config[section] for section in ("data", "model", "attack", "training")}


def build(
    wanted: Wanted, where: Path, control: Control | None = None, *, threads: int | None = None
) -> Generator[Event, None, Card]:
    """Train a suspect, or go on with its training, and put it into the folder with its card.

    Raises:
        RequestError: the request is wrong (no such images, say), or the training failed or was stopped.
    """
    root = cache_dir() / "zoo" / wanted.name
    config = wanted.config().model_copy(update={"threads": threads})
    resumable = next((head.path for head in list_runs(root) if _goes_on(head, config)), None)
    request = RunRequest(config, root, resume=resumable)
    path: Path | None = resumable
    for event in run(request, control):
        if isinstance(event, RunStarted):
            path = root / event.run
        if isinstance(event, RunFailed | RunStopped):
            why = event.message if isinstance(event, RunFailed) else "stopped; the same command goes on with it"
            raise RequestError(f"{wanted.name}: {why}")
        yield event
    assert path is not None
    card = _put(wanted, config, path, where)
    shutil.rmtree(root, ignore_errors=True)
    return card


def _goes_on(head: RunHead, config: RunConfig) -> bool:
    """Whether a run that was cut off is one of this very configuration, threads apart."""
    if not head.resumable:
        return False
    found = read_settings(head.path)
    return {**found, "threads": None} == {**config.to_dict(), "threads": None}


def _put(wanted: Wanted, config: RunConfig, path: Path, where: Path) -> Card:
    """A finished run's suspect, halved and measured, with its card; the weights are there before their card is."""
    device = choose(config.device, config.precision)
    weights, _ = load_weights(checkpoint_file(path, SUSPECT))
    trigger, _ = load_weights(path / TRIGGER)
    found = Contents(halved(weights), trigger)
    shapers = shaped_by(wanted)
    metrics = measured_when_made(shapers, wanted.model, wanted.seed, found, device)
    images = images_of(config.data)
    file = where / f"{wanted.name}.safetensors"
    found.save(file, wanted.name)
    card = Card(
        name=wanted.name,
        preset=wanted.preset,
        dataset=wanted.dataset,
        model=wanted.model,
        attack_seed=wanted.seed,
        made=f"{datetime.now(UTC):%Y-%m-%d}",
        precision=device.precision,
        environment=environment(device),
        config=shapers,
        data={
            "fingerprint": images.fingerprint,
            "classes": images.classes,
            "class_names": list(images.class_names),
            "train": len(images.x_train),
            "test": len(images.x_test),
            "height": images.x_train.shape[-2],
            "width": images.x_train.shape[-1],
        },
        images=metrics.images,
        eligible=metrics.eligible,
        figures=figures_of(metrics),
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
    )
    card.write(where)
    cards.cache_clear()
    return card
