"""A new run as a person fills it in: the form's data, what they make, and the command line that does the same.

Free of any widget, and of torch.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from engine import attacks, defenses
from engine.config.presets import resolve
from engine.config.run import RunConfig, known_fields, merge, parse_override, read_yaml
from engine.errors import RequestError
from engine.record import store
from engine.running import processor_queue
from engine.running.job import RunRequest
from nadtui.runs.digest import flatten
from nadtui.runs.request import data_set

MOST_SEEDS = 100
"""Runs that one form starts."""
ABSENT = "–"
_OWN = ("preset", "recipe", "seed", "device", "data.name")
"""Fields that the form has places of their own for."""


@dataclass(frozen=True)
class Field:
    """A field of the configuration, as a form shows it."""

    path: str
    value: str
    """As YAML; a dash where the configuration has none."""
    about: str
    """What it means."""
    allowed: str
    """What may stand there, where that can be said in few words."""
    changed: bool


@dataclass(frozen=True)
class RunForm:
    """What a person has filled in; everything as typed."""

    preset: str | None = None
    dataset: str = ""
    """Empty = the preset's own, or signs."""
    recipe: str = "default"
    seed: str = "0"
    """One number, or several: `0-2`, `0,3,7`. Each makes a run."""
    device: str = "auto"
    at_once: str = "1"
    """Runs side by side; the processor's threads are divided among them."""
    cache: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)
    """Further fields by their dotted path, values in YAML."""
    config_file: Path | None = None
    """A configuration to begin from, where there is no preset for it."""

    # --- what it makes ---

    def seeds(self) -> list[int]:
        """The seeds, in the order given.

        Raises:
            RequestError: no numbers, or too many.
        """
        found: dict[int, None] = {}
        for part in self.seed.replace(" ", "").split(","):
            match = re.fullmatch(r"(\d{1,18})(?:-(\d{1,18}))?", part)
            if match is None:
                raise RequestError(f"seed = {self.seed!r}: a number is wanted, or several as in 0-2 or 0,3,7")
            first, last = int(match[1]), int(match[2] or match[1])
            if last < first or last - first >= MOST_SEEDS or len(found) + last - first >= MOST_SEEDS:
                raise RequestError(f"seed = {self.seed!r}: a rising range of at most {MOST_SEEDS} seeds is wanted")
            found |= dict.fromkeys(range(first, last + 1))
        return list(found)

    def threads(self) -> int | None:
        """Threads for each run, None = all.

        Raises:
            RequestError: not a number of runs that share the processors.
        """
        available = len(processor_queue.processors())
        if not re.fullmatch(r"[1-9]\d{0,3}", self.at_once.strip()) or int(self.at_once) > available:
            raise RequestError(
                f"runs at once = {self.at_once!r}: allowed: 1 to {available}, the processors that they share"
            )
        return None if int(self.at_once) == 1 else available // int(self.at_once)

    def overrides(self, seed: int) -> list[dict[str, Any]]:
        """The layers over the preset."""
        layers: list[dict[str, Any]] = [{"seed": seed, "device": self.device}]
        threads = self.threads()
        if threads is not None:
            layers.append({"threads": threads})
        return [*layers, *(parse_override(f"{path}={value}") for path, value in self.settings.items())]

    def config(self, seed: int | None = None) -> RunConfig:
        """The complete configuration of the run with that seed, by default the first.

        Raises:
            RequestError: one line with what is wrong, where, and what is allowed.
        """
        seed = self.seeds()[0] if seed is None else seed
        config = resolve(
            self.preset,
            dataset=data_set(self.dataset.strip()) if self.dataset.strip() else None,
            recipe=self.recipe or None,
            config_file=self.config_file,
            overrides=self.overrides(seed),
        )
        processor_queue.check_threads(config.threads)
        return config

    def requests(self, out: Path) -> list[RunRequest]:
        """A request for each seed.

        Raises:
            RequestError: as `config`.
        """
        return [RunRequest(config=self.config(seed), out=out, cache=self.cache) for seed in self.seeds()]

    def command(self, out: Path | None = None) -> str:
        """The command line that does the same; several seeds run one after another. `out`: where not by default."""
        words = ["nadtui", "run"]
        if self.preset:
            words += ["--preset", self.preset]
        if self.config_file is not None:
            words += ["--config", str(self.config_file)]
        if self.dataset.strip():
            words += ["--dataset", self.dataset.strip()]
        if self.recipe not in ("", "default"):
            words += ["--recipe", self.recipe]
        if self.device != "auto":
            words += ["--device", self.device]
        try:
            seeds, threads = self.seeds(), self.threads()
        except RequestError:
            seeds, threads = [], None
        if threads is not None:
            words += ["--threads", str(threads)]
        for path, value in self.settings.items():
            words += ["--set", f"{path}={value}"]
        if not self.cache:
            words.append("--no-cache")
        if out is not None:
            words += ["--out", str(out)]
        line = shlex.join(words)
        if len(seeds) > 1:
            return f"for seed in {' '.join(map(str, seeds))}; do {line} --seed $seed --headless; done"
        return f"{line} --seed {seeds[0]}" if seeds else f"{line} --seed {shlex.quote(self.seed)}"

    # --- how it changes ---

    def with_setting(self, path: str, value: str) -> RunForm:
        """The form with one more field set; an empty value takes it back."""
        settings = {name: known for name, known in self.settings.items() if name != path}
        if value.strip():
            settings[path] = value.strip()
        return replace(self, settings=settings)

    def fields(self) -> list[Field]:
        """Every field that the form has no own place for, with its value as things stand.

        Where the form is not valid, the values are those without its further fields.
        """
        try:
            config = self.config()
        except RequestError:
            try:
                config = replace(self, settings={}, seed="0", at_once="1").config()
            except RequestError:
                return []
        values = dict(flatten(config.to_dict()))
        rest = [path for path in known_fields(config.to_dict()) if _is_leaf(path, config) and path not in values]
        return [
            Field(
                path,
                self.settings.get(path) or (as_yaml(values[path]) if path in values else ABSENT),
                *_told(path, config),
                changed=path in self.settings,
            )
            for path in (*values, *rest)
            if path not in _OWN
        ]


