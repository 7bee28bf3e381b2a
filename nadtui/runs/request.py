"""From a command's options to the request of a job: what a person may say, and how it becomes configuration."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import RequestError
from engine.places import expanded, in_full, sought
from nadtui import diagnostics

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from engine.config.run import RunConfig
    from engine.running.request import RunRequest


@dataclass(frozen=True)
class RunOptions:
    """The options of `nadtui run`, as they were given; None, false and empty are those left out."""

    preset: str | None = None
    dataset: str | None = None
    seed: int | None = None
    device: str | None = None
    epochs: Sequence[str] = ()
    settings: Sequence[str] = ()
    recipe: str | None = None
    suspect: str | None = None
    teacher: str | None = None
    defenses: Sequence[str] = ()
    model: str | None = None
    config: Path | None = None
    budget: str | None = None
    verify: bool = False
    shadow: bool = False
    threads: int | None = None
    out: Path | None = None
    resume: str | None = None
    cache: bool = True


UNCHANGED = RunOptions()
_NAMES = {"settings": "--set", "defenses": "--defense"}
_WITH_RESUME = ("out", "resume", "cache", "threads", "device", "model", "settings")
"""Options that do not change what a resumed run comes to."""
CHANGEABLE = ("evaluation.every", "evaluation.images")
"""Fields that may be set anew when a run is resumed: nothing but the live curves is other for it."""


def check_given(options: RunOptions) -> None:
    """Refuse a request that says nothing to run, or two things.

    Raises:
        RequestError: neither preset, suspect, configuration nor run is named, or a resumed run is to be changed.
    """
    if options.resume is not None:
        given = [f.name for f in fields(options) if f.name not in _WITH_RESUME and _is_given(getattr(options, f.name))]
        if given:
            named = ", ".join(_NAMES.get(name, f"--{name}") for name in given)
            raise RequestError(f"--resume goes on with the run's own configuration: leave out {named}")
    elif options.preset is None and options.config is None and options.suspect is None:
        from engine.config.presets import list_presets

        known = ", ".join(preset.name for preset in list_presets())
        raise RequestError(f"nothing to run: give --preset ({known}), --suspect FILE, --config FILE or --resume RUN")


def _is_given(value: Any) -> bool:
    return value is not None and value is not False and value != () and value != []


def build_config(options: RunOptions) -> RunConfig:
    """The complete configuration of a new run.

    Raises:
        RequestError: one line with what is wrong, where, and what is allowed.
    """
    names = defense_names(options.defenses)
    if names == ["fine-tuning"]:
        diagnostics.note("--defense fine-tuning stands for itself now; --defense nad,fine-tuning sets it beside NAD")
    overrides = _overrides(options)
    config = _resolved(options, overrides, names, diagnostics.note)
    planned = _epochs(options.epochs, config)
    if options.budget is not None:
        planned += _budget(options.budget, config)
    return _resolved(options, [*overrides, *planned], list(config.defenses)) if planned else config


def _resolved(
    options: RunOptions,
    overrides: Sequence[Mapping[str, Any]],
    defenses: Sequence[str] | None,
    tell: Callable[[str], object] | None = None,
) -> RunConfig:
    from engine.config.presets import resolve

    return resolve(
        options.preset,
        dataset=None if options.dataset is None else data_set(options.dataset),
        recipe=options.recipe,
        config_file=options.config,
        overrides=overrides,
        defenses=defenses,
        tell=tell,
    )


def build_request(options: RunOptions) -> RunRequest:
    """The job's request: a new run, or one to go on with.

    Raises:
        RequestError: as `build_config`, or no such run.
    """
    from engine.running.request import RunRequest
    from engine.storage.paths import runs_dir

    out = options.out or runs_dir()
    if options.resume is None:
        config = build_config(options)
        return RunRequest(config=config, out=out, cache=options.cache, typed_model=_typed(options, config))
    from engine.record.folder import check_resumable
    from engine.record.listing import find_run

    folder = find_run(out, options.resume)
    check_resumable(folder)  # before its configuration is read: that of an older schema cannot be
    return resume_request(folder, options)


def resume_request(folder: Path, options: RunOptions = UNCHANGED) -> RunRequest:
    """The request to go on with a recorded run; threads, device and live evaluation may be other than they were.

    Raises:
        RequestError: its configuration cannot be read, or something is set that would change what it comes to.
    """
    from engine.config.layers import nested, parse_override
    from engine.config.presets import resolve
    from engine.record.layout import CONFIG
    from engine.running.request import RunRequest

    changed: dict[str, Any] = {
        name: value for name, value in (("threads", options.threads), ("device", options.device)) if value is not None
    }
    for text in options.settings:
        field = text.partition("=")[0].strip()
        if field not in CHANGEABLE:
            raise RequestError(f"--set {field}: a resumed run goes on as it was; allowed: {', '.join(CHANGEABLE)}")
        changed |= {field: _leaf(parse_override(text))}
    layers = [nested(field, value) for field, value in changed.items()]
    config = resolve(None, config_file=folder / CONFIG, overrides=layers)
    typed = _typed(options, config)
    return RunRequest(
        config=config, out=folder.parent, resume=folder, cache=options.cache, typed_model=typed, changed=changed
    )


def _leaf(value: Any) -> Any:
    while isinstance(value, Mapping):
        value = next(iter(value.values()))
    return value


def _typed(options: RunOptions, config: RunConfig) -> bool:
    """Whether the network's file was typed on this very command line.

    Raises:
        RequestError: another network was typed than the run has.
    """
    if options.model is None:
        return any(text.partition("=")[0].strip() == "model.name" for text in options.settings)
    if network(options.model) != config.model.name:
        raise RequestError(f"--model {options.model}: the run's network is {config.model.name}")
    return True


def network(name: str) -> str:
    """A network's name as it is; the path of FILE.py:NAME in full, so that a record of it is of use from any folder."""
    file, colon, attribute = name.rpartition(":")
    if not colon or not file.endswith(".py"):
        return name
    return f"{in_full(file)}:{attribute}"


