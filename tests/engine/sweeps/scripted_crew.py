"""A crew whose cells end as a test says, without any training."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from engine.control import Wish
from engine.record.layout import CONFIG, SUMMARY
from engine.sweeps import tries
from engine.sweeps.conducting import Conductor, Step
from engine.sweeps.grid import Grid, expand
from engine.sweeps.index import extend
from engine.sweeps.layout import RUNS

SUMMED = {
    "schema": 2,
    "seconds": 3.0,
    "stages": [
        {"stage": "attack", "role": "suspect", "acc": 90.0, "asr": 99.0, "sha256": "a"},
        {"stage": "nad", "role": "purified", "acc": 88.0, "asr": 2.0, "sha256": "b"},
    ],
}


class DiedError(Exception):
    """A worker that is gone."""


class Scripted:
    """Cells end as `script` says of each call: an exit code, or an error that is raised."""

    threads: int | None = 1
    deaths: tuple[type[BaseException], ...] = (DiedError,)
    shares: bool = True

    def __init__(self, script: Callable[[str, int], Any] = lambda cell, call: 0, slots: int = 1) -> None:
        self.slots = slots
        self.executor: Executor = ThreadPoolExecutor(slots)
        self.calls: list[str] = []
        self.typed: list[bool] = []
        self.asked: list[Wish] = []
        self.gone: set[str] = set()
        """Cells whose worker is there no more."""
        self.dismissed: list[str] = []
        self.spared: list[str] = []
        self.others = False
        """Whether there are more workers than the one that was dismissed."""
        self._script = script

    def check(self, texts: Sequence[str], folder: Path) -> None:
        pass

    def submit(self, text: str, folder: Path, cell: str, *, typed: bool = False) -> Future[dict[str, Any]]:
        self.calls.append(cell)
        self.typed.append(typed)
        return self.executor.submit(self._work, folder, cell, self.calls.count(cell))

    def is_gone(self, cell: str) -> bool:
        return cell in self.gone

    def dismiss(self, cell: str, why: str) -> bool:
        self.dismissed.append(cell)
        return self.others

    def spare(self, cell: str, cells: Collection[str]) -> bool:
        self.spared.append(cell)
        return self.others

    def can_take(self, cell: str) -> bool:
        return True

    def ask(self, folder: Path, cells: Collection[str], wish: Wish) -> None:
        self.asked.append(wish)

    def close(self) -> None:
        self.executor.shutdown()
        self.executor = ThreadPoolExecutor(self.slots)  # it may be hired again

    def _work(self, folder: Path, cell: str, call: int) -> dict[str, Any]:
        tries.began(folder, cell)
        code = self._script(cell, call)
        if isinstance(code, Exception):
            raise code
        if code == 0:
            finish(folder, cell)
        error = {1: "it diverged", 3: "it cannot be had", 77: "no data here", 78: "disk full"}.get(code, "")
        tries.ended(folder, cell, code, error)
        return {"run": cell, "code": code, "error": error}


def finish(folder: Path, cell: str) -> None:
    """Write what is left of a finished run."""
    run = folder / RUNS / cell
    run.mkdir(parents=True, exist_ok=True)
    (run / CONFIG).write_text("{}")
    (run / SUMMARY).write_text(json.dumps(SUMMED))


def sweep(folder: Path, crew: Scripted, **axes: Any) -> Conductor:
    """A sweep of three seeds, ready to be seen through."""
    grid = Grid({"preset": ["badnets"], "seed": [0, 1, 2], **axes})
    return Conductor(folder, extend(folder, expand(grid).index, grid.to_dict()), crew)


def seen_through(conductor: Conductor) -> list[Step]:
    """What happened, beginnings apart."""
    return [step for step in conductor.run() if step.what != "began"]
