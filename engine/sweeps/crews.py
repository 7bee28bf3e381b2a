"""Who carries cells out, each behind `concurrent.futures.Executor`: this process, processes of this machine, or Dask.

Whatever the executor, the call is the same, `working.carry_out` with text, a folder and an id, and so is what a dead
worker looks like: a future that ends with one of the crew's `deaths`. Free of torch.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, Protocol

from engine.control import Wish
from engine.errors import RequestError
from engine.running import mailbox
from engine.running.processor_queue import SHARES
from engine.sweeps import working
from engine.sweeps.layout import RUNS

HANG_UP = {getattr(signal, name) for name in ("SIGHUP",) if hasattr(signal, name)}
MEANT_FOR_ALL = {signal.SIGINT, signal.SIGTERM, *HANG_UP}
"""Signals that a terminal or a batch system sends to a whole group of processes."""


class Crew(Protocol):
    """Workers, as those know them who hand out cells."""

    executor: Executor
    threads: int | None
    """Processor threads of each of its cells, where nobody says; None = all."""
    deaths: tuple[type[BaseException], ...]
    """What a future ends with whose worker died."""
    shares: bool
    """Whether its workers see this machine's folders, trained suspects among them."""

    @property
    def slots(self) -> int:
        """Cells that it takes at a time, as things stand."""

    def check(self, texts: Sequence[str], folder: Path) -> None:
        """Refuse, before anything is run, workers that would come to other results with these configurations.

        Raises:
            RequestError: one line with the worker and what is other there.
        """

    def submit(self, text: str, folder: Path, cell: str, *, typed: bool = False) -> Future[dict[str, Any]]:
        """Begin with a cell, or go on with it; `typed`: a person typed its network's file for this very sweep."""

    def is_gone(self, cell: str) -> bool:
        """Whether the worker that had this cell, and ended with one of `LOST`, is known to be there no more."""

    def dismiss(self, cell: str, why: str) -> bool:
        """Have the worker that had this cell last do no more, where others can be had; whether they can."""

    def spare(self, cell: str, cells: Collection[str]) -> bool:
        """Have the worker that had this cell last get none of `cells` any more; whether there are others for them."""

    def can_take(self, cell: str) -> bool:
        """Whether a worker that has nothing to do may get this cell."""

    def ask(self, folder: Path, cells: Collection[str], wish: Wish) -> None:
        """Ask those who are at work on these cells to pause, to go on, or to stop at the next step."""

    def close(self) -> None:
        """Let the workers go; what is under way has ended or been given up."""


class _OfThisMachine:
    """Workers with one program, one disk and the same devices: what one of them lacks all lack, and none is ever gone
    without a word."""

    executor: Executor
    shares = True

    def check(self, texts: Sequence[str], folder: Path) -> None:
        """They are what asks."""

    def submit(self, text: str, folder: Path, cell: str, *, typed: bool = False) -> Future[dict[str, Any]]:
        """Begin with a cell where there is nothing to do."""
        return self.executor.submit(working.carry_out, text, str(folder), cell, typed=typed)

    def is_gone(self, cell: str) -> bool:
        """One that dies is told of by its future."""
        return False

    def dismiss(self, cell: str, why: str) -> bool:
        """There is no better one."""
        return False

    def spare(self, cell: str, cells: Collection[str]) -> bool:
        """There is no better one."""
        return False

    def can_take(self, cell: str) -> bool:
        """Any of them can."""
        return True

    def close(self) -> None:
        """Wait for the end of what was asked to stop, and send the workers home."""
        self.executor.shutdown()


class Here(_OfThisMachine):
    """This process, one cell after the other, in a thread beside the one that hands out."""

    deaths: tuple[type[BaseException], ...] = ()
    slots = 1

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads
        self.executor = ThreadPoolExecutor(1, thread_name_prefix="nadtui-job")

    def ask(self, folder: Path, cells: Collection[str], wish: Wish) -> None:
        """At once: the runs are of this process."""
        working.steer(wish)


