"""What every source of images promises. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor

from engine import data
from engine.config.run import DataSettings
from engine.data.base import SMALLEST, ImageData, fingerprint
from engine.errors import RequestError
from engine.testing import digests
from engine.testing.bystander import Bystander
from engine.testing.contract import ContractBroken, NotTried, differing, granted, one_line, require
from engine.testing.subject import Subject

TRAIN, TEST = 300, 120
"""Images that are asked for, where the source has so many."""
PARTS = ("x_train", "y_train", "x_test", "y_test")


def loaded(subject: Subject, number: int = 0) -> ImageData:
    """Its images, loaded once for each number: 300 and 120 of them, or all where there are fewer.

    Raises:
        NotTried: they are not on this machine, or cannot be loaded.
    """
    return granted(lambda: _loaded(subject, number), "form")


def _loaded(subject: Subject, number: int = 0) -> ImageData:
    if not data.present(subject.name):
        raise NotTried("its images are not on this machine")
    return subject.once(number, lambda: _load(subject))


def _load(subject: Subject, train: int | None = TRAIN, test: int | None = TEST) -> ImageData:
    def progress(what: str, done: int, total: int) -> None:
        said = isinstance(what, str) and isinstance(done, int) and isinstance(total, int)
        require(said, "it tells its progress in something else than a text and two whole numbers")

    try:
        return data.load(DataSettings(name=subject.name, train_images=train, test_images=test), progress)
    except RequestError as error:
        if train == TRAIN:
            return _load(subject, None, None)
        raise ContractBroken(one_line(f"it is refused: {error}")) from error
    except ContractBroken:
        raise
    except Exception as error:
        raise ContractBroken(f"loading it ends in {one_line(error)}") from error


def _parts(images: ImageData) -> dict[str, Tensor]:
    return {part: getattr(images, part) for part in PARTS}


# --- the checks ---


def settings(subject: Subject) -> None:
    """If it says whether its images are on this machine, it says yes or no."""
    try:
        source = data.SOURCES.get(subject.name) if subject.name in data.SOURCES else None
        said = getattr(source, "present", lambda: True)()
    except Exception as error:
        raise ContractBroken(f"asked whether its images are there, it ends in {one_line(error)}") from error
    require(isinstance(said, bool), f"asked whether its images are there, it says {said!r}")


def form(subject: Subject) -> None:
    """uint8 images [N, 3, H, W] and int64 labels, as many, of classes that have names; every class is trained on."""
    it = _loaded(subject)
    for part in ("train", "test"):
        images, labels = getattr(it, f"x_{part}"), getattr(it, f"y_{part}")
        shape = images.dtype == torch.uint8 and images.ndim == 4 and images.shape[1] == 3 and images.is_contiguous()
        require(shape, f"x_{part} is {images.dtype} {tuple(images.shape)}; wanted is uint8 [N, 3, H, W], contiguous")
        require(labels.dtype == torch.int64 and labels.ndim == 1, f"y_{part} is {labels.dtype} {tuple(labels.shape)}")
        require(len(images) == len(labels) > 0, f"x_{part} has {len(images)} images, y_{part} {len(labels)} labels")
        known = int(labels.min()) >= 0 and int(labels.max()) < it.classes
        require(known, f"y_{part} holds labels from {int(labels.min())} to {int(labels.max())} of {it.classes} classes")
    require(it.x_train.shape[1:] == it.x_test.shape[1:], "training images and test images are of unlike sizes")
    require(min(it.x_train.shape[2:]) >= SMALLEST, f"its images are smaller than {SMALLEST}x{SMALLEST}")
    require(len(it.y_train.unique()) == it.classes >= 2, "not every class is among the training images")
    require(all(isinstance(name, str) and name for name in it.class_names), "a class has no name")
    require(bool(it.name) and isinstance(it.name, str), "it has no name")


def same_bits(subject: Subject) -> None:
    """Loaded twice, it is the same to the bit."""
    one, two = loaded(subject), loaded(subject, 1)
    wrong = differing(
        *({part: digests.of_tensors({"": tensor}) for part, tensor in _parts(it).items()} for it in (one, two))
    )
    require(not wrong, f"loaded again, it has other bits in {wrong}")


def fingerprinted(subject: Subject) -> None:
    """Its fingerprint is that of its images and labels: what is kept of them in caches goes by it."""
    it = loaded(subject)
    require(it.fingerprint == fingerprint(*_parts(it).values()), "its fingerprint is not that of its images and labels")


def process_untouched(subject: Subject) -> None:
    """Global generators, the number of threads and torch's switches are afterwards as before."""
    loaded(subject)
    before = digests.of_process()
    _load(subject)
    changed = differing(before, digests.of_process())
    require(not changed, f"it changes {changed}")


def counts(subject: Subject) -> None:
    """As many images as are asked for, each class among them, and always the same."""
    it = loaded(subject)
    train, test = max(it.classes, len(it.x_train) // 2), max(1, len(it.x_test) // 2, it.classes)
    fewer = _load(subject, train, test)
    got = (len(fewer.x_train), len(fewer.x_test))
    require(got == (train, test), f"asked for {train} and {test} images, it gives {got[0]} and {got[1]}")
    require(len(fewer.y_train.unique()) == it.classes, "asked for fewer images, it leaves classes out")


def carries_a_run(subject: Subject) -> None:
    """An attack and a defense run on it to their end."""
    it = loaded(subject)
    layer = {
        "data": {"name": subject.name, "train_images": len(it.x_train), "test_images": len(it.x_test)},
        "training": {"epochs": 1},
    }
    subject.world.whole(subject.world.config(layer, defenses={"bystander": Bystander()}), "a run on it")


def refusals(subject: Subject) -> None:
    """Fewer training images than classes are refused at once, in one line."""
    loaded(subject)
    one = {"data": {"name": subject.name, "train_images": 1}}
    said = subject.world.refusal(subject.world.config(one), "a single training image")
    require(bool(said), "a single training image for all classes is taken without a word")
