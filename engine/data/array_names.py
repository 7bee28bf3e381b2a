"""Which array of a .npz file is what: by the names that nadtui, Keras, MedMNIST, scikit-learn and people give them."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from engine.errors import RequestError

STANDARD = ("x_train", "y_train", "x_test", "y_test")
"""The names that are asked for."""
CLASS_NAMES = "class_names"

_PARTS = {
    "train": ("train", "training", "trn", "tr"),
    "test": ("test", "testing", "tst", "te"),
    "val": ("validation", "valid", "val", "dev"),
}
_KINDS = {
    "x": ("x", "image", "images", "img", "imgs", "data", "input", "inputs", "feature", "features", "pixels", "samples"),
    "y": ("y", "label", "labels", "target", "targets", "class", "lab", "labelids", "classids", "lbl", "lbls"),
    CLASS_NAMES: ("classnames", "classes", "labelnames", "categories", "names", "targetnames"),
}
_MEANT = {word: kind for kind, words in _KINDS.items() for word in words}
_WORDS = sorted(((word, part) for part, words in _PARTS.items() for word in words), key=lambda pair: -len(pair[0]))


@dataclass(frozen=True)
class Roles:
    """The arrays of a file by what they are."""

    train: tuple[str, str]
    """Images and labels."""
    test: tuple[str, str] | None
    """Images and labels; None = there are none apart."""
    class_names: str | None
    unused: tuple[str, ...]

    @property
    def standard(self) -> bool:
        """Whether the file has the names that are asked for."""
        return (*self.train, *(self.test or ())) == STANDARD


def roles(names: Sequence[str], where: str) -> Roles:
    """Find out what the arrays are.

    Without a test part the validation part is taken, and without that none.

    Raises:
        RequestError: the training images or labels cannot be told, or the test part has one without the other.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for name in names:
        meant = _meaning(name)
        if meant is not None:
            found.setdefault(meant, []).append(name)
    whole = not any(part == "train" for part, _ in found) and ("", "x") in found
    train = _pair(found, "" if whole else "train", where)
    pairs = [_pair(found, part, where) for part in ("test", "val")]
    pair = next((pair for pair in pairs if None not in pair), None)
    if None in train or (pair is None and any(pairs[0])):
        raise _lacking(names, (*train, *pairs[0]), where)
    named = _one(found.get(("", CLASS_NAMES), ()), CLASS_NAMES, where)
    used = {*train, *(pair or ()), named}
    return Roles(train, pair, named, tuple(name for name in names if name not in used))


def _meaning(name: str) -> tuple[str, str] | None:
    """Part ("train", "test", "val" or "" for all) and kind ("x", "y", class names) of an array, by its name."""
    compact = re.sub(r"[^a-z0-9]", "", name.lower())
    if compact in _MEANT:
        return "", _MEANT[compact]
    for word, part in _WORDS:
        for rest in (compact.removeprefix(word), compact.removesuffix(word)):
            if rest != compact and rest in _MEANT and _MEANT[rest] != CLASS_NAMES:
                return part, _MEANT[rest]
    return None


def _pair(found: dict[tuple[str, str], list[str]], part: str, where: str) -> tuple[str | None, str | None]:
    return tuple(_one(found.get((part, kind), ()), f"{kind}_{part}".rstrip("_"), where) for kind in ("x", "y"))


def _one(names: Collection[str], wanted: str, where: str) -> str | None:
    if len(names) > 1 and wanted not in names:
        raise RequestError(f"{where}: {' and '.join(names)} could each be {wanted}; name the one that is meant so")
    return wanted if wanted in names else next(iter(names), None)


def _lacking(names: Sequence[str], known: Sequence[str | None], where: str) -> RequestError:
    """`known`: what stands for each of the standard names."""
    wanted = ", ".join(STANDARD)
    missing = [name for name, found in zip(STANDARD, known, strict=True) if found is None]
    others = [name for name in names if name not in (*STANDARD, CLASS_NAMES)]
    held = f"; it holds {', '.join(others[:8])}{' ...' * (len(others) > 8)}" if others else ""
    return RequestError(f"{where} lacks {', '.join(missing)}; wants the arrays {wanted}{held}")
