"""A grid: axes over presets, data sets, networks, defenses, recipes, seeds and any field; and the cells it comes to.

A cell is known by what shapes its result, as the fields of a configuration declare it (`engine.config.shapes`): not by
the names of its preset and recipe, nor by threads; of files it takes it is what they hold that counts. So two points
that come to the same run share it. Free of torch.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.config.complaints import shown
from engine.config.layers import nested
from engine.config.presets import resolve
from engine.config.run import RunConfig
from engine.config.selection import set_of, that_may_be_set, unmet, with_teachers
from engine.config.shapes import ALL, shaping, shaping_nothing
from engine.errors import RequestError
from engine.events import TRAINED, ZOO
from engine.record.layout import slug
from engine.sweeps.axes import LARGEST_SEED, MOST
from engine.sweeps.index import BY_NAME, NAMED, Cell, Index

_SEEDS = ("seed", "attack_seed")
_FIELDS = {"dataset": "data.name", "model": "model.name", "attack_seed": "attack.seed"}
RULE = 1
"""How a cell's id comes about; raised when that changes, so that old ids are never taken for new ones."""
DIGITS = 12
ELSEWHERE = {
    "preset": "--preset, or the axis preset",
    "seed": "--seeds, or the axis seed",
    "attack.seed": "--attack-seeds, or the axis attack_seed",
    "threads": "--threads",
}
"""Fields that a layer under a grid's axes cannot set, since all cells have their own, and what sets them."""


@dataclass(frozen=True)
class Grid:
    """What a sweep is to have a cell of."""

    axes: Mapping[str, Sequence[Any]]
    """Their values by name: those of `NAMED`, or a field of the configuration by its dotted path. Of one that is left
    out the configuration's own value is taken, of the attack's seed 0."""
    base: Mapping[str, Any] = field(default_factory=dict)
    """A layer of configuration under the axes' values; of `defenses` each cell takes what is its own, and its teacher's
    maker's."""
    lenient: Sequence[str] = ()
    """Axes of which `all` was asked: what cannot be had of their values is left out instead of refused."""
    variants: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    """Axes that are no field of the configuration: by name of a value the layer it stands for, in whose texts
    `{dataset}` is the point's data set."""
    study: str = ""
    """The study it is of."""

    def to_dict(self) -> dict[str, Any]:
        """In plain types, as it is kept and as a study's file has it."""
        axes = {name: list(values) for name, values in self.axes.items()}
        more = {"base": dict(self.base), "variants": dict(self.variants), "study": self.study}
        return {"axes": axes, **{name: value for name, value in more.items() if value}}

    def count(self) -> int:
        """How many points it has."""
        return math.prod(len(values) for values in self.axes.values())


@dataclass(frozen=True)
class Expanded:
    """The cells of a grid."""

    index: Index
    left_out: Mapping[str, int]
    """Why points were left out, and how many configurations each reason took."""
    said: Sequence[str] = ()
    """What else there is to say of how their configurations came about, each once."""


def expand(grid: Grid) -> Expanded:
    """Every cell of a grid.

    Raises:
        RequestError: it is empty or too large, or a point of it makes no sense; nothing is left out but of axes of
            which all values were asked, and of those not every value.
    """
    _check(grid)
    cells: list[Cell] = []
    templates: list[Mapping[str, Any]] = []
    left_out: Counter[str] = Counter()
    said: dict[str, None] = {}
    wrong: dict[str, RequestError] = {}
    right: set[str] = set()
    for point in _points(grid):
        asked = repr([value for name, value in point.items() if name not in grid.lenient])
        try:
            config = _resolved(grid, point, said.setdefault)
        except RequestError as error:
            if not grid.lenient:
                raise
            left_out[str(error)] += 1
            if asked not in wrong and asked not in right and not _lacks_suspect(grid, point):
                wrong[asked] = error
            continue
        right.add(asked)
        for each in _suspects(grid, config):
            cells += _cells(grid, point, each, len(templates))
        templates.append(config.to_dict())
    # What was asked for by name and fits nowhere is a typo, not one of all values that does not fit.
    if unfit := next((error for asked, error in wrong.items() if asked not in right), None):
        raise unfit
    if not cells:
        why = next(iter(left_out), "")
        raise RequestError(f"the grid is empty{f': {why}' if why else ''}")
    return Expanded(Index(cells, templates), left_out, tuple(said))


