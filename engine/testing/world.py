"""The tiny world in which checks happen: a few drawn images, the smallest network, folders of its own. Needs torch.

Nothing in it reads or writes what belongs to the user, downloaded data sets excepted, and no run in it waits for others
on the machine. What several checks look at is made once (`World.once`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from engine import data
from engine.config.layers import merge
from engine.config.run import DataSettings, RunConfig, validate
from engine.control import Control
from engine.data.base import ImageData
from engine.defenses.base import Defense
from engine.errors import RequestError
from engine.events import Event, RunFailed, RunFinished, RunStarted, StageFinished
from engine.record.layout import checkpoint_file
from engine.record.reading import read_events
from engine.running.pipeline import run
from engine.running.request import RunRequest
from engine.storage.paths import data_dir
from engine.testing import squares
from engine.testing.contract import ContractBroken, one_line, require

T = TypeVar("T")

NETWORK = "wrn-10-1"
ATTACK = {"name": "badnets", "poisoning_rate": 0.3}
"""Of the suspect that defenses are set against."""
CLEAN = {"name": "clean"}

VALUES: Mapping[str, Any] = {
    "device": "cpu",
    "precision": "fp32",
    "threads": 1,
    "data": {"clean_fraction": 0.25},
    "model": {"name": NETWORK},
    "attack": ATTACK,
    "training": {"epochs": 5, "batch_size": 32, "lr": 0.1, "augment": {"crop": 0}},
    "evaluation": {"images": 40, "samples": 1},
}


@dataclass(frozen=True)
class Ran:
    """A run, and what came of it."""

    events: tuple[Event, ...]
    folder: Path

    @property
    def end(self) -> Event:
        """The last event."""
        return self.events[-1]

    @property
    def finished(self) -> dict[str, StageFinished]:
        """The finished stages by name."""
        return {event.stage: event for event in self.events if isinstance(event, StageFinished)}

    def weights(self, names: list[str]) -> dict[str, str]:
        """The digests of those stages' weights."""
        return {name: event.sha256 for name, event in self.finished.items() if name in names}


class World:
    """Where checks run: images, settings, runs, all in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[Any, Any] = {}
        self.runs = 0

    def once(self, key: Any, make: Callable[[], T]) -> T:
        """What `make` makes, or the error it ends in, made the first time that `key` is asked for."""
        if key not in self._known:
            try:
                self._known[key] = (make(), None)
            except (ContractBroken, RequestError) as error:
                self._known[key] = (None, error)
        found, error = self._known[key]
        if error is not None:
            raise error
        return found

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Within it the cache, the runs and the queue of the machine are the world's, and torch has one thread."""
        own = {name: str(self.folder / name.lower()) for name in ("CACHE", "RUNS", "PRESETS", "MACHINE")}
        own["DATA"] = str(data_dir())
        before = {name: os.environ.get(f"NADTUI_{name}") for name in own}
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        os.environ.update({f"NADTUI_{name}": value for name, value in own.items()})
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            for name, value in before.items():
                if value is None:
                    del os.environ[f"NADTUI_{name}"]
                else:
                    os.environ[f"NADTUI_{name}"] = value

    def squares(self, **drawn: int) -> str:
        """The path of the world's images, or of others that differ in what is given."""
        name = "-".join(("squares", *(f"{key}-{value}" for key, value in drawn.items())))
        return str(self.once(("squares", name), lambda: squares.write(self.folder / f"{name}.npz", **drawn)))

    def images(self) -> ImageData:
        """The world's images, loaded."""
        return self.once("images", lambda: data.load(DataSettings(name=self.squares())))

    def config(self, *layers: Mapping[str, Any], defenses: Mapping[str, Defense | Mapping] | None = None) -> RunConfig:
        """A configuration of this world, `layers` over it; an attack replaces the world's as a whole."""
        values: dict[str, Any] = merge(VALUES, {"data": {"name": self.squares()}})
        for layer in layers:
            values = merge(values, layer)
            if "attack" in layer:
                values["attack"] = layer["attack"]
        return validate(values | {"defenses": dict(defenses or {})})

    def run(
        self, config: RunConfig, *, cache: bool = True, control: Control | None = None, resume: Path | None = None
    ) -> Iterator[Event]:
        """The events of a run as they come; a file of a network is executed, since whoever checks it has named it."""
        out = self.folder / "runs" / str(self.runs)
        self.runs += resume is None
        return run(RunRequest(config, out, resume=resume, cache=cache, typed_model=True), control)

    def whole(self, config: RunConfig, what: str, *, cache: bool = True) -> Ran:
        """A run to its end.

        Raises:
            ContractBroken: `what` is refused, or fails.
        """
        out = self.folder / "runs" / str(self.runs)
        try:
            events = tuple(self.run(config, cache=cache))
        except RequestError as error:
            raise ContractBroken(one_line(f"{what} is refused: {error}")) from error
        except Exception as error:
            raise ContractBroken(one_line(f"{what} ends before it begins: {one_line(error)}")) from error
        end = events[-1]
        if isinstance(end, RunFailed):
            raise ContractBroken(one_line(f"{what} fails in stage {end.stage}: {end.message}"))
        require(isinstance(end, RunFinished), f"{what} ends with {end.kind}")
        return Ran(events, folder_in(out))

    @staticmethod
    def recorded(folder: Path) -> Ran:
        """A run as its folder holds it, in however many pieces it was carried out."""
        return Ran(tuple(read_events(folder).events), folder)

    def suspect(self) -> Path:
        """The weights of the suspect that defenses are set against."""
        ran = self.once("suspect", lambda: self.whole(self.config(), "the tiny world's own attack"))
        return checkpoint_file(ran.folder, "attack")

    def refusal(self, config: RunConfig, what: str) -> str:
        """The line in which a run is refused before anything is written; empty where it is let begin.

        Raises:
            ContractBroken: it ends in another way.
        """
        out = self.folder / "runs" / str(self.runs)
        events = self.run(config)
        try:
            next(event for event in events if isinstance(event, RunStarted))
        except RequestError as error:
            require("\n" not in str(error), f"{what} is refused in more than one line: {error}")
            require(not out.exists(), f"{what} is refused after something was written")
            return str(error)
        except Exception as error:
            raise ContractBroken(f"{what} ends in {one_line(error)}, not in a refusal of one line") from error
        finally:
            events.close()
        return ""

    def bears(self, config: RunConfig, what: str) -> str:
        """As `refusal`; what is let begin has to come to its end."""
        refused = self.refusal(config, what)
        if not refused:
            self.whole(config, what)
        return refused


def folder_in(out: Path) -> Path:
    """The one run folder in a folder of runs."""
    return next(path for path in out.iterdir() if not path.name.startswith("."))
