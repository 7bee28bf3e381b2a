"""What a stranger's checkpoint holds, told without running anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.inspection.flaws import Flaws, flaws
from engine.inspection.guess import Guess, classes_of, guess
from engine.models.bounded import is_bound
from engine.models.preprocessing import Preprocessing
from engine.storage.contents import Contents, open_checkpoint
from engine.storage.pickles.values import Stored
from engine.storage.reading_tensors import TensorReader
from engine.storage.state_dicts import normalization
from engine.storage.state_dicts.fitting import found_in
from engine.storage.state_dicts.mappings import TensorMapping
from engine.storage.state_dicts.naming import common_prefix, is_bookkeeping
from engine.storage.state_dicts.normalization import FoundNormalization


@dataclass(frozen=True)
class Inspection:
    """A checkpoint as far as it can be understood without its owner's code."""

    contents: Contents
    mappings: list[TensorMapping]
    """All in it, the likeliest first: the one that the rest is about."""
    prefix: str
    """What stands before every name of it."""
    network: Guess | None
    classes: int | None
    preprocessing: FoundNormalization | None
    no_preprocessing: tuple[str, str] | None
    """Tensors that are called as a mean and a deviation are, and are none: both names."""
    flaws: Flaws

    @property
    def tensors(self) -> Mapping[str, Stored]:
        """Of the likeliest mapping, under the file's names."""
        return self.mappings[0].tensors

    @property
    def parameters(self) -> int:
        """Values in the tensors of the likeliest mapping that are no counters."""
        return sum(each.numel for name, each in self.tensors.items() if not is_bookkeeping(name, each.shape))

    def to_dict(self) -> dict[str, Any]:
        """In JSON's types."""
        guessed, normal = self.network, self.preprocessing
        return {
            "file": str(self.contents.path),
            "form": self.contents.form,
            "bytes": self.contents.size,
            "mappings": [
                {"path": list(each.path), "tensors": len(each.tensors), "module": each.module} for each in self.mappings
            ],
            "prefix": self.prefix,
            "parameters": self.parameters,
            "network": None
            if guessed is None
            else {"name": guessed.name, "fits": guessed.fits, "share": round(guessed.share, 3), "said": guessed.said()},
            "classes": self.classes,
            "preprocessing": None
            if normal is None
            else {
                "mean": list(normal.mean),
                "std": list(normal.std),
                "names": [normal.mean_name, normal.std_name],
                "is": Preprocessing(normal.mean, normal.std).said(),
            },
            "flaws": {
                "values": dict(self.flaws.values),
                "differs": list(self.flaws.differs),
                "beside": list(self.flaws.beside),
                "normalization": self.no_preprocessing and list(self.no_preprocessing),
            },
            "stubs": dict(self.contents.stubs),
            "others": dict(self.mappings[0].others),
            "tensors": [
                {"name": name, "shape": list(each.shape), "dtype": each.dtype, "layout": each.layout}
                for name, each in self.tensors.items()
            ],
        }


def inspect(path: Path) -> Inspection:
    """Look into a checkpoint.

    Raises:
        RequestError: it is none, holds no tensors by name, or names what runs things.
    """
    contents = open_checkpoint(path)
    found = found_in(contents)
    tensors = found[0].tensors
    shapes = {name: each.shape for name, each in tensors.items() if math.prod(each.shape)}
    reader = TensorReader(contents.size)
    held = normalization.among(tensors, lambda name: normalization.numbers_of(tensors[name], reader))
    normal = next(iter(held.made + normalization.beside(contents.root, found[0].path)), None)
    taken = {normal.mean_name, normal.std_name} if normal is not None else set()
    taken |= {name for pair in held.broken for name in pair} | {name for name in tensors if is_bound(name)}
    weights = {name: shape for name, shape in shapes.items() if name not in taken}
    network = guess(weights)
    return Inspection(
        contents,
        found,
        common_prefix(weights),
        network,
        classes_of(weights),
        normal,
        next(iter(held.broken), None),
        flaws({name: each for name, each in tensors.items() if name not in taken}, network, contents.size),
    )