def _check(grid: Grid) -> None:
    for name, values in grid.axes.items():
        if not values:
            raise RequestError(f"the grid is empty: its axis {name} has no values")
        _check_name(name)
        _check_values(name, values, known_by_name=name in BY_NAME or name in grid.variants)
    for layer in (grid.base, *(layer for layers in grid.variants.values() for layer in layers.values())):
        if said := no_table(layer):
            raise RequestError(said)
    if grid.count() > MOST:
        raise RequestError(f"the grid has {grid.count():,} cells; a sweep has at most {MOST:,}")
    _check_set(grid)


def _check_set(grid: Grid) -> None:
    """Refuse fields of defenses that no cell has: neither as its own, nor to make a teacher."""
    axes = {name: values for name, values in grid.axes.items() if name.startswith("defenses.")}
    layers = [grid.base, *(nested(name, value) for name, values in axes.items() for value in values)]
    # A variant may be of defenses that were left out of its study.
    variants = [layer for layers in grid.variants.values() for layer in layers.values()]
    defenses = grid.axes.get("defense", ["nad"])
    known = that_may_be_set(defenses, [*layers, *variants])
    for name in (name for layer in layers for name in set_of([layer])):
        if name not in known:
            raise RequestError(f"defenses.{name}: not among this sweep's defenses ({', '.join(defenses)})")


def no_table(layer: Mapping[str, Any]) -> str:
    """What is wrong with a layer's `defenses`, of which a cell takes its own; empty where nothing is."""
    said = layer.get("defenses", {})
    if isinstance(said, Mapping):
        return ""
    return f"defenses = {shown(said)}: a table of defenses and their fields is wanted"


def misplaced(layer: Mapping[str, Any]) -> str:
    """What is wrong with the first field of a layer that is one of `ELSEWHERE`; empty where it has none of them."""
    attack = layer.get("attack")
    given = {*layer, *(f"attack.{name}" for name in (attack if isinstance(attack, Mapping) else ()))}
    return next((f"{name}: in a sweep it is {where}" for name, where in ELSEWHERE.items() if name in given), "")


def _check_name(name: str) -> None:
    """Refuse an axis that is one of `NAMED` by another name, none at all, or of what shapes no figure."""
    other = next((own for own, path in _FIELDS.items() if path == name), None)
    if other is not None:
        raise RequestError(f"axis {name}: in a sweep it is called {other}")
    if name == "defenses" or (name.startswith("defenses.") and name.count(".") == 1):
        raise RequestError(f"axis {name}: a field of a defense is wanted, as in defenses.nad.distill.beta")
    if name not in NAMED and name in shaping_nothing(RunConfig):
        raise RequestError(f"axis {name}: it shapes no figure, so all its cells would be the same")


def _check_values(name: str, values: Sequence[Any], *, known_by_name: bool) -> None:
    for value in values:
        if known_by_name and not isinstance(value, str):
            raise RequestError(f"axis {name}: {shown(value)} is no name")
        if name in _SEEDS and (type(value) is not int or not 0 <= value <= LARGEST_SEED):
            raise RequestError(f"axis {name}: {shown(value)} is none; whole numbers from 0 on are wanted")


def _points(grid: Grid) -> Iterator[dict[str, Any]]:
    """The combinations of the axes' values, seeds apart; of the zoo each attack's seed is a suspect of its own."""
    apart = ["seed"] if _of_zoo(grid) else ["seed", "attack_seed"]
    axes = {name: values for name, values in grid.axes.items() if name not in apart}
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _of_zoo(grid: Grid) -> bool:
    asked = grid.axes.get("suspect", [grid.base.get("suspect", TRAINED)])
    return any(str(suspect).partition(":")[0] == ZOO for suspect in asked)


def _lacks_suspect(grid: Grid, point: Mapping[str, Any]) -> bool:
    """Whether a point that cannot be resolved could be, if its suspect were trained instead of the zoo's."""
    if not _of_zoo(grid):
        return False
    try:
        _resolved(replace(grid, base={**grid.base, "suspect": TRAINED}), point)
    except RequestError:
        return False
    return True


