"""Presets (what the attacker did), recipes (how the defender works), profiles of data sets and of families of networks:
YAML, safe-loaded.

Built in ones ship as package data in `presets`; a user's own folder (NADTUI_PRESETS, else the user's configuration
folder) overlays them file by file, with the same layout. A recipe may say `based_on: NAME`: it is laid over that one.
Free of torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from engine import attacks, data, models, zoo
from engine.config import shelf
from engine.config.complaints import refuse_renamed, shown
from engine.config.layers import merge, merged
from engine.config.run import RunConfig, validate
from engine.config.selection import ALL, as_table, asked_for, fitting, in_full, selected, with_teachers
from engine.errors import RequestError
from engine.places import expanded

DEFAULT, CLASSIC = "default", "classic"
"""The recipes of a run that names none."""
_ABOUT = ("title", "source", "description")
"""Keys of a preset or recipe that describe it and are no configuration."""


@dataclass(frozen=True)
class Preset:
    """One attack, ready to run."""

    name: str
    title: str
    source: str
    """Citation of the attack."""
    description: str
    kind: str
    """dirty label, clean label, all-to-all, or none."""
    origin: str
    """built in, or the path of the user's file."""
    values: dict[str, Any]
    """The layer it adds to a configuration, its `datasets` table included."""


def list_presets() -> list[Preset]:
    """All presets, in the order of their names; a user's file replaces one of its name, or is left out with a warning
    where it is no valid preset.
    """
    return shelf.read_all("", _preset)


def load_preset(name: str) -> Preset:
    """The preset called `name`.

    Raises:
        RequestError: there is none (the nearest is suggested), or its file is not valid.
    """
    return _preset(name, shelf.find("", name, "preset"))


def list_recipes() -> list[str]:
    """The names of all recipes."""
    return sorted(shelf.files("recipes"))


def resolve(
    preset: str | None,
    *,
    dataset: str | None = None,
    recipe: str | None = None,
    config_file: Path | None = None,
    overrides: Sequence[Mapping[str, Any]] = (),
    defenses: Sequence[str] | None = None,
    tell: Callable[[str], object] | None = None,
) -> RunConfig:
    """Put a run's configuration together from its layers and validate it (see `engine.config.run`).

    `recipe` is a name or the path of a YAML file. Without a preset, one named in the configuration file is used.
    `defenses` are those of the run, in their order; None = those of the configuration file, else NAD. A recipe says
    how each of them works, but not which of them a run has. `all` among them are all that can be had of the suspect;
    `tell` is given a line for each that it leaves out.

    Raises:
        RequestError: one line with what is wrong, where, and what is allowed.
    """
    given = in_full(as_table(shelf.read(config_file, str(config_file)))) if config_file else {}
    for layer in overrides:
        refuse_renamed(layer, "configuration")
    overrides = [in_full(layer) for layer in overrides]
    # What a run has recorded is complete: presets and recipes may have changed since, and must not leak into it.
    complete = set(RunConfig.model_fields) <= set(given)
    top = merged(overrides if complete else (given, *overrides))
    chosen = _chosen(preset, None if complete else top.get("preset"))
    naming = (top, given, chosen.values if chosen else {})
    name = dataset or next(filter(None, [_named(layer, "data") for layer in naming]), "signs")
    network = next(filter(None, [_named(layer, "model") for layer in naming]), zoo.DEFAULT_MODEL)
    names = selected(defenses, given, overrides)
    if "defenses" in top:  # one that is named, and nothing said of it, works as the recipe says
        top["defenses"] = {each: said for each, said in _table(top, "defenses").items() if said is not None}
    asked = str(recipe or top.get("recipe") or given.get("recipe") or _usual(top, tell))
    layers: list[Mapping[str, Any]] = [given] if complete else [_profile(name)]
    if recipe is not None or not complete:
        recipe_name, recipe_layers = _recipe(asked)
        layers += [*recipe_layers, {"recipe": recipe_name}]
        top = {key: value for key, value in top.items() if key != "recipe"}
    elif further := set(names) - set(_table(given, "defenses")):
        # A defense that the recorded run did not have works as that run's recipe says.
        by_recipe = _table(merged(_for_dataset(layer, name) for layer in _recipe(asked)[1]), "defenses")
        layers.append({"defenses": {each: by_recipe[each] for each in further if each in by_recipe}})
    layers += _attackers(chosen, {} if complete else _network_profile(network))
    if chosen is not None:
        top = {key: value for key, value in top.items() if key != "preset"}
    values = merge(merged(in_full(_for_dataset(layer, name)) for layer in layers), merge(top, {"data": {"name": name}}))
    tables = _table(values, "defenses")
    names = with_teachers(names, tables)
    wanted = asked_for(defenses, given)
    if tell is not None and ALL not in wanted:
        for each in set(names).difference(wanted):
            tell(f"{each}: added, as it makes a teacher")
    values["defenses"] = {name: tables.get(name) for name in names}
    if "attack" not in values:
        if values.get("suspect") is None:
            raise RequestError(f"no attack: name a preset ({', '.join(shelf.files(''))}) or give attack.name")
        values["attack"] = None
    config = validate(values)
    if ALL not in wanted:
        return config
    config, left_out = fitting(config, wanted, overrides)
    for each, why in left_out.items() if tell is not None else ():
        tell(f"{each}: left out, {why}")
    return config


