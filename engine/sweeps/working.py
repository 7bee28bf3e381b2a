"""What a worker does with a cell, wherever it works: begin its run, or go on with it, and say how it ended.

Text goes in and plain values come out, so that any executor can carry it. Free of torch until a cell is begun.
"""

from __future__ import annotations

import contextlib
import shutil
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.control import Control, Stopped, Wish
from engine.errors import RecordError, RequestError, UnfitError
from engine.record.layout import SUMMARY
from engine.record.liveness import is_running
from engine.sweeps import tries
from engine.sweeps.layout import RUNS, SUSPECTS
from engine.sweeps.sameness import other_images

if TYPE_CHECKING:
    from engine.running.request import RunRequest

DONE, FAILED, WRONG, STOPPED = 0, 1, 2, 130
"""How a cell ends: the exit codes that the command would have."""
BUSY = 75
"""Another process is at work on its run: to be asked again later."""
FOREIGN = 76
"""This worker's images are others than those of the sweep's other cells: nothing was run, and nothing should be."""

_under_way: set[Control] = set()


def carry_out(text: str, folder: str, cell: str, *, shares: bool = True, typed: bool = False) -> dict[str, Any]:
    """Do what is left of a cell.

    Args:
        text: its complete configuration, in YAML.
        folder: the sweep's.
        cell: its id, which is its run's.
        shares: whether trained suspects are kept in the sweep's folder, for its other cells.
        typed: whether a person typed the network's file for this very sweep: only then is it executed.

    Returns:
        `run` (the cell's id), `code`, and `error`, which is empty where nothing went wrong.
    """
    root = Path(folder)
    run = root / RUNS / cell
    if (run / SUMMARY).is_file():
        return {"run": cell, "code": DONE, "error": ""}
    if is_running(run):
        return {"run": cell, "code": BUSY, "error": "another process is at work on it"}
    tries.began(root, cell)
    with _listening() as control:
        code, error = _carried_out(_Order(text, root, cell, shares, typed), control)
    tries.ended(root, cell, code, error)
    return {"run": cell, "code": code, "error": error}


def steer(wish: Wish) -> None:
    """Have whatever is under way in this process pause, go on, or end in a state that can be resumed."""
    for control in list(_under_way):
        getattr(control, wish)()


@dataclass(frozen=True)
class _Order:
    """What was asked for."""

    text: str
    root: Path
    cell: str
    shares: bool
    typed: bool

    @property
    def run(self) -> Path:
        return self.root / RUNS / self.cell

    def request(self) -> RunRequest:
        """The request of its run.

        Raises:
            RequestError: the configuration makes no sense here.
        """
        from engine.config.layers import read_yaml
        from engine.config.run import validate
        from engine.running.request import RunRequest

        return RunRequest(
            config=validate(read_yaml(self.text), f"cell {self.cell}"),
            out=self.root / RUNS,
            name=self.cell,
            resume=self.run if self.run.is_dir() else None,
            store=self.root / SUSPECTS if self.shares else None,
            typed_model=self.typed,
        )


@contextmanager
def _listening() -> Iterator[Control]:
    control = Control()
    _under_way.add(control)
    try:
        yield control
    finally:
        _under_way.discard(control)


def _carried_out(order: _Order, control: Control) -> tuple[int, str]:
    from engine.events import RunFailed, RunFinished, RunStarted
    from engine.running.pipeline import run

    code, error = STOPPED, ""
    try:
        with contextlib.closing(run(order.request(), control)) as events:
            for event in events:
                if isinstance(event, RunStarted):
                    error = other_images(order.root, event.config, event.dataset)
                    if error:
                        code = FOREIGN
                        break
                elif isinstance(event, RunFailed):
                    code, error = FAILED, event.message
                elif isinstance(event, RunFinished):
                    code = DONE
    except Stopped:
        pass
    except UnfitError as problem:
        return tries.UNFIT, str(problem)
    except RequestError as problem:
        return (BUSY if is_running(order.run) else WRONG), str(problem)
    except RecordError as problem:
        return FAILED, str(problem)
    except Exception as mistake:  # ours: it is set aside with its error, and the other cells go on
        return FAILED, f"{type(mistake).__name__}: {mistake} ({_place(mistake)})"
    if code == FOREIGN:  # whoever has the right images begins it anew
        shutil.rmtree(order.run, ignore_errors=True)
    return code, error


def _place(mistake: BaseException) -> str:
    frame = traceback.extract_tb(mistake.__traceback__)[-1]
    return f"{Path(frame.filename).name}, line {frame.lineno}"
