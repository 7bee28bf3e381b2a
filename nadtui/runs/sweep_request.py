"""From the options of `nadtui sweep` to a grid: what a person may say of it, and how it becomes axes and a base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import RequestError
from nadtui.runs.request import data_set, network, suspect

if TYPE_CHECKING:
    from engine.sweeps.grid import Grid


@dataclass(frozen=True)
class GridOptions:
    """The options that make a grid, as they were given; None and empty are those left out."""

    preset: Sequence[str] = ()
    dataset: Sequence[str] = ()
    model: Sequence[str] = ()
    defense: Sequence[str] = ()
    recipe: Sequence[str] = ()
    seeds: Sequence[str] = ()
    attack_seeds: Sequence[str] = ()
    axis: Sequence[str] = ()
    suspect: str | None = None
    settings: Sequence[str] = ()
    study: str | None = None

    def given(self) -> list[str]:
        """The options that were given, as a person writes them."""
        names = {"settings": "set", "attack_seeds": "attack-seeds"}
        return [f"--{names.get(each.name, each.name)}" for each in fields(self) if getattr(self, each.name)]

    def networks(self) -> list[str]:
        """The networks that were typed."""
        return [name.strip() for text in self.model for name in text.split(",")]


def build_grid(options: GridOptions) -> Grid:
    """The grid that was asked for.

    Raises:
        RequestError: one line with what is wrong, where, and what is allowed.
    """
    from engine.config.layers import merge, parse_override
    from engine.config.selection import in_full
    from engine.sweeps import axes
    from engine.sweeps.grid import Grid

    given = {
        "preset": options.preset,
        "dataset": options.dataset,
        "model": options.model,
        "defense": options.defense,
        "recipe": options.recipe,
    }
    found: dict[str, Any] = {name: axes.names(name, texts) for name, texts in given.items() if texts}
    for name, of in (("dataset", data_set), ("model", network)):
        if name in found:
            found[name] = [of(value) for value in found[name]]
    for text in options.axis:
        name, values = axes.field(text)
        _once(found, name)
        found[name] = values
    for name, option, texts in (
        ("attack_seed", "attack-seeds", options.attack_seeds),
        ("seed", "seeds", options.seeds),
    ):
        if texts:
            _once(found, name)
            found[name] = axes.seeds(option, texts)
    base: dict[str, Any] = {} if options.suspect is None else {"suspect": suspect(options.suspect)}
    for text in options.settings:
        base = merge(base, in_full(parse_override(text)))
    if options.study is not None:
        from engine.sweeps.studies import load_study

        _check_settings(base)
        return load_study(options.study).grid(found, base)
    _check(found, base)
    lenient = [name for name, texts in given.items() if any(axes.ALL in text.split(",") for text in texts)]
    return Grid(found, base, lenient)


def _once(found: dict[str, Any], axis: str) -> None:
    if axis in found:
        raise RequestError(f"axis {axis}: it is given twice; give all its values at once")


def _check(found: dict[str, Any], base: dict[str, Any]) -> None:
    if "preset" not in found and "attack" not in base and "suspect" not in base:
        raise RequestError("nothing to sweep: give --preset NAME|all, --study NAME, --suspect FILE, or --resume DIR")
    _check_settings(base)


def _check_settings(base: dict[str, Any]) -> None:
    from engine.sweeps.grid import misplaced

    if said := misplaced(base):
        raise RequestError(f"--set {said}")


def sweep_folder(given: Path | None) -> Path:
    """The folder of a sweep, which has to be named.

    Raises:
        RequestError: none is.
    """
    if given is None:
        raise RequestError("--out DIR is wanted: a sweep has a folder of its own, to go on with and to add to")
    return given