def _resolved(grid: Grid, point: Mapping[str, Any], tell: Callable[[str], object] | None = None) -> RunConfig:
    """The configuration of a point, whatever the seeds that are no part of it; `tell` hears what `resolve` tells."""
    defense = point.get("defense", "nad")
    fields = {name: value for name, value in point.items() if name not in NAMED and name not in grid.variants}
    fields |= {_FIELDS[name]: point[name] for name in ("model", "attack_seed") if name in point}
    layers = [grid.base, *(nested(name, value) for name, value in fields.items())]
    layers += [_filled(layers[point[axis]], point) for axis, layers in grid.variants.items() if axis in point]
    own = with_teachers([defense], set_of(layers))
    config = resolve(
        point.get("preset"),
        dataset=point.get("dataset"),
        recipe=point.get("recipe"),
        overrides=[_of_defenses(layer, own) for layer in layers],
        defenses=[defense],
        tell=tell,
    )
    for each in config.defenses:
        if why := unmet(config, each):
            raise RequestError(f"defense {each}: {why}, which is not at hand of {config.preset}'s suspect")
    return config


def _filled(value: Any, point: Mapping[str, Any]) -> Any:
    """A layer whose texts name the point's data set where they say `{dataset}`."""
    if isinstance(value, Mapping):
        return {name: _filled(each, point) for name, each in value.items()}
    return value.replace("{dataset}", str(point.get("dataset", "signs"))) if isinstance(value, str) else value


def _of_defenses(layer: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """A layer without what it says of other defenses than these."""
    if "defenses" not in layer:
        return dict(layer)
    own = {name: said for name, said in layer["defenses"].items() if name in names}
    return {**{name: said for name, said in layer.items() if name != "defenses"}, **({"defenses": own} if own else {})}


def _suspects(grid: Grid, config: RunConfig) -> Iterator[RunConfig]:
    """The configuration once for each of the attack's seeds that are no part of the point."""
    seeds = grid.axes.get("attack_seed", [0])
    if config.attack is None and len(seeds) > 1:
        raise RequestError("--attack-seeds: the suspect comes from a file, no attack is known of it")
    if config.attack is None:
        yield config
    else:
        for seed in [config.attack_seed] if _of_zoo(grid) else seeds:
            yield config.model_copy(update={"attack": config.attack.model_copy(update={"seed": seed})})


def _cells(grid: Grid, point: Mapping[str, Any], config: RunConfig, template: int) -> Iterator[Cell]:
    """The cells of one template: one for each seed."""
    attack_seed = None if config.attack is None else config.attack.seed
    given = _contents([Path(config.suspect_file)] if config.suspect_file is not None else [])
    used = _contents(file for defense in config.defenses.values() for file in defense.files())
    whole = {**shaping(config, ALL), **({"contents": {**given, **used}} if given or used else {})}
    suspect = _hash({"suspect": shaping(config, ("suspect",)), **given})
    axes = {
        "preset": config.preset,
        "dataset": config.data.name,
        "model": config.model.name,
        "defense": list(config.defenses)[-1],  # before it are those on which it stands
        "recipe": config.recipe,
        "attack_seed": attack_seed,
        **{name: value for name, value in point.items() if name not in NAMED},
    }
    kind = "none" if config.attack is None else config.attack.name
    stem = f"{slug(kind)}-{slug(Path(config.data.name).stem)}-{slug(axes['defense'])}"
    for seed in grid.axes.get("seed", [0]):
        digest = _hash({"rule": RULE, "fields": {**whole, "seed": seed}})
        ordered = {name: seed if name == "seed" else axes[name] for name in (*NAMED, *axes) if name in (*axes, "seed")}
        yield Cell(f"{stem}-s{seed}-{digest}", ordered, template, suspect)


def _contents(files: Iterable[Path]) -> dict[str, str]:
    """Digests of files that shape a result, by their paths: a path says nothing of what lies there by now. What cannot
    be read is left out, and whatever reads it says so."""
    found = {}
    for file in files:
        with suppress(OSError):
            about = file.stat()
            found[str(file)] = _digest(file, about.st_mtime_ns, about.st_size)
    return found


@lru_cache(maxsize=64)
def _digest(file: Path, _changed: int, _size: int) -> str:
    """Read once as long as it does not change: a sweep has thousands of cells of one file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _hash(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:DIGITS]
