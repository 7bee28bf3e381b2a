"""A suspect that comes from a file: read once, before anything is written, its preprocessing included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from engine.config.run import RunConfig
from engine.errors import RequestError
from engine.inspection.guess import guess
from engine.models.bounded import is_bound
from engine.models.preprocessing import Preprocessing
from engine.running.network import Network
from engine.storage.checkpoints import fit
from engine.storage.contents import Contents, open_checkpoint
from engine.storage.state_dicts.fitting import Fitted, MisfitError, fit_contents, found_in
from engine.storage.state_dicts.naming import Shape


@dataclass(frozen=True)
class Given:
    """A suspect's file."""

    tensors: Mapping[str, Tensor]
    """Its weights under the network's names; they fit."""
    network: Network
    """The run's, with the preprocessing that the file brings."""
    origin: dict[str, Any]
    """Its path, and how it is made up, in JSON's types."""
    notes: tuple[str, ...]
    """What was taken and what was left out."""


def read_given(config: RunConfig, network: Network) -> Given | None:
    """Read the suspect's file; None where the suspect comes from none.

    Raises:
        RequestError: it cannot be read, fits another network, holds values that are not finite, or brings a
            normalization other than the one that was asked for; or nobody could know its trigger.
    """
    file, attack = config.suspect_file, config.attack
    if file is None:
        return None
    if attack is not None and attack.learns:
        raise RequestError(
            f"suspect = {file!r}: the trigger of {attack.name} is learned with its model, which a given one was not"
        )
    path = Path(file)
    contents = open_checkpoint(path)
    network = replace(network, bounds=_bounds(contents))
    fitted = _fitted(contents, network)
    network = replace(network, preprocessing=_preprocessing(file, network.preprocessing, fitted))
    fit(network.fresh(seed=0), fitted.tensors, file)
    origin = {"file": str(path), **fitted.origin}
    return Given(fitted.tensors, network, origin, fitted.notes)


def _bounds(contents: Contents) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """What the file holds of bounds on activations, as UNIT leaves them."""
    held = found_in(contents)[0].tensors.items()
    return tuple((name, tuple(each.shape)) for name, each in held if is_bound(name))


def _fitted(contents: Contents, network: Network) -> Fitted:
    model = replace(network, preprocessing=None).fresh(seed=0)
    try:
        return fit_contents(contents, model.state_dict(), model.name)
    except MisfitError as error:
        shapes = {name: each.shape for name, each in found_in(contents)[0].tensors.items()}
        raise MisfitError(f"{error}{_likeness(shapes, model.name)}") from error


def _likeness(shapes: Mapping[str, Shape], asked: str) -> str:
    found = guess(shapes)
    if found is None:
        return ""
    return f"; {found.said()}{f' (--model {found.name})' if found.fits and found.name != asked else ''}"


def _preprocessing(file: str, asked: Preprocessing | None, fitted: Fitted) -> Preprocessing | None:
    """What was asked for, else what the file brings."""
    held = fitted.normalization
    if held is None:
        return asked
    found = Preprocessing(held.mean, held.std)
    if asked is not None and not asked.near(found):
        raise RequestError(
            f"{file} normalizes its images by {held.mean_name}, {held.std_name} ({found.said()}), model.mean and "
            f"model.std say {asked.said()}: leave them out, or give the file's"
        )
    return found
