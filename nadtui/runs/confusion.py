"""What a run's models answer to the images of each class: confusion matrices, and what stands in for large ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.record.layout import answers_file

if TYPE_CHECKING:
    import numpy as np

WIDE = 20
"""Classes of which a matrix is shown whole; of more, each with what it is most often taken for."""
KINDS = {"clean": "clean images", "triggered": "triggered images"}


@dataclass(frozen=True)
class Confusion:
    """Of one model and one kind of images, how many of each class it takes for which."""

    stage: str
    kind: str
    """clean or triggered."""
    counts: np.ndarray
    """int64 [true class, answered class]."""
    names: tuple[str, ...]

    @property
    def title(self) -> str:
        """What the table is of."""
        return f"What {self.stage} takes {KINDS[self.kind]} for"

    @property
    def columns(self) -> tuple[str, ...]:
        """The true class, and what it is taken for."""
        if len(self.names) > WIDE:
            return ("true class", "images", "right", "most often instead", "images so")
        return ("true class", "images", *self.names)

    def rows(self) -> list[tuple[str, ...]]:
        """A row for each class of which there are images."""
        return [self._row(label) for label in range(len(self.names)) if self.counts[label].any()]

    def to_dict(self) -> dict[str, Any]:
        """In JSON's own types: `counts` by true class, then by answered class."""
        return {"stage": self.stage, "images": self.kind, "classes": list(self.names), "counts": self.counts.tolist()}

    def _row(self, label: int) -> tuple[str, ...]:
        row = self.counts[label]
        images = int(row.sum())
        if len(self.names) <= WIDE:
            return (self.names[label], str(images), *(str(int(count)) if count else "·" for count in row))
        others = row.copy()
        others[label] = 0
        most = int(others.argmax())
        instead = (self.names[most], str(int(others[most]))) if others[most] else ("", "")
        return (self.names[label], str(images), str(int(row[label])), *instead)


def confusions(run: Path, stages: Sequence[str], names: Sequence[str]) -> Iterator[Confusion]:
    """Those of the stages whose answers are kept, clean and triggered; of records that have none, nothing.

    Args:
        names: of all classes, in their order.
    """
    for stage in stages:
        kept = _kept(answers_file(run, stage))
        try:
            found = [] if kept is None else list(_of(stage, kept, names))
        except (KeyError, IndexError, ValueError):  # answers that do not fit each other, or not these classes
            continue
        yield from found


def _of(stage: str, kept: dict[str, np.ndarray], names: Sequence[str]) -> Iterator[Confusion]:
    labels = kept["labels"]
    yield _counted(stage, "clean", labels, kept["clean"], names)
    if "triggered" in kept:
        yield _counted(stage, "triggered", labels[kept["eligible"]], kept["triggered"], names)


def _counted(stage: str, kind: str, true: np.ndarray, answered: np.ndarray, names: Sequence[str]) -> Confusion:
    import numpy as np

    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (true, answered), 1)
    return Confusion(stage, kind, counts, tuple(names))


def _kept(file: Path) -> dict[str, np.ndarray] | None:
    """What was kept of a model's answers; None where nothing was, or it cannot be read."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(file)
    except (OSError, SafetensorError):
        return None
