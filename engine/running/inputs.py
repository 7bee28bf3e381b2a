"""What a run takes from outside, as it was when the run began: a resumed run goes on with the same, or not at all.

A path says nothing of what lies there by now. So a run's first event holds the fingerprints of its files and images,
and the end of each stage that of its weights; all of them are compared before a resumed run does anything. A record
that holds none, of an older nadtui, is resumed as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine import zoo
from engine.config.run import RunConfig
from engine.data.base import ImageData, fingerprint
from engine.data.clean import CleanImages
from engine.errors import AbsentError, RequestError
from engine.events import Event, RunStarted, StageFinished
from engine.models import foreign
from engine.record.folder import RunFolder
from engine.record.layout import LEARNED
from engine.running.plan import SUSPECT
from engine.running.stages import digest
from engine.storage.checkpoints import load_weights

DIGITS = 12
"""Digits of a digest that a message shows."""


def _named(config: RunConfig) -> Iterator[tuple[str, Callable[[], Sequence[Path]]]]:
    """What the configuration names, and what finds the files of it, none for most."""
    network = foreign.named(config.model.name)
    yield "network's file", lambda: [] if network is None else [network.path]
    yield "suspect", lambda: _suspect(config)
    yield "attack's images", lambda: [] if config.attack is None else config.attack.files()
    for name, defense in config.defenses.items():
        yield f"file of defense {name}", defense.files


def _suspect(config: RunConfig) -> list[Path]:
    """The file of a suspect that is not trained here; the zoo's holds its trigger as well."""
    if config.zoo_name is not None:
        return [zoo.folder() / f"{config.zoo_name}.safetensors"]
    return [] if config.suspect_file is None else [Path(config.suspect_file)]


def _print(files: Sequence[Path]) -> dict[str, Any]:
    whole, size = hashlib.sha256(), 0
    for file in files:
        content = file.read_bytes()
        whole.update(hashlib.sha256(content).digest())
        size += len(content)
    where = "" if not files else str(files[0] if len(files) == 1 else files[0].parent)
    return {"path": where, "files": len(files), "bytes": size, "sha256": whole.hexdigest()}


def begun(recorded: Sequence[Event]) -> RunStarted | None:
    """How the run began; None where its record has not begun."""
    return next((event for event in recorded if isinstance(event, RunStarted)), None)


def check_files(started: RunStarted | None, config: RunConfig) -> dict[str, dict[str, Any]]:
    """The fingerprints of the files that a configuration names, by what they are: path, files, bytes, sha256.

    Raises:
        RequestError: one is not what the run began with: what it was and what it is.
    """
    now = {}
    for what, files in _named(config):
        was = _known(started, what)
        try:
            now[what] = _print(files())
        except (OSError, ValueError, RequestError) as error:  # a null character in a path makes a ValueError
            if was is None:
                continue  # whatever reads it says so, in its own words
            why = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else error
            raise AbsentError(f"the {what} cannot be read any more: {why}; the run began with {_file(was)}") from None
        if was is not None and was["sha256"] != now[what]["sha256"]:
            raise _changed(what, _file(was), _file(now[what]), now[what]["path"])
    return {what: each for what, each in now.items() if each["files"]}


def _known(started: RunStarted | None, what: str) -> Mapping[str, Any] | None:
    """What the record holds of some file; None where that is nothing, or nothing that makes sense."""
    was = started.inputs.get(what) if started is not None else None
    whole = isinstance(was, Mapping) and all(type(was.get(key)) is int for key in ("files", "bytes"))
    return was if whole and isinstance(was.get("sha256"), str) else None


def check_data(started: RunStarted | None, data: ImageData, config: RunConfig) -> None:
    """Refuse images that are not those the run began with.

    Raises:
        RequestError: what they were and what they are.
    """
    was = started.dataset if started is not None else {}
    if isinstance(was.get("fingerprint"), str) and was["fingerprint"] != data.fingerprint:
        now = {"train": len(data.x_train), "test": len(data.x_test), "fingerprint": data.fingerprint}
        raise _changed("data set", _images(was), _images(now), config.data.name)


def check_clean(started: RunStarted | None, clean: CleanImages) -> None:
    """Refuse clean images that are not those the run began with: another data set's may be others by now.

    Raises:
        RequestError: it says so.
    """
    was = started.dataset.get("clean_fingerprint") if started is not None else None
    now = fingerprint(clean.images, clean.labels)
    if isinstance(was, str) and was != now:
        raise AbsentError(f"the clean images are not those the run began with: then {_short(was)}, now {_short(now)}")


def check_stages(recorded: Sequence[Event], folder: RunFolder) -> None:
    """Refuse weights that are not those with which a stage ended, of the stages that need not be done again.

    Raises:
        RequestError: which they are; without the file the stage is done again.
    """
    for event in {event.stage: event for event in recorded if isinstance(event, StageFinished)}.values():
        learned = folder.path / LEARNED if event.stage == SUSPECT and event.learned else None
        if folder.checkpoint(event.stage).is_file():
            _check_weights(event.stage, folder.checkpoint(event.stage), event.sha256)
            if learned is not None:
                _check_weights(f"{event.stage}'s trigger", learned, event.learned)


def _check_weights(what: str, file: Path, was: str) -> None:
    now = digest(load_weights(file)[0])
    if was != now:
        said = _changed(f"checkpoint of {what}", _short(was), _short(now), str(file))
        raise RequestError(f"{said}; without that file the stage is done again")


def _changed(what: str, was: str, now: str, where: str) -> AbsentError:
    return AbsentError(f"the {what} is not the one the run began with: then {was}, now {now}: {where}")


def _file(known: Mapping[str, Any]) -> str:
    files = "" if known["files"] == 1 else f"{known['files']:,} files of "
    return f"{files}{known['bytes']:,} bytes, {_short(known['sha256'])}"


def _images(known: Mapping[str, Any]) -> str:
    short = _short(known["fingerprint"])
    return f"{known.get('train', '?')} training and {known.get('test', '?')} test images, {short}"


def _short(sha256: str) -> str:
    return f"sha256 {sha256[:DIGITS]}…"
