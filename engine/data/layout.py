"""How a person's folder of images is laid out: where its classes are, and which of its parts trains and which tests."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from engine.data import listed
from engine.data.base import Note, few, in_order
from engine.data.decode import ImageFiles
from engine.data.tree import Branch, endings
from engine.errors import RequestError

_SPLITS = {
    "train": re.compile(r"(train|training|trn)"),
    "test": re.compile(r"(test|testing|tst|final[ _-]?test|eval|evaluation)"),
    "val": re.compile(r"(val|valid|validation|dev)"),
}
_AFFIXES = re.compile(r"^(images?|data)[ _.-]+|[ _.-]*(set|split|data|images?)$")
"""What may stand before or after a split's name: train_images, testset."""

WANTED = "a folder of images for each of two or more classes, or such folders in train and test"


@dataclass
class Layout:
    """What was understood of a folder."""

    classes: tuple[str, ...]
    train: dict[str, Branch]
    """The folders of each class; where `test` is None all there are."""
    test: dict[str, Branch] | ImageFiles | None
    """The same of the test part, in which classes may be missing; or its files, where a table tells their classes."""
    notes: list[Note] = field(default_factory=list)


def understand(root: Branch) -> Layout:
    """Find the classes of a folder and its parts.

    Raises:
        RequestError: it is laid out in no way that is known; the message says what was understood.
    """
    branch = _innermost(root)
    found = _by_class(branch) or _by_split(branch) or _plain(branch)
    if branch is not root:
        found.notes.insert(0, Note(f"{root}: the images lie in {branch.path.relative_to(root.path)}"))
    return found


def split_of(name: str) -> str | None:
    """Which part a folder's name stands for: train, test, val, or None."""
    bare = _AFFIXES.sub("", name.casefold())
    return next((split for split, pattern in _SPLITS.items() if pattern.fullmatch(bare)), None)


def _innermost(root: Branch) -> Branch:
    """Down through folders that hold nothing but one more folder."""
    branch = root
    while not branch.own and len(branch.fruitful) == 1:
        (inner,) = branch.fruitful.values()
        if not inner.fruitful:  # it holds images, and is a class
            break
        branch = inner
    return branch


def _by_split(branch: Branch) -> Layout | None:
    """Folders of classes in train and test, or a part of that."""
    parts: dict[str, Branch] = {}
    for name, each in branch.branches.items():
        split = split_of(name)
        if split is not None and (split not in parts or not parts[split].images):
            parts[split] = each
    train = parts.get("train")
    others = [each for name, each in branch.fruitful.items() if each not in parts.values()]
    if len(parts) > 1 and not others and (train is None or not train.images):
        lacking = "there is no train" if train is None else f"{train.path.name} holds no image"
        raise RequestError(f"{branch}: understood as split into {_names(parts)}; {lacking}")
    if train is None or not train.images or not (parts.keys() & {"test", "val"} or not others):
        return None
    inner = _innermost(train)
    if not inner.fruitful:
        if others:  # classes of which one is called train
            return None
        held = "; ".join(f"{each.path.name} holds {_held(each)}" for each in parts.values())
        raise RequestError(f"{branch}: understood as split into {_names(parts)}; {held}; wants class folders in each")
    classes = _classes(inner)
    notes: list[Note] = []
    test, name = _test_part(parts, classes, notes)
    taken = f"took {train.path.name} and {name}" if name else f"took {train.path.name}, of which a fifth tests"
    notes.insert(0, Note(f"{branch}: {taken}; {len(classes)} classes"))
    spare = parts.get("val")
    if name and spare is not None and spare.images and spare.path.name != name:
        notes.append(Note(f"{branch}: left out {spare.path.name} ({_held(spare)})"))
    if others:
        named = ", ".join(f"{each.path.name} ({_held(each)})" for each in others)
        notes.append(Note(f"{branch}: left out what lies beside: {named}", warning=True))
    return Layout(classes, inner.branches, test, notes)


