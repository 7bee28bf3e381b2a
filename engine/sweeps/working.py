"""What a worker does with a cell, wherever it works: begin its run, or go on with it, and say how it ended.

Text goes in and plain values come out, so that any executor can carry it. Free of torch until a cell is begun.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.control import Control, Stopped, Wish
from engine.errors import AbsentError, RecordError, RequestError, StageError, UnfitError
from engine.record.folder import RunFolder
from engine.record.layout import CONFIG, RECORD, SUMMARY
from engine.record.liveness import is_running
from engine.record.reading import read_events
from engine.record.summary import summarize
from engine.record.view import fold
from engine.sweeps import tries
from engine.sweeps.layout import RUNS, SUSPECTS
from engine.sweeps.results import summary_of
from engine.sweeps.sameness import other_images

if TYPE_CHECKING:
    from engine.events import RunStarted
    from engine.running.request import RunRequest

DONE, FAILED, WRONG, STOPPED = 0, 1, 2, 130
"""How a cell ends: the exit codes that the command would have."""
BUSY = 75
"""Another process is at work on its run: to be asked again later."""
FOREIGN = 76
"""This worker's images are others than those of the sweep's other cells: nothing was run, and nothing should be."""
ABSENT = 77
"""What the cell needs is not where this worker is, or may not be used by it: nothing was run, another worker may."""
FULL = 78
"""Nothing can be written any more where this worker is: it can go on with no cell, and every one can be resumed."""

_UNWRITABLE = [os.strerror(each) for each in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)]
"""What a system says of a disk on which nothing can be written, whatever it is."""

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
    if is_running(run) and not (run / SUMMARY).is_file():
        return {"run": cell, "code": BUSY, "error": "another process is at work on it"}
    try:
        found = _found(run)
        if found is not None:
            code, error = found
            if code == FAILED:
                tries.ended(root, cell, code, error)
            return {"run": cell, "code": code, "error": error}
        tries.began(root, cell)
        with _listening() as control:
            code, error = _carried_out(_Order(text, root, cell, shares, typed), control)
        tries.ended(root, cell, code, error)
    except (RequestError, StageError, OSError) as problem:  # not the cell's: the sweep's folder cannot be written
        code, error = FULL, str(problem)
    return {"run": cell, "code": code, "error": error}


def _found(run: Path) -> tuple[int, str] | None:
    """How a cell has ended whose run has a summary; None where it has none. A damaged one is made anew by the record.

    Raises:
        StageError, OSError: it cannot be written.
    """
    try:
        return None if summary_of(run) is None else (DONE, "")
    except RequestError as problem:
        if isinstance(problem.__cause__, OSError):  # it may be readable at another time, or elsewhere
            return ABSENT, str(problem)
        said = str(problem)
    log = read_events(run)
    view = fold(log.events)
    if log.damaged or not log.events:
        return FAILED, f"{said}; nor can all of its record"
    if view.finished is None:
        (run / SUMMARY).unlink(missing_ok=True)
        return None
    RunFolder(run).write_summary(summarize(view))
    return DONE, ""


def is_unwritable(error: str) -> bool:
    """Whether what was said is that a disk takes nothing any more, whatever was to be written."""
    return any(said in error for said in _UNWRITABLE)


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

        if not any((self.run / name).is_file() for name in (CONFIG, RECORD)):  # a folder that is no run's, or none
            shutil.rmtree(self.run, ignore_errors=True)
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
    """How the cell ends, and what is to be said of it; what is no fault of its own is told apart."""
    code, error = _run(order, control)
    if code in (FAILED, WRONG) and is_unwritable(error):
        code = FULL
    if code == FOREIGN:  # whoever has the right images begins it anew
        shutil.rmtree(order.run, ignore_errors=True)
    return code, error


def _run(order: _Order, control: Control) -> tuple[int, str]:
    from engine.events import RunFailed, RunFinished, RunStarted
    from engine.running.pipeline import run

    code, error = STOPPED, ""
    try:
        with contextlib.closing(run(order.request(), control)) as events:
            for event in events:
                if isinstance(event, RunStarted):
                    code, error = _compared(order.root, event)
                    if code != STOPPED:
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
        return (BUSY if is_running(order.run) else ABSENT if _is_absent(problem) else WRONG), str(problem)
    except RecordError as problem:
        return FAILED, str(problem)
    except Exception as mistake:  # ours: it is set aside with its error, and the other cells go on
        return FAILED, f"{type(mistake).__name__}: {mistake} ({_place(mistake)})"
    return code, error


def _compared(root: Path, begun: RunStarted) -> tuple[int, str]:
    """How a cell ends whose images cannot be those of the sweep's others; as if it was stopped where they are."""
    try:
        error = other_images(root, begun.config, begun.dataset)
    except RequestError as problem:
        return FULL, str(problem)
    return (FOREIGN if error else STOPPED), error


def _is_absent(problem: BaseException | None) -> bool:
    """Whether that, or what it came of, is no fault of the request's."""
    return problem is not None and (isinstance(problem, AbsentError) or _is_absent(problem.__cause__))


def _place(mistake: BaseException) -> str:
    frame = traceback.extract_tb(mistake.__traceback__)[-1]
    return f"{Path(frame.filename).name}, line {frame.lineno}"