class Processes(_OfThisMachine):
    """Worker processes of this machine, which live on from cell to cell; one that dies is replaced."""

    deaths: tuple[type[BaseException], ...] = (BrokenProcessPool,)
    threads: int | None = 1

    def __init__(self, count: int, *, gpus: Sequence[str] = (), per_gpu: int = 1) -> None:
        """`gpus`: names for CUDA_VISIBLE_DEVICES, dealt out in turn; `per_gpu`: cells that share one of them."""
        shares = {SHARES: str(per_gpu)}
        seen = [{"CUDA_VISIBLE_DEVICES": gpus[n % len(gpus)], **shares} if gpus else {} for n in range(count)]
        self.executor = _Pools(seen)
        self.slots = count

    def ask(self, folder: Path, cells: Collection[str], wish: Wish) -> None:
        """By a word in the runs' folders."""
        leave_word(folder, cells, wish)


class _Pools(Executor):
    """Pools of one process each: of a larger pool all processes end when one of them dies."""

    def __init__(self, environments: Sequence[Mapping[str, str]]) -> None:
        self._environments = environments
        self._pools: list[ProcessPoolExecutor | None] = [None] * len(environments)
        self._busy: list[Future[Any] | None] = [None] * len(environments)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a process without work do it; there must be one."""
        place = next(place for place, future in enumerate(self._busy) if future is None or future.done())
        future = self._submitted(place, fn, *args, **kwargs)
        self._busy[place] = future
        return future

    def _submitted(self, place: int, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
        pool, last = self._pools[place], self._busy[place]
        if pool is not None and not _has_failed(last):
            with suppress(BrokenProcessPool):  # its process has died since
                return pool.submit(fn, *args, **kwargs)
        if pool is not None:
            pool.shutdown(wait=False)
        with _signals_held_back():
            return self._begun(place).submit(fn, *args, **kwargs)

    def _begun(self, place: int) -> ProcessPoolExecutor:
        """A pool; its process begins with the first call."""
        context = multiprocessing.get_context("spawn")  # of a forked process's threads, torch's too, only one goes on
        pool = ProcessPoolExecutor(
            1, mp_context=context, initializer=_begin_worker, initargs=(dict(self._environments[place]),)
        )
        self._pools[place] = pool
        return pool

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes."""
        for pool in self._pools:
            if pool is not None:
                pool.shutdown(wait=wait, cancel_futures=cancel_futures)


def _has_failed(call: Future[Any] | None) -> bool:
    """Whether a cell failed in a process: what broke may be the process's, as all of CUDA is after some errors."""
    if call is None or call.cancelled() or call.exception() is not None:
        return False
    told = call.result()
    return isinstance(told, dict) and told["code"] == working.FAILED


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """A process that is made meanwhile hears of a signal to all of them once it knows what to make of it, not before:
    it would end. Windows has no such signals."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # else it would be begun meanwhile, and let the signals through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, MEANT_FOR_ALL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker(environment: dict[str, str]) -> None:
    """In a worker: what is its own, before torch is loaded. What a terminal wants is told to the process that hands
    out."""
    os.environ.update(environment)
    os.dup2(2, 1)  # what a package prints is no result
    for number in (signal.SIGINT, *HANG_UP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: working.steer("stop"))
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, MEANT_FOR_ALL)
    threading.Thread(target=_end_with_parent, name="nadtui-orphan", daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent is gone ends at once: nobody would hear of its cell, and somebody may go on with it."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(working.STOPPED)


def leave_word(folder: Path, cells: Collection[str], wish: Wish) -> None:
    """Ask by a word in the runs' folders, where they are there yet."""
    for cell in cells:
        run = folder / RUNS / cell
        if run.is_dir():
            with suppress(RequestError):  # where no word can be left, others must still hear it
                mailbox.ask(run, wish)


def visible_gpus() -> list[str]:
    """The CUDA devices of this machine, as CUDA_VISIBLE_DEVICES names them; asked without loading torch."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip() and name.strip() != "-1"]
    return [str(number) for number in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]


class LostError(Exception):
    """A call that came to an end here, and nobody knows how it ended where it was made."""


LOST = (CancelledError, LostError)
"""What a future ends with of which nobody knows what became: to be looked at again, at no cost."""


def check_workers(count: int) -> None:
    """Refuse a number of workers that makes no sense.

    Raises:
        RequestError: below 1, or beyond what one machine can hold.
    """
    if not 1 <= count <= 1024:
        raise RequestError(f"--workers {count}: 1 to 1024 are wanted")