def data_set(name: str) -> str:
    """A data set's name as it is; a path in full, so that a record of it is of use from any folder."""
    from engine.data import SOURCES

    return in_full(name) if name not in SOURCES and expanded(name).exists() else name


def defense_names(given: Sequence[str]) -> list[str] | None:
    """The names that were given, each by an option of its own or several with commas; None = none were."""
    from engine.config.selection import listed

    names = [name for text in given for name in listed(text)]
    return names or None


def _overrides(options: RunOptions) -> list[dict[str, Any]]:
    """The layers over the preset, the most particular last."""
    from engine.config.layers import nested, parse_override

    given = {"seed": options.seed, "device": options.device, "threads": options.threads}
    layers: list[dict[str, Any]] = [{name: value} for name, value in given.items() if value is not None]
    if options.model is not None:
        layers.append(nested("model.name", network(options.model)))
    if options.suspect is not None:
        layers.append({"suspect": suspect(options.suspect)})
    if options.verify:
        layers.append(nested("evaluation.verify", True))
    if options.shadow:
        layers.append(nested("evaluation.shadow", True))
    if options.teacher is not None:
        layers.append(nested("defenses.nad.teacher.file", _teacher(options.teacher)))
    layers += [parse_override(text) for text in options.settings]
    return layers


def _epochs(texts: Sequence[str], config: RunConfig) -> list[dict[str, Any]]:
    """What `--epochs STAGE=N` sets, for the stages of the run that is planned.

    Raises:
        RequestError: no such stage, or no number.
    """
    from engine.config.layers import nested
    from engine.running.plan import epochs_fields

    known = epochs_fields(config)
    layers = []
    for text in texts:
        stage, equals, number = text.partition("=")
        if not equals or stage not in known or not re.fullmatch("[0-9]{1,9}", number):
            allowed = ", ".join(f"{name}=N" for name in known)
            raise RequestError(f"--epochs {text}: STAGE=N is wanted, one of {allowed}")
        layers.append(nested(known[stage], int(number)))
    return layers


def _budget(text: str, config: RunConfig) -> list[dict[str, Any]]:
    """What `--budget` sets, for the defenses of the run that can keep to one; `none` for those that can do without.

    Raises:
        RequestError: there are none, or it is no number.
    """
    from engine.config.layers import nested, parse_override
    from engine.defenses import DEFENSES

    def ask(names: Iterable[str]) -> list[str]:
        fields = {name: DEFENSES.get(name).model_fields.get(DEFENSES.get(name).budgeted) for name in names}
        return [name for name, field in fields.items() if field is not None and _heeds(name, field)]

    def _heeds(name: str, field: FieldInfo) -> bool:
        if text == "none":
            return field.default is None
        own = config.defenses.get(name)
        return own is None or own.model_copy(update={own.budgeted: 1.0}).held > 0  # not where a fixed bound decides

    def path(name: str) -> str:
        return f"defenses.{name}.{DEFENSES.get(name).budgeted}"

    if text != "none" and not _is_number(text):
        raise RequestError(f"--budget {text or repr(text)}: points of ACC are wanted, 0 to 100, or none")
    names = ask(config.defenses)
    if not names:
        said = "has a budget of ACC" if text != "none" else "can do without a budget"
        raise RequestError(
            f"--budget {text}: of {', '.join(config.defenses)}, none {said}; {', '.join(ask(DEFENSES))} can"
        )
    if text == "none":
        return [nested(path(name), None) for name in names]
    if others := [name for name in config.defenses if name not in names]:
        diagnostics.note(f"--budget {text}: without effect on {', '.join(others)}")
    return [parse_override(f"{path(name)}={text}") for name in names]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def suspect(name: str) -> str:
    """Where the suspect comes from, as it is; a file's path in full, so that a record of it is of use from any folder.

    Raises:
        RequestError: no such file.
    """
    from engine.events import TRAINED

    return name if name == TRAINED or name.partition(":")[0] == "zoo" else _file("--suspect", name)


def _teacher(name: str) -> str:
    return name if name.partition(":")[0] in ("zoo", "defense") else _file("--teacher", name)


def _file(option: str, name: str) -> str:
    path = expanded(name)
    if not path.is_file():
        what = "a folder, not a file" if path.is_dir() else f"no such file{sought(path)}"
        raise RequestError(f"{option} {name}: {what}")
    return in_full(name)
