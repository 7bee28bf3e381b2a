"""From a command's options to the request of a job: what a person may say, and how it becomes configuration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import RequestError

if TYPE_CHECKING:
    from engine.config.run import RunConfig
    from engine.running.job import RunRequest

EPOCHS = {
    "attack": "training.epochs",
    "teacher": "teacher.training.epochs",
    "nad": "distill.training.epochs",
}
"""Stage -> the field that `--epochs STAGE=N` sets."""


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
    student: str | None = None
    teacher: str | None = None
    defenses: Sequence[str] = ()
    config: Path | None = None
    threads: int | None = None
    out: Path | None = None
    resume: str | None = None
    cache: bool = True


_NAMES = {"settings": "--set", "defenses": "--defense"}
_WITH_RESUME = ("out", "resume", "cache")
"""Options that leave a resumed run's configuration alone."""


def check_given(options: RunOptions) -> None:
    """Refuse a request that says nothing to run, or two things.

    Raises:
        RequestError: neither preset nor configuration nor run is named, or a resumed run is to be changed.
    """
    if options.resume is not None:
        given = [f.name for f in fields(options) if f.name not in _WITH_RESUME and _is_given(getattr(options, f.name))]
        if given:
            named = ", ".join(_NAMES.get(name, f"--{name}") for name in given)
            raise RequestError(f"--resume goes on with the run's own configuration: leave out {named}")
    elif options.preset is None and options.config is None:
        from engine.config.presets import list_presets

        known = ", ".join(preset.name for preset in list_presets())
        raise RequestError(f"nothing to run: give --preset ({known}), --config FILE or --resume RUN")


def _is_given(value: Any) -> bool:
    return value is not None and value != () and value != []


def build_config(options: RunOptions) -> RunConfig:
    """The complete configuration of a new run.

    Raises:
        RequestError: one line with what is wrong, where, and what is allowed.
    """
    from engine.config.presets import resolve

    return resolve(
        options.preset,
        dataset=None if options.dataset is None else data_set(options.dataset),
        recipe=options.recipe,
        config_file=options.config,
        overrides=_overrides(options),
    )


def build_request(options: RunOptions) -> RunRequest:
    """The job's request: a new run, or one to go on with.

    Raises:
        RequestError: as `build_config`, or no such run.
    """
    from engine.running.job import RunRequest
    from engine.storage.paths import runs_dir

    out = options.out or runs_dir()
    if options.resume is None:
        return RunRequest(config=build_config(options), out=out, cache=options.cache)
    from engine.config.presets import resolve
    from engine.record.store import CONFIG, find_run

    folder = find_run(out, options.resume)
    config = resolve(None, config_file=folder / CONFIG)
    return RunRequest(config=config, out=folder.parent, resume=folder, cache=options.cache)


def data_set(name: str) -> str:
    """A data set's name as it is; a path in full, so that a record of it is of use from any folder."""
    from engine.data import SOURCES

    path = Path(name).expanduser()
    return str(path.absolute()) if name not in SOURCES and path.exists() else name


def _overrides(options: RunOptions) -> list[dict[str, Any]]:
    """The layers over the preset, the most particular last."""
    from engine.config.run import parse_override

    layers: list[dict[str, Any]] = [
        {name: value}
        for name, value in (("seed", options.seed), ("device", options.device), ("threads", options.threads))
        if value is not None
    ]
    if options.student is not None:
        layers.append({"student": _file("--student", options.student)})
    if options.teacher is not None:
        layers.append({"teacher": {"file": _file("--teacher", options.teacher)}})
    layers += [{"defenses": {name: {}}} for name in options.defenses]
    layers += [_epochs(text) for text in options.epochs]
    layers += [parse_override(text) for text in options.settings]
    return layers


def _epochs(text: str) -> dict[str, Any]:
    from engine.config.run import parse_override

    stage, equals, number = text.partition("=")
    if not equals or stage not in EPOCHS or not re.fullmatch("[0-9]{1,9}", number):
        allowed = ", ".join(f"{name}=N" for name in EPOCHS)
        raise RequestError(f"--epochs {text}: STAGE=N is wanted, one of {allowed}")
    return parse_override(f"{EPOCHS[stage]}={int(number)}")


def _file(option: str, name: str) -> str:
    path = Path(name).expanduser()
    if not path.is_file():
        raise RequestError(f"{option} {name}: {'a folder, not a file' if path.is_dir() else 'no such file'}")
    return str(path.absolute())
