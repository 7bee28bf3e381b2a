"""GTSRB, the German Traffic Sign Recognition Benchmark (Stallkamp et al. 2012)."""

import shutil
from pathlib import Path

import torch

from engine.data import npz
from engine.data.base import DataRequest, ImageData, Progress, assemble
from engine.data.decode import ImageFiles, decode_part
from engine.data.download import downloading
from engine.errors import AbsentError
from engine.storage import paths

CLASS_NAMES = (
    "speed limit 20",
    "speed limit 30",
    "speed limit 50",
    "speed limit 60",
    "speed limit 70",
    "speed limit 80",
    "end of speed limit 80",
    "speed limit 100",
    "speed limit 120",
    "no overtaking",
    "no overtaking by trucks",
    "right of way at next crossing",
    "priority road",
    "yield",
    "stop",
    "no vehicles",
    "no trucks",
    "no entry",
    "danger",
    "bend to the left",
    "bend to the right",
    "double bend",
    "uneven road",
    "slippery road",
    "road narrows",
    "road works",
    "traffic lights",
    "pedestrians",
    "children",
    "bicycles",
    "ice or snow",
    "wild animals",
    "end of all limits",
    "turn right ahead",
    "turn left ahead",
    "ahead only",
    "ahead or right",
    "ahead or left",
    "keep right",
    "keep left",
    "roundabout",
    "end of no overtaking",
    "end of no overtaking by trucks",
)
"""The official classes 0 to 42."""


def load(settings: DataRequest, progress: Progress) -> ImageData:
    """Load ``gtsrb.npz`` from the data folder if it is there, else torchvision's copy, else download that.

    The file has the arrays of a user's npz file (``engine.data.npz``); the images of torchvision's copy, of
    15 to 250 pixels, are resized to ``settings.size``.

    Raises:
        RequestError: data of the wrong form, or none and no network; the message says what to do.
    """
    folder = paths.data_dir()
    if (folder / "gtsrb.npz").exists():
        return npz.read(folder / "gtsrb.npz", "gtsrb", CLASS_NAMES, settings, progress)
    if not (folder / "gtsrb").exists():
        _download(folder, progress)
    train = decode_part(_files(folder, "train"), "train", settings, progress)
    test = decode_part(_files(folder, "test"), "test", settings, progress)
    names = CLASS_NAMES[: int(train[1].max()) + 1]
    return assemble("gtsrb", train, test, names, str(folder / "gtsrb"))


def _files(folder: Path, part: str) -> ImageFiles:
    """List the image files of a part of torchvision's copy, with their official labels."""
    from torchvision.datasets import GTSRB  # importing it takes seconds, which gtsrb.npz spares

    try:
        samples = GTSRB(folder, part)._samples
        files = [Path(file) for file, _ in samples]
        if part == "test":
            return ImageFiles(files, torch.tensor([label for _, label in samples]))
        # torchvision counts the folders that are there; their names are the classes the test part refers to.
        return ImageFiles(files, torch.tensor([int(file.parent.name) for file in files]))
    except (RuntimeError, OSError, KeyError, ValueError) as error:
        raise AbsentError(
            f"{folder / 'gtsrb'} is not a whole copy of GTSRB as torchvision stores it ({error}); complete or remove it"
        ) from error


def _download(folder: Path, progress: Progress) -> None:
    """Download both parts beside their place and move them there when they are whole.

    torchvision takes any folder of the right name for the data set, a half extracted one too.
    """
    from torchvision.datasets import GTSRB

    partial = folder / ".gtsrb-download"
    with downloading("gtsrb", "put gtsrb.npz or torchvision's gtsrb folder", folder, progress):
        if (folder / "gtsrb").exists():  # another process downloaded it while this one waited
            return
        shutil.rmtree(partial / "gtsrb" / "GTSRB", ignore_errors=True)
        for part in ("train", "test"):
            GTSRB(partial, part, download=True)
        for archive in (partial / "gtsrb").glob("*.zip"):
            archive.unlink()
        (partial / "gtsrb").rename(folder / "gtsrb")
        partial.rmdir()