def _test_part(
    parts: dict[str, Branch], classes: Sequence[str], notes: list[Note]
) -> tuple[dict[str, Branch] | ImageFiles | None, str]:
    """The part that tests, test before val, and its folder's name; None where neither can."""
    for part in (parts[split] for split in ("test", "val") if split in parts):
        inner = part if _named_like(part, classes).keys() & set(classes) else _innermost(part)
        named = _named_like(inner, classes)
        if not part.images:
            notes.append(Note(f"{part}: holds no image", warning=True))
        elif named.keys() & set(classes) or len(named) > 1:
            _check_classes(inner, named, classes)
            return named, part.path.name
        elif (read := listed.labeled(part, classes)) is not None:
            files, table = read
            notes.append(Note(f"{part}: the classes of its {len(files.files)} images are read from {table.name}"))
            return files, part.path.name
        else:
            text = f"{part}: {_held(part)}, none of them a class of train, and no table of classes; not used"
            notes.append(Note(text, warning=True))
    return None, ""


def _named_like(test: Branch, classes: Sequence[str]) -> dict[str, Branch]:
    """The folders of classes in the test part by the names that train has for them: 00014 and 14 are one number."""
    numbers = {name.lstrip("0"): name for name in classes if name.isascii() and name.isdigit()}
    if len(numbers) < len(classes) or not all(name.isascii() and name.isdigit() for name in test.fruitful):
        return test.fruitful
    found = {numbers.get(name.lstrip("0"), name): branch for name, branch in test.fruitful.items()}
    return found if len(found) == len(test.fruitful) else test.fruitful


def _check_classes(test: Branch, found: Collection[str], classes: Sequence[str]) -> None:
    strange = [repr(name) for name in in_order(set(found) - set(classes))]
    if strange:
        which = f"the class {strange[0]}, which is" if len(strange) == 1 else f"{len(strange)} classes that are"
        named = f": {few(strange)}" if len(strange) > 1 else ""
        raise RequestError(f"{test} has {which} not in train{named}; train has {few([repr(n) for n in classes])}")


def _by_class(branch: Branch) -> Layout | None:
    """Train and test within every class."""
    kinds = branch.fruitful
    splits = {name: {split_of(inner): each for inner, each in kind.fruitful.items()} for name, kind in kinds.items()}
    if len(kinds) < 2 or any(kind.own for kind in kinds.values()):
        return None
    named = set().union(*splits.values())
    tests = next((split for split in ("test", "val") if split in named), None)
    if tests is None or None in named or any("train" not in known for known in splits.values()):
        return None
    if any(split_of(name) for name in kinds):
        return None
    classes = in_order(kinds)
    test = {name: known[tests] for name, known in splits.items() if tests in known}
    notes = [Note(f"{branch}: took train and {tests} of each class; {len(classes)} classes")]
    return Layout(classes, {name: known["train"] for name, known in splits.items()}, test, notes)


def _plain(branch: Branch) -> Layout:
    """The class folders themselves."""
    classes = _classes(branch)
    notes = []
    if branch.own:
        text = f"{branch}: left out {len(branch.own)} images that lie beside the class folders, in none of them"
        notes.append(Note(text, warning=True))
    name = branch.path.name
    if split_of(name):
        notes.append(Note(f"{branch.path}: took {name} alone, of which a fifth tests; {len(classes)} classes"))
    return Layout(classes, branch.branches, None, notes)


def _classes(branch: Branch) -> tuple[str, ...]:
    """The names of the class folders, in the order of their ids."""
    names = in_order(branch.branches)
    if len(names) >= 2:
        return names
    held = f"one class folder, {names[0]!r}" if names else "no class folders"
    images = [f"{len(branch.own)} images that lie in none"] if branch.own else []
    left = [f"files that are no images: {endings(branch.all_left)}"] if branch.all_left else []
    also = f" ({'; '.join([*images, *left])})" if images or left else ""
    raise RequestError(f"{branch} has {held}{also}; wants {WANTED}")


def _held(branch: Branch) -> str:
    folders = f" in {len(branch.fruitful)} folders" if branch.fruitful else " and no class folders"
    count = len(branch.images)
    return f"{count} image{'s' * (count != 1)}{folders}"


def _names(parts: dict[str, Branch]) -> str:
    return " and ".join(part.path.name for part in parts.values())
