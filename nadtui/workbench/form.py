"""A new run as a person fills it in: the form's data, what they make, and the command line that does the same.

Free of any widget, and of torch.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from engine import models
from engine.config.layers import as_yaml, merge, nested, parse_override, read_yaml
from engine.config.presets import resolve
from engine.config.run import RunConfig, known_fields, validate
from engine.data import SOURCES
from engine.errors import RequestError
from engine.record.layout import CONFIG
from engine.record.reading import read_settings
from engine.running import processor_queue
from engine.running.request import RunRequest
from engine.storage.paths import data_dir
from nadtui.formatting import command, quoted
from nadtui.runs.digest import flatten
from nadtui.runs.request import data_set, defense_names, network, suspect
from nadtui.workbench.field_meanings import DEFENSES, is_leaf, meaning

if TYPE_CHECKING:
    from engine.data.base import DataRequest

MOST_SEEDS = 100
"""Runs that one form starts."""
ABSENT = "–"
_OWN = ("preset", "recipe", "seed", "device", "data.name")
"""Fields that the form has places of their own for."""
SUSPECT, _MODEL = "suspect", "model.name"
_OPTIONS = {DEFENSES: "--defense", SUSPECT: "--suspect", _MODEL: "--model"}
"""Further fields that have an option of their own on the command line, and decide which fields there are."""


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
    """Further fields by their dotted path, values in YAML; `defenses` are those of the run, apart by commas."""
    typed: frozenset[str] = frozenset()
    """Those of them that were typed into this form, and did not come with the run that it was opened from."""
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
        return [*layers, *(self._layer(path, text) for path, text in self.settings.items() if path != DEFENSES)]

    def _layer(self, path: str, text: str) -> dict[str, Any]:
        """A further field as a layer, of files with their path in full."""
        in_full = {SUSPECT: suspect, _MODEL: network}.get(path)
        return parse_override(f"{path}={text}") if in_full is None else nested(path, in_full(plain(text)))

    def defenses(self) -> list[str] | None:
        """The names of the run's defenses; None = none were given: those of the configuration file, else NAD."""
        return defense_names([self.settings[DEFENSES]]) if DEFENSES in self.settings else None

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
            defenses=self.defenses(),
        )
        processor_queue.check_threads(config.threads)
        return config

    def requests(self, out: Path) -> list[RunRequest]:
        """A request for each seed.

        Raises:
            RequestError: as `config`; or the network is a file's, which was not typed here and must not be executed.
        """
        configs = [self.config(seed) for seed in self.seeds()]
        typed, name = _MODEL in self.typed, configs[0].model.name
        if models.from_file(name) and not typed:
            raise RequestError(f"{_MODEL}: a network's file is executed only when it is typed: type it anew ({name})")
        return [RunRequest(config=config, out=out, cache=self.cache, typed_model=typed) for config in configs]

    def judge(self, out: Path) -> None:
        """Try the first of its runs on the images, the network and the files, without training; torch loads for it.

        What would download or draw a whole data set, or execute a network's file, is left to the start.

        Raises:
            RequestError: one line with what is wrong.
        """
        request = self.requests(out)[0]
        sources = [each for each in (request.config.data, request.config.data.clean_source) if each is not None]
        if models.from_file(request.config.model.name) or not all(map(at_hand, sources)):
            return
        from engine.running.prepare import judge

        judge(request)

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
            words += [_OPTIONS[path], plain(value)] if path in _OPTIONS else ["--set", f"{path}={value}"]
        if not self.cache:
            words.append("--no-cache")
        if out is not None:
            words += ["--out", str(out)]
        line = command(words)
        if len(seeds) > 1:
            return f"for seed in {' '.join(map(str, seeds))}; do {line} --seed $seed --headless; done"
        return f"{line} --seed {seeds[0]}" if seeds else f"{line} --seed {quoted(self.seed)}"

    # --- how it changes ---

    def with_setting(self, path: str, value: str) -> RunForm:
        """The form with one more field set; an empty value takes it back."""
        settings = {name: known for name, known in self.settings.items() if name != path}
        typed = self.typed - {path}
        if value.strip():
            settings[path] = value.strip()
            typed |= {path}
        return replace(self, settings=settings, typed=typed)

    def fields(self) -> list[Field]:
        """Every field that the form has no own place for, with its value as things stand.

        Where the form is not valid, the values are those without its further fields.
        """
        config = self._nearest()
        if config is None:
            return []
        # Where there are no defenses, their table is a field of its own.
        flat = {path: value for path, value in flatten(config.to_dict()) if path != DEFENSES}
        values = {DEFENSES: ", ".join(config.defenses), **flat}
        rest = [path for path in known_fields(config.to_dict()) if is_leaf(path, config) and path not in values]
        return [
            Field(
                path,
                self.settings.get(path) or (as_yaml(values[path]) if path in values else ABSENT),
                *meaning(path, config),
                changed=path in self.settings,
            )
            for path in (*values, *rest)
            if path not in _OWN
        ]

    def own_data(self) -> str:
        """The data set of a run for which none is typed; empty where that cannot be told."""
        config = replace(self, dataset="")._nearest()
        return "" if config is None else config.data.name

    def _nearest(self) -> RunConfig | None:
        """The configuration; where it is not valid, that of the fields alone that decide which others there are."""
        deciding = {path: text for path, text in self.settings.items() if path in _OPTIONS}
        valid = replace(self, settings=deciding, seed="0", at_once="1")
        for form in (self, valid, replace(valid, settings={})):
            with contextlib.suppress(RequestError):
                return form.config()
        return None


