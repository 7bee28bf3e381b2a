"""What keeps tensors from being a network as they are: odd values, too many or too few of them, other shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from engine import models
from engine.inspection.guess import Guess
from engine.storage.pickles.values import NotWholeError, Stored
from engine.storage.reading_tensors import TensorReader
from engine.storage.state_dicts.fitting import misfits
from engine.storage.state_dicts.naming import match


@dataclass(frozen=True)
class Flaws:
    """What is wrong with the tensors of a mapping; all empty where nothing is."""

    values: Mapping[str, str]
    """By the name of a tensor, what is wrong with its values."""
    differs: tuple[str, ...] = ()
    """What is missing or of another shape than in the likeliest network, a few words each."""
    beside: tuple[str, ...] = ()
    """Names of tensors that this network has no place for."""


def flaws(tensors: Mapping[str, Stored], network: Guess | None, size: int) -> Flaws:
    """What is wrong with the tensors of a file of `size` bytes, and beside the network that they look like."""
    values = {name: said for name, each in tensors.items() if (said := _values(each, size)) is not None}
    return Flaws(values, *(_against(tensors, network) if network is not None else ()))


def _values(tensor: Stored, size: int) -> str | None:
    try:
        read = TensorReader(size).read(tensor)
    except NotWholeError as error:
        return str(error)
    if not read.is_floating_point():
        return None
    wide = read if read.element_size() > 1 else read.float()  # torch does not ask eight bits whether they are finite
    odd = int((~wide.isfinite()).sum())
    return f"{odd:,} of {read.numel():,} are not finite (NaN or infinity)" if odd else None


def _against(tensors: Mapping[str, Stored], network: Guess) -> Iterator[tuple[str, ...]]:
    with torch.device("meta"):  # shapes without memory
        wanted: dict[str, Tensor] = dict(models.build(network.name, network.classes).state_dict())
    naming = match(
        {name: tuple(each.shape) for name, each in wanted.items()}, {name: each.shape for name, each in tensors.items()}
    )
    if network.fits or network.share < 1:  # else all are there under other names
        yield tuple(misfits(wanted, tensors, naming, network.name))
        yield naming.outside
