"""What is doubtful about a model that is there: values that are not finite, figures no better than chance."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import Tensor, nn

from engine.device import Device
from engine.errors import StageError
from engine.events import Message
from engine.figures import Metrics
from engine.models.inference import predict
from engine.models.normalized import Normalized, bare
from engine.models.preprocessing import KNOWN, Preprocessing
from engine.running.session import Session

LOOKED_AT = 500
"""Clean images on which preprocessings are tried."""
TELLING = 20.0
"""Points by which another preprocessing must be better to be told of where a model is not near chance."""
TRIED = ("cifar10", "imagenet", "gtsrb", "half", "bytes")
"""What is tried beside none and the data's own."""


def check_finite(stage: str, model: nn.Module, advice: str) -> None:
    """Refuse a model that diverged, whatever its loss was.

    Raises:
        StageError: a parameter or a buffer holds a value that is not finite; one is named.
    """
    for name, tensor in model.state_dict().items():
        if not bool(tensor.isfinite().all()):
            raise StageError(f"stage {stage}: {name} is no longer finite (NaN or infinity); {advice}")


def chance(labels: Tensor) -> float:
    """What always saying the most frequent class gets right, in percent."""
    return 100 * int(labels.bincount().max()) / len(labels)


def no_better_than_chance(metrics: Metrics, labels: Tensor) -> bool:
    """Whether the figures may well be those of a model that looks at nothing: within three standard deviations."""
    level = chance(labels)
    return metrics.acc <= level + 3 * math.sqrt(level * (100 - level) / max(1, metrics.images))


def doubt_of(stage: str, metrics: Metrics, labels: Tensor, advice: str) -> Iterator[Message]:
    """A line about a model whose accuracy is no better than chance."""
    if no_better_than_chance(metrics, labels):
        said = f"stage {stage}: ACC {metrics.acc:.1f} is no better than chance ({chance(labels):.1f}); {advice}"
        yield Message(level="warning", text=said)


def preprocessing_doubts(session: Session, model: nn.Module) -> Iterator[Message]:
    """A line about an adopted model that is near chance on the clean subset, or much better with another preprocessing.

    What was tried is said with the accuracy that each gives there.
    """
    looked_at = session.clean[:: max(1, len(session.clean) // LOOKED_AT)][:LOOKED_AT]
    images, labels = (each.to(session.device.torch) for each in (looked_at.images, looked_at.labels))
    level = chance(labels)
    accuracy = _accuracy(model, images, labels, session.device)
    if accuracy >= (100 + level) / 2:
        return
    tried = _tried(session, model, images, labels)
    best = max(tried, key=lambda name: tried[name][0])
    near = accuracy < level + max((100 - level) / 4, 3 * math.sqrt(level * (100 - level) / len(labels)))
    better = tried[best][0] - accuracy
    if not near and better < TELLING:
        return
    told = ", ".join(f"{name} {share:.1f}" for name, (share, _) in sorted(tried.items(), key=lambda each: -each[1][0]))
    hint = f"; take it with {tried[best][1]}" if better >= TELLING / 2 else "; none of them helps"
    asked = "near chance" if near else "little"
    yield Message(
        level="warning",
        text=f"suspect: {accuracy:.1f} % of {len(labels)} clean images right, {asked} (chance {level:.1f}): is its "
        f"preprocessing another? {told}{hint}",
    )


def _tried(session: Session, model: nn.Module, images: Tensor, labels: Tensor) -> dict[str, tuple[float, str]]:
    """By name of a preprocessing the accuracy that it gives, and the options that ask for it."""
    network = bare(model)
    own = _own(images)
    known: dict[str, tuple[Preprocessing, str]] = {
        name: (Preprocessing(*KNOWN[name]), f"--set model.mean={name}") for name in TRIED
    }
    row = "--set model.mean=[{}] --set model.std=[{}]"
    numbers = (",".join(f"{value:.4g}" for value in each) for each in (own.mean, own.std))
    known["the data's own"] = own, row.format(*numbers)
    found = {"none": (_accuracy(network, images, labels, session.device), "model.mean left out")}
    for name, (before, options) in known.items():
        dressed = Normalized(network, before).to(images.device)
        found[name] = _accuracy(dressed, images, labels, session.device), options
    return found


def _own(images: Tensor) -> Preprocessing:
    """The images' own mean and standard deviation."""
    rows = images.float().div(255).transpose(0, 1).flatten(1)
    mean, std = rows.mean(dim=1).tolist(), rows.std(dim=1).clamp(min=1e-3).tolist()
    return Preprocessing(tuple(mean), tuple(std))


def _accuracy(model: nn.Module, images: Tensor, labels: Tensor, device: Device) -> float:
    return 100 * float((predict(model, images, device) == labels).float().mean())