def of_run(folder: Path) -> RunForm:
    """The form that makes the same run again: from its preset where that still is what it was, else from its file.

    Raises:
        RequestError: the run's configuration cannot be read.
    """
    file = folder / CONFIG
    try:
        values = read_settings(folder)
        form = RunForm(
            preset=str(values["preset"]),
            dataset=str(values["data"]["name"]),
            recipe=str(values["recipe"]),
            seed=str(values["seed"]),
            device=str(values["device"]),
        )
    except (TypeError, KeyError):
        raise RequestError(f"{file} cannot be read: no configuration of a run") from None
    try:
        names = ",".join(values.get("defenses") or ())
        if names not in ("", "nad"):
            form = replace(form, settings={DEFENSES: names})
        whole = validate(values).to_dict()  # fields that there were not yet have their defaults
        base, wanted = (dict(flatten(each)) for each in (form.config().to_dict(), whole))
        if set(base) - set(wanted):
            raise RequestError("the preset has fields that the run had not")
        changed = {path: as_yaml(value) for path, value in wanted.items() if path not in base or base[path] != value}
        again = replace(form, settings={**form.settings, **changed})
        if merge(again.config().to_dict(), {}) == whole:
            return again
    except RequestError:
        pass  # the preset or the recipe has changed since, or never was here
    return replace(form, preset=None, recipe="", dataset="", settings={}, config_file=file)


def at_hand(data: DataRequest) -> bool:
    """Whether a data set can be read at once."""
    if data.name not in SOURCES:
        return Path(data.name).exists()
    if data.name == "signs":
        from engine.data.embedded import at_hand

        return at_hand(data)
    return bool(list(data_dir().glob(f"{data.name}*")))


def named_field(problem: str, paths: Iterable[str]) -> str | None:
    """The field that a complaint is about: the first of these that it names."""
    found = {path: problem.find(path) for path in paths}
    at = {path: place for path, place in found.items() if place >= 0}
    return min(at, key=lambda path: (at[path], -len(path)), default=None)


def told(config: RunConfig) -> str:
    """What a run of that configuration is, in a line."""
    what = "a suspect without a trigger" if config.attack is None else config.preset
    of_the_zoo = f", from the zoo: {config.zoo_name}" if config.zoo_name is not None else ""
    return f"{what} on {config.data.name}, {config.model.name}{of_the_zoo}"


def plain(text: str) -> str:
    """What was typed, without the quotes that YAML wants around some of it."""
    with contextlib.suppress(yaml.YAMLError):
        value = read_yaml(text)
        return value if isinstance(value, str) else text
    return text
