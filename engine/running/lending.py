"""The lab that a run, or an attack carried out alone, lends to its attack."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from engine.attacks.lab import TrainingLab
from engine.config.run import RunConfig
from engine.control import Control
from engine.data.base import ImageData
from engine.device import Device
from engine.running.network import Network
from engine.storage.artifacts import ArtifactCache


def lend(
    config: RunConfig,
    data: ImageData,
    network: Network,
    device: Device,
    control: Control,
    folder: Path,
    cache: ArtifactCache,
    *,
    recall: bool,
) -> TrainingLab:
    """Where the attack trains and optimizes, products kept in `folder` and `cache`; `recall`: that may be read."""
    return TrainingLab(
        classes=data.classes,
        model=network.identity,
        build=partial(network.to_train, device=device, images=data.x_train, training=config.training),
        training=config.training,
        mirror=config.data.mirror,
        device=device,
        control=control,
        folder=folder,
        cache=cache,
        recall=recall,
        data=data.fingerprint,
    )