def of_run(folder: Path) -> RunForm:
    """The form that makes the same run again: from its preset where that still is what it was, else from its file.

    Raises:
        RequestError: the run's configuration cannot be read.
    """
    file = folder / store.CONFIG
    try:
        values = read_yaml(store.read_config_yaml(folder))
        form = RunForm(
            preset=str(values["preset"]),
            dataset=str(values["data"]["name"]),
            recipe=str(values["recipe"]),
            seed=str(values["seed"]),
            device=str(values["device"]),
        )
    except (yaml.YAMLError, TypeError, KeyError):
        raise RequestError(f"{file} cannot be read: no configuration of a run") from None
    try:
        base = dict(flatten(form.config().to_dict()))
        wanted = dict(flatten(values))
        if set(base) - set(wanted):
            raise RequestError("the preset has fields that the run had not")
        changed = {path: as_yaml(value) for path, value in wanted.items() if path not in base or base[path] != value}
        again = replace(form, settings=changed)
        if merge(again.config().to_dict(), {}) == values:
            return again
    except RequestError:
        pass  # the preset or the recipe has changed since, or never was here
    return replace(form, preset=None, recipe="", dataset="", config_file=file)


def as_yaml(value: Any) -> str:
    """A value in one line of YAML."""
    if isinstance(value, str) and value and "\n" not in value and _reads_back(value):
        return value
    return yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True).split("\n...")[0].strip()


def _reads_back(text: str) -> bool:
    """Whether the text, without quotes, is itself in YAML."""
    try:
        return read_yaml(text) == text
    except yaml.YAMLError:
        return False


def _is_leaf(path: str, config: RunConfig) -> bool:
    found = _info(path, config)
    return found is not None and not (isinstance(found.annotation, type) and issubclass(found.annotation, BaseModel))


def _told(path: str, config: RunConfig) -> tuple[str, str]:
    """A field's meaning, and what is allowed there."""
    found = _info(path, config)
    if found is None:
        return "", ""
    return " ".join((found.description or "").split()), _allowed(found)


def _info(path: str, config: RunConfig) -> FieldInfo | None:
    """The definition of the field at a dotted path."""
    first, *rest = path.split(".")
    if first == "attack" and rest:
        return _within(attacks.settings_class(config.attack.name), rest)
    if first == "defenses" and len(rest) > 1 and rest[0] in defenses.DEFENSES:
        return _within(defenses.settings_class(rest[0]), rest[1:])
    return _within(RunConfig, [first, *rest])


def _within(section: type[BaseModel], parts: list[str]) -> FieldInfo | None:
    for place, part in enumerate(parts):
        found = section.model_fields.get(part)
        if found is None or place == len(parts) - 1:
            return found
        if not (isinstance(found.annotation, type) and issubclass(found.annotation, BaseModel)):
            return None
        section = found.annotation
    return None


_SIGNS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))


def _allowed(found: FieldInfo) -> str:
    """`one of a, b`, `> 0, ≤ 16`; empty where the type says it all."""
    choices = [str(value) for part in (found.annotation, *get_args(found.annotation)) for value in _choices(part)]
    if choices:
        return "one of " + ", ".join(dict.fromkeys(choices))
    if found.annotation is bool:
        return "true or false"
    bounds = [
        f"{sign} {getattr(rule, name)}"
        for rule in found.metadata
        for name, sign in _SIGNS
        if getattr(rule, name, None) is not None
    ]
    return ", ".join(bounds)


def _choices(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()
