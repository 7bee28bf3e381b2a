"""The embedded data set ``signs``: drawn once, then read from the cache."""

import hashlib
from pathlib import Path

from torch import Tensor

from engine.data import drawing, signs
from engine.data.base import DataRequest, ImageData, Progress, assemble, fingerprint
from engine.errors import RequestError
from engine.storage import paths
from engine.storage.checkpoints import load_weights, save_weights

TRAIN, TEST = 10_000, 2_000
"""Images drawn where the settings give no number."""
FEW = 500
"""Images that are drawn while a person types."""

_PARTS = ("x_train", "y_train", "x_test", "y_test")


def load(settings: DataRequest, progress: Progress) -> ImageData:
    """Return ``signs`` with ``train_images`` and ``test_images`` images of ``size`` pixels square.

    A cache entry that is absent, cut short, damaged or not ours is drawn again.

    Raises:
        RequestError: too few images for every class to occur.
    """
    train, test = settings.train_images or TRAIN, settings.test_images or TEST
    if train < len(signs.CLASS_NAMES):
        raise RequestError(f"data.train_images = {train}: at least {len(signs.CLASS_NAMES)}, one of each class")
    path = _file(settings)
    parts = _read(path)
    if parts is None:
        progress("drawing signs", 0, 0)
        parts = signs.draw(train, test, seed=signs.SEED, size=settings.size)
        _keep(path, parts, progress)
    return assemble("signs", parts[:2], parts[2:], signs.CLASS_NAMES, "signs")


def at_hand(settings: DataRequest) -> bool:
    """Whether the images have been drawn before, or are so few that to draw them takes no time."""
    few = (settings.train_images or TRAIN) + (settings.test_images or TEST) <= FEW
    return few or _file(settings).is_file()


def _file(settings: DataRequest) -> Path:
    train, test = settings.train_images or TRAIN, settings.test_images or TEST
    return paths.cache_dir() / "signs" / f"{_version()}-{train}-{test}-{settings.size}-{signs.SEED}.safetensors"


def _keep(path: Path, parts: tuple[Tensor, ...], progress: Progress) -> None:
    """Put the parts into the cache, if there is one: whoever prepares a run says so where there is none."""
    try:
        save_weights(path, dict(zip(_PARTS, parts, strict=True)), {"fingerprint": fingerprint(*parts)})
    except RequestError as error:
        if not paths.unusable(paths.cache_dir()):
            progress(f"{error}: signs will be drawn again next time", 0, 0)


def _read(path: Path) -> tuple[Tensor, Tensor, Tensor, Tensor] | None:
    """Return the cached parts, or None unless they are whole and exactly what was once drawn."""
    try:
        tensors, metadata = load_weights(path)
    except RequestError:
        return None
    if tensors.keys() != set(_PARTS):
        return None
    x_train, y_train, x_test, y_test = (tensors[part] for part in _PARTS)
    parts = x_train, y_train, x_test, y_test
    return parts if fingerprint(*parts) == metadata.get("fingerprint") else None


def _version() -> str:
    """Identify the drawing by its program text: one that was changed does not find the old images."""
    text = b"".join(Path(module.__file__).read_bytes() for module in (signs, drawing))
    return hashlib.sha256(text).hexdigest()[:16]
