"""The cells of a sweep as its folder keeps them, and what becomes of them when its grid changes. Free of torch."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from engine.config import shelf
from engine.config.complaints import shown
from engine.config.layers import merge
from engine.config.run import RunConfig, validate
from engine.errors import RequestError
from engine.storage.paths import write_atomically
from engine.sweeps.layout import CELLS, GRID, RUNS, TEMPLATES, check_sweep, held, read_whole, write_lines

VERSION = 1
Keep = Literal["all", "last", "none"]
NAMED = ("preset", "dataset", "model", "defense", "recipe", "seed", "attack_seed")
"""The axes that every cell has."""
BY_NAME = ("preset", "dataset", "model", "defense", "recipe")
"""Those of them whose values are names."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A point of a grid, and the run that answers it. Points that come to the same run share its id."""

    id: str
    """The name of its run's folder; from what shapes its result."""
    axes: Mapping[str, Any]
    """The values of its axes: preset, dataset, model, defense, recipe, seed, attack_seed, then further fields'."""
    template: int
    """Its configuration's place among the templates."""
    suspect: str
    """The same for all cells of one suspect."""

    def to_dict(self) -> dict[str, Any]:
        """As its line has it."""
        return {"cell": self.id, "template": self.template, "suspect": self.suspect, "axes": dict(self.axes)}


@dataclass(frozen=True)
class Index:
    """All cells of a sweep."""

    cells: Sequence[Cell]
    templates: Sequence[Mapping[str, Any]]
    """Complete configurations, in plain types; a cell's differs in its seeds."""

    def config(self, cell: Cell) -> RunConfig:
        """The complete configuration of a cell.

        Raises:
            RequestError: it was written by another nadtui, or what it names is gone.
        """
        return validate(self.settings(cell), f"cell {cell.id}")

    def settings(self, cell: Cell) -> dict[str, Any]:
        """The complete configuration of a cell, in plain types."""
        seeds: dict[str, Any] = {"seed": cell.axes["seed"]}
        if cell.axes["attack_seed"] is not None:
            seeds["attack"] = {"seed": cell.axes["attack_seed"]}
        return merge(self.templates[cell.template], seeds)

    def only(self, ids: Collection[str]) -> Index:
        """The same with these cells alone."""
        return Index([cell for cell in self.cells if cell.id in ids], self.templates)


def read(folder: Path) -> Index:
    """The cells of the sweep in that folder.

    Raises:
        RequestError: it is no sweep's folder, or was written by a newer nadtui, or is damaged.
    """
    read_head(folder)
    return _read_cells(folder)


def read_head(folder: Path) -> dict[str, Any]:
    """What `sweep.yaml` holds: version, keep, and grids, each a table.

    Raises:
        RequestError: it is no sweep's folder, or was written by a newer nadtui, or is damaged.
    """
    check_sweep(folder)
    file = Path(folder) / GRID
    head = shelf.read(file, str(file))
    version, grids = head.get("version"), head.get("grids")
    if type(version) is not int:
        raise RequestError(f"{file}: version = {shown(version)}: a whole number is wanted")
    if version > VERSION:
        raise RequestError(f"{folder} was written by a newer nadtui: update nadtui to go on with it")
    if head.get("keep") not in get_args(Keep):
        raise RequestError(f"{file}: keep = {shown(head.get('keep'))}: one of {', '.join(get_args(Keep))} is wanted")
    if not isinstance(grids, list) or not all(map(_is_grid, grids)):
        raise RequestError(f"{file}: grids = {shown(grids)}: a list of grids, each a table, is wanted")
    return head


def _is_grid(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("study", ""), str)


def extend(folder: Path, new: Index, grid: Mapping[str, Any]) -> Index:
    """Put a grid's cells into a sweep's folder, which is made if it is missing; what it holds by then.

    A point that was there with another cell now has the new one; whatever the new grid does not have stays. The grid is
    the newest from now on, be it there already: the sweep is read as what was asked of it last.

    Args:
        folder: the sweep's.
        new: the grid's cells.
        grid: the grid in plain types, for those who read the folder.

    Raises:
        RequestError: the folder cannot be written, or is full of something else, or is damaged; it is as it was.
    """
    folder = Path(folder)
    _make(folder)
    with held(folder):
        old = _held_by(folder)
        known = read_head(folder) if (folder / GRID).is_file() else {"keep": "last", "grids": []}
        grids = [*(each for each in known["grids"] if each != grid), dict(grid)]
        whole = _merged(old, new)
        head = {"version": VERSION, "keep": known["keep"], "grids": grids}
        write_lines(folder / TEMPLATES, ({"config": each} for each in whole.templates))
        write_lines(folder / CELLS, (cell.to_dict() for cell in whole.cells))
        _write_head(folder, head)
    return whole