def _usual(top: Mapping[str, Any], tell: Callable[[str], object] | None) -> str:
    """The recipe where none is named: a student that does not begin as its teacher is led as one of a suspect."""
    for name, values in _table(top, "defenses").items():
        said = values.get("teacher") if isinstance(values, Mapping) else None
        teacher = said if isinstance(said, Mapping) else {}
        if teacher.get("file") is not None or teacher.get("model") is not None:
            if tell is not None:
                tell(f"recipe {CLASSIC}, as {name} does not make its teacher of the suspect itself")
            return CLASSIC
    return DEFAULT


def _attackers(chosen: Preset | None, network: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The layers of the preset and of the network's profile: a preset knows the network only if it names one."""
    if chosen is None:
        return [network]
    own = [chosen.values, {"preset": chosen.name}]
    return [network, *own] if _named(chosen.values, "model") else [*own, network]


def _chosen(preset: str | None, named: Any) -> Preset | None:
    """The preset that was asked for, else the one a configuration names, unless it stands for none."""
    name = preset or named
    return None if name in (None, "custom") else load_preset(str(name))


def _named(layer: Mapping[str, Any], section: str) -> str | None:
    """What a layer names as its `data` or its `model`, or None."""
    name = _table(layer, section).get("name")
    if name is not None and not isinstance(name, str):
        raise RequestError(f"{section}.name = {shown(name)}: a string is wanted")
    return name


def _table(layer: Mapping[str, Any], key: str, where: str = "") -> Mapping[str, Any]:
    """The table under `key`, empty where there is none; anything else there would get lost when layers merge."""
    table = layer.get(key, {})
    if not isinstance(table, Mapping):
        raise RequestError(f"{where}{key} = {shown(table)}: a table of fields is wanted")
    return table


def _for_dataset(layer: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    plain = {key: value for key, value in layer.items() if key not in ("datasets", *_ABOUT)}
    merged = merge(plain, _table(_table(layer, "datasets"), dataset, "datasets."))
    _table(merged, "data")
    return merged


def _profile(dataset: str) -> dict[str, Any]:
    """What holds for a data set whatever the attack and the recipe; a user's own data has no profile."""
    if dataset not in data.SOURCES:
        return {}
    file = shelf.files("datasets").get(dataset)
    return shelf.read(file, f"profile of {dataset}") if file else {}


def _network_profile(name: str) -> dict[str, Any]:
    """What holds for a family of networks whatever the attack and the recipe; a network of a person's own has none."""
    family = models.family_of(name)
    file = shelf.files("models").get(family or "")
    return shelf.read(file, f"profile of {family}") if file else {}


def _recipe(name: str) -> tuple[str, list[dict[str, Any]]]:
    """A recipe's name and its layers: those of the recipe it is based on, then its own."""
    layers: list[dict[str, Any]] = []
    seen: list[str] = []
    asked: Any = name
    while asked is not None:
        if not isinstance(asked, str):
            raise RequestError(f"recipe {seen[-1]}: based_on = {shown(asked)}: the name of a recipe is wanted")
        if asked in seen:
            raise RequestError(f"recipe {name}: is based on itself ({' on '.join([*seen, asked])})")
        seen.append(asked)
        values = _recipe_file(asked)
        asked = values.pop("based_on", None)
        layers.insert(0, values)
    return (Path(name).stem if _is_file(name) else name), layers


def _recipe_file(name: str) -> dict[str, Any]:
    if _is_file(name):
        return shelf.read(expanded(name), name)
    return shelf.read(shelf.find("recipes", name, "recipe"), f"recipe {name}")


def _is_file(name: str) -> bool:
    return Path(name).suffix in (".yaml", ".yml")


def _preset(name: str, file: Traversable) -> Preset:
    values = shelf.read(file, f"preset {name}")
    attack = values.get("attack")
    if not isinstance(attack, Mapping) or str(attack.get("name")) not in attacks.ATTACKS:
        raise RequestError(f"preset {name}: attack.name must be one of {', '.join(attacks.ATTACKS)}")
    default = attacks.settings_class(attack["name"]).model_fields["label_rule"].default
    rule = attack.get("label_rule", default)
    return Preset(
        name=name,
        title=str(values.get("title", name)),
        source=str(values.get("source", "")),
        description=str(values.get("description", "")).strip(),
        kind={"all-to-one": "dirty label", "clean-label": "clean label"}.get(str(rule), str(rule)),
        origin=shelf.origin(file),
        values={key: value for key, value in values.items() if key not in _ABOUT},
    )
