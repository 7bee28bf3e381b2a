"""A folder of images as it lies on the disk: its folders, the images in them, and what else there is."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from engine.data import decode
from engine.data.base import Progress
from engine.errors import RequestError

BYSTANDER_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "readme", "license", "copying"})
BYSTANDER_ENDINGS = frozenset(
    [".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml", ".ini", ".cfg"]
) | frozenset([".log", ".html", ".htm", ".css", ".js", ".url", ".py", ".ipynb", ".sh", ".m", ".names", ".md5"])
"""Texts that lie beside images, and whose being left alone is not worth a word."""
BYSTANDER_FOLDERS = frozenset(
    {"__macosx", "__pycache__", "@eadir", "$recycle.bin", "system volume information", "lost+found"}
)
_DEEPEST = 32
_MANY = 1_000


@dataclass(eq=False)
class Branch:
    """A folder, without what is hidden in it."""

    path: Path
    own: list[Path] = field(default_factory=list)
    """The images that lie in it directly."""
    left: Counter[str] = field(default_factory=Counter)
    """Files in it that are no images that can be decoded here, texts beside them left out, by their ending."""
    branches: dict[str, "Branch"] = field(default_factory=dict)
    """The folders in it by name, in the order of their names."""

    @cached_property
    def images(self) -> list[Path]:
        """The images in it and below, sorted."""
        return sorted([*self.own, *(image for branch in self.branches.values() for image in branch.images)])

    @cached_property
    def all_left(self) -> Counter[str]:
        """`left` of it and of all below."""
        return sum((branch.all_left for branch in self.branches.values()), self.left)

    @property
    def fruitful(self) -> dict[str, "Branch"]:
        """Those of its folders in which there is an image, however deep."""
        return {name: branch for name, branch in self.branches.items() if branch.images}

    def __str__(self) -> str:
        return str(self.path)


def grow(path: Path, progress: Progress) -> Branch:
    """Look through a folder and all below it.

    An image is what the decoder takes: of files with one of its formats' endings that is assumed, others are tried.

    Raises:
        RequestError: a folder that cannot be read.
    """
    seen = [0]

    def walk(path: Path, above: tuple[str, ...]) -> Branch:
        branch = Branch(path)
        real = os.path.realpath(path)
        if real in above or len(above) > _DEEPEST:  # a link back to a folder that this one lies in
            return branch
        folders = []
        for entry in _entries(path):
            seen[0] += 1
            if seen[0] % _MANY == 0:
                progress(f"looking through {path.name}", 0, 0)
            if entry.is_dir():
                if entry.name.lower() not in BYSTANDER_FOLDERS:
                    folders.append(entry.name)
            elif entry.is_file():
                _sort(Path(entry.path), branch)
            elif entry.is_symlink():
                branch.left["broken links"] += 1
        branch.own.sort()
        branch.branches = {name: walk(path / name, (*above, real)) for name in sorted(folders)}
        return branch

    return walk(path, ())


def _sort(file: Path, branch: Branch) -> None:
    """Put a file where it belongs."""
    ending, name = file.suffix.lower(), file.name.lower()
    if ending in decode.endings():
        branch.own.append(file)
    elif name not in BYSTANDER_FILES and ending not in BYSTANDER_ENDINGS:
        if decode.is_image(file):
            branch.own.append(file)
        else:
            branch.left[ending or "no ending"] += 1


def _entries(folder: Path) -> Iterator[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        raise RequestError(f"cannot read {folder}: {error.strerror or error}") from error


def endings(left: Counter[str]) -> str:
    """`18 .heic, 1 .mp4`: the most frequent first."""
    counts = sorted(left.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {ending}" for ending, count in counts[:4]) + ", ..." * (len(counts) > 4)
