"""Images in one flat folder whose classes stand in a table beside it: the test parts of GTSRB and Tiny ImageNet."""

import csv
from collections.abc import Sequence
from pathlib import Path

import torch

from engine.data.decode import ImageFiles
from engine.data.tree import Branch

_FILE = ("filename", "file", "path", "image", "img", "name", "id", "imageid")
_CLASS = ("classid", "class", "label", "labels", "target", "category", "classname", "wnid")
_LARGEST = 64 * 2**20
_TABLES = (".csv", ".tsv", ".txt")


def labeled(split: Branch, classes: Sequence[str]) -> tuple[ImageFiles, Path] | None:
    """The images of a split with their labels, and the table these come from; None where no table names them all.

    The table lies in the split's folder, in the one with the images, or in one of the two above it.
    """
    images = split.images
    if not images:
        return None
    folders = dict.fromkeys([images[0].parent, split.path, *split.path.parents[:2]])
    for folder in folders:
        for table in sorted(file for file in _files(folder) if file.suffix.lower() in _TABLES):
            known = _read(table)
            labels = [_label(known.get(image.name), classes) for image in images]
            if known and None not in labels:
                return ImageFiles(images, torch.tensor(labels)), table
    return None


def _files(folder: Path) -> list[Path]:
    try:
        return [file for file in folder.iterdir() if file.is_file() and file.stat().st_size <= _LARGEST]
    except OSError:
        return []


def _read(table: Path) -> dict[str, str]:
    """A table's classes by the names of the files, without their folders; empty where it is no such table."""
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return {}
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        rows = list(csv.reader(text.splitlines(), delimiter=delimiter))
    except csv.Error:
        return {}
    if not rows or len(rows[0]) < 2:
        return {}
    head = ["".join(filter(str.isalnum, cell.lower())) for cell in rows[0]]
    file, kind = (next((head.index(name) for name in names if name in head), None) for names in (_FILE, _CLASS))
    if file is None or kind is None:  # no header, as in Tiny ImageNet: file, class, box
        file, kind = 0, 1
    return {Path(row[file]).name: row[kind].strip() for row in rows if len(row) > max(file, kind)}


def _label(name: str | None, classes: Sequence[str]) -> int | None:
    """The class of that name; of that number, where all classes are called by numbers (14 is 00014)."""
    if name is None:
        return None
    if name in classes:
        return classes.index(name)
    numbers = {int(each): label for label, each in enumerate(classes)} if _numeric((*classes, name)) else {}
    return numbers.get(int(name)) if numbers else None


def _numeric(names: Sequence[str]) -> bool:
    return all(name.isascii() and name.isdigit() for name in names)