def keep_from_now(folder: Path, keep: Keep) -> None:
    """Have these checkpoints stay, whatever was said before: also for the processes that are at work by now.

    Raises:
        RequestError: it is no sweep's folder, or cannot be written.
    """
    check_sweep(folder)
    with held(folder):
        head = read_head(folder)
        if head["keep"] != keep:
            _write_head(Path(folder), {**head, "keep": keep})


def _write_head(folder: Path, head: Mapping[str, Any]) -> None:
    text = yaml.safe_dump(dict(head), sort_keys=False, allow_unicode=True)
    write_atomically(folder / GRID, text.encode())


def _make(folder: Path) -> None:
    try:
        there = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
        if there and not (there & {GRID, TEMPLATES, CELLS}) and there - {"sweep.lock"}:
            raise RequestError(f"--out {folder}: it is full of something else than a sweep; name a folder of its own")
        (folder / RUNS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"--out {folder}: cannot make a sweep there: {error.strerror or error}") from error


def merged(folder: Path, new: Index) -> Index:
    """What `extend` would make of the folder, which may not be there yet.

    Raises:
        RequestError: it was written by a newer nadtui, or is damaged.
    """
    return _merged(_held_by(folder), new)


def _held_by(folder: Path) -> Index:
    """The cells of a folder that may not be a sweep's yet; those, too, whose grid is missing."""
    return read(folder) if (Path(folder) / GRID).is_file() else _read_cells(folder)


def _read_cells(folder: Path) -> Index:
    """The cells first: one that is there has its template, which is written before it."""
    cells = [(where, _cell(where, line)) for where, line in read_whole(Path(folder) / CELLS)]
    templates = [_template(where, line) for where, line in read_whole(Path(folder) / TEMPLATES)]
    own = [_axes_of(template) for template in templates]
    for where, cell in cells:
        if not 0 <= cell.template < len(templates):
            raise RequestError(f"{where}: its configuration is missing: {TEMPLATES} has no line {cell.template + 1}")
        if own[cell.template] != {name: cell.axes[name] for name in BY_NAME}:
            raise RequestError(f"{where}: line {cell.template + 1} of {TEMPLATES} is of another cell")
    return Index([cell for _, cell in cells], templates)


_KINDS = (*((name, (str,)) for name in BY_NAME), ("seed", (int,)), ("attack_seed", (int, type(None))))
"""What the values of the axes are, by name."""


def _cell(where: str, line: Mapping[str, Any]) -> Cell:
    axes = line.get("axes")
    fine = {
        "cell": isinstance(line.get("cell"), str) and line["cell"].strip(".") and "/" not in line["cell"],
        "template": type(line.get("template")) is int,
        "suspect": isinstance(line.get("suspect"), str),
        "axes": isinstance(axes, dict) and all(type(axes.get(name, ...)) in kinds for name, kinds in _KINDS),
    }
    wrong = next((name for name, is_fine in fine.items() if not is_fine), None)
    if wrong is not None:
        raise RequestError(f"{where}: damaged: its {wrong} is missing or makes no sense")
    return Cell(line["cell"], line["axes"], line["template"], line["suspect"])


def _template(where: str, line: Mapping[str, Any]) -> Mapping[str, Any]:
    config = line.get("config")
    if not isinstance(config, dict) or _axes_of(config) is None:
        raise RequestError(f"{where}: damaged: its config is missing or not complete")
    return config


def _axes_of(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The values that a cell's configuration has of the axes that are names; None where it is no complete one."""
    tables = ("data", "model", "training", "evaluation", "defenses")
    whole = {"suspect", "attack"} <= set(config) and all(isinstance(config.get(name), dict) for name in tables)
    if not whole or not config["defenses"]:
        return None
    names = (config["data"].get("name"), config["model"].get("name"), list(config["defenses"])[-1])
    return dict(zip(BY_NAME, (config.get("preset"), *names, config.get("recipe")), strict=True))


def _merged(old: Index, new: Index) -> Index:
    """The old points that the new grid does not have, then the new ones: points of one run share their cell.

    The old templates keep their places, those included that no cell has any more: whoever is cut off between writing
    templates and cells, or reads between them, has cells that mean what they meant.
    """
    points = {_key(cell.axes) for cell in new.cells}
    # A cell that the new grid calls by other axes is meant anew; by the same ones with other values, it is shared.
    named = {(cell.id, frozenset(cell.axes)) for cell in new.cells}
    ids = {cell.id for cell in new.cells}
    staying = [
        cell
        for cell in old.cells
        if _key(cell.axes) not in points and (cell.id not in ids or (cell.id, frozenset(cell.axes)) in named)
    ]
    templates = list(old.templates)
    known = {_key(template): place for place, template in enumerate(templates)}
    places: list[int] = []
    for template in new.templates:
        place = known.setdefault(_key(template), len(templates))
        if place == len(templates):
            templates.append(template)
        places.append(place)
    return Index(
        [*staying, *(replace(cell, template=places[cell.template]) for cell in new.cells)],
        templates,
    )


def _key(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)
