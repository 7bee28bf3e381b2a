"""A crew whose workers are a Dask scheduler's, on whatever machines they are.

Each cell is given to one worker that has nothing to do; Dask neither moves it nor tries it again by itself, so that a
death is seen here and the cell goes on where its folder says. Needs the extra `nadtui[cluster]`.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from engine.control import Wish
from engine.errors import RequestError
from engine.registry import warn
from engine.sweeps import tries, working
from engine.sweeps.away import carry_out_away, pack, unpack
from engine.sweeps.crews import LostError, leave_word
from engine.sweeps.layout import RUNS
from engine.sweeps.sameness import difference, identity

ANSWER_S = 10.0
"""How long the scheduler has to hand over a result, and to say good-bye."""
LOOK_S = 1.0
"""Seconds between two looks at which workers there are."""


class _OnWorkers(Executor):
    """A client as an executor. Dask's own leaves a call open for ever whose result cannot be fetched."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a worker do it; ends with LostError where it cannot be told what became of it."""
        call = self._client.submit(fn, *args, pure=False, retries=0, **kwargs)
        told: Future[Any] = Future()

        def ended(_: object) -> None:
            if not told.set_running_or_notify_cancel():
                return
            try:
                told.set_result(call.result(timeout=ANSWER_S))
            except BaseException as error:  # whatever it is, whoever waits must hear of it
                of_worker = call.status == "error" and type(error).__name__ != "KilledWorker"
                told.set_exception(error if of_worker else LostError(str(error)))

        told.add_done_callback(lambda _: told.cancelled() and call.cancel())
        call.add_done_callback(ended)
        return told


class DaskCrew:
    """Workers of one thread, each with a cell at a time."""

    deaths: tuple[type[BaseException], ...] = ()
    threads: int | None = 1

    def __init__(
        self, connect: Callable[[], Any], cluster: Any = None, renew: Callable[[], object] | None = None
    ) -> None:
        """`connect` makes a client, and another where that has given its scheduler up; `renew` sees to it that the
        cluster, which is closed in the end, has its workers.

        Raises:
            RequestError: the scheduler does not answer.
        """
        self._connect = connect
        self._cluster = cluster
        self._renew = renew
        self._join(connect())
        self._texts: Sequence[str] = ()
        self._ours: dict[str, Any] = {}
        self._folder: Path | None = None
        self._sees: dict[str, bool] = {}
        """Of each worker that may be used, by its address: whether it sees the sweep's folder."""
        self._refused: set[str] = set()
        self._lacking: dict[str, set[str]] = {}
        """Of each worker: cells for which it lacks something."""
        self._shared = True
        self._busy: dict[str, tuple[str, Future[dict[str, Any]]]] = {}
        """By cell: who has it."""
        self._last: dict[str, str] = {}
        """By cell: who had it last."""
        self._looked = 0.0

    def _join(self, client: Any) -> None:
        self._client = client
        self.executor: Executor = _OnWorkers(client)

    @property
    def shares(self) -> bool:
        """Whether all workers see the sweep's folder; while there is none, whether those that there were did."""
        if self._sees:
            self._shared = all(self._sees.values())
        return self._shared

    @property
    def slots(self) -> int:
        """Workers that there are, and may be used."""
        self._look()
        return len(self._sees)

    def check(self, texts: Sequence[str], folder: Path) -> None:
        """Refuse workers that are there and would come to other results.

        Raises:
            RequestError: one line with the worker and what is other there.
        """
        self._texts, self._folder = texts, folder
        self._ours = identity(texts)
        if self._ours["error"]:
            raise RequestError(self._ours["error"])
        there = self._there()
        if not there:
            warn("the scheduler has no workers yet: the sweep waits for them")
        for address, threads in there.items():
            problem = self._met(address, threads)
            if problem:
                raise RequestError(f"worker {address}: {problem}")

    def submit(self, text: str, folder: Path, cell: str, *, typed: bool = False) -> Future[dict[str, Any]]:
        """Give a cell to a worker that has nothing to do; lost at once where all have gone since they were counted."""
        address = next(self._free_for(cell), next(iter(self._sees), None))
        if address is None:
            nobody: Future[dict[str, Any]] = Future()
            nobody.set_exception(LostError("no worker is there"))
            return nobody
        if self._sees[address]:
            future = self.executor.submit(_on_worker, text, str(folder.absolute()), cell, typed, workers=[address])
        else:
            future = self._sent(text, folder, cell, address, typed)
        self._busy[cell], self._last[cell] = (address, future), address
        future.add_done_callback(lambda _: self._busy.pop(cell, None))
        return future

    def _free_for(self, cell: str) -> Iterator[str]:
        taken = {address for address, _ in self._busy.values()}
        return (each for each in self._sees if each not in taken and cell not in self._lacking.get(each, ()))

    def can_take(self, cell: str) -> bool:
        """Whether a worker that has nothing to do lacks nothing for it, as far as is known."""
        return next(self._free_for(cell), None) is not None

    def spare(self, cell: str, cells: Collection[str]) -> bool:
        """Give none of `cells` any more to the worker that had this one; whether there are others for them."""
        self._lacking.setdefault(self._last[cell], set()).update(cells)
        return any(cell not in self._lacking.get(each, ()) for each in self._sees)

    def _sent(self, text: str, folder: Path, cell: str, address: str, typed: bool) -> Future[dict[str, Any]]:
        """The call on a worker that sees nothing of ours, and what is done with what it sends back."""
        run = folder / RUNS / cell
        tries.began(folder, cell)
        call = self.executor.submit(
            _away_on_worker, text, cell, pack(run) if run.is_dir() else None, typed, workers=[address]
        )
        told: Future[dict[str, Any]] = Future()

        def received(_: object) -> None:
            if not told.set_running_or_notify_cancel():
                return
            try:
                values = call.result()
                packed = values.pop("packed")
                if packed is not None:
                    _put(packed, folder)
                tries.ended(folder, cell, values["code"], values["error"])
            except BaseException as error:  # whatever it is, whoever waits must hear of it
                told.set_exception(error)
            else:
                told.set_result(values)

        told.add_done_callback(lambda _: told.cancelled() and call.cancel())
        call.add_done_callback(received)
        return told

    def is_gone(self, cell: str) -> bool:
        """Whether the scheduler, if it answers, knows its worker no more."""
        there = self._asked_there()
        return there is not None and cell in self._last and self._last[cell] not in there

    def dismiss(self, cell: str, why: str) -> bool:
        """Leave its worker out as long as it is there: others have what it lacks, or may come."""
        address = self._last[cell]
        self._sees.pop(address, None)
        self._refused.add(address)
        others = "" if self._sees else "; the sweep waits for another"
        warn(f"worker {address} is left out: {why}{others}")
        return True

    def ask(self, folder: Path, cells: Collection[str], wish: Wish) -> None:
        """By a word in the runs' folders, and a call where those are not seen."""
        self._look()
        leave_word(folder, cells, wish)
        away = [address for address, _ in self._busy.values() if not self._sees.get(address, True)]
        if away:
            with contextlib.suppress(Exception):  # a worker that is gone cannot be asked
                self._client.run(working.steer, wish, workers=away, on_error="ignore")

    def close(self) -> None:
        """Leave the scheduler, and end the jobs that were started for this."""
        with contextlib.suppress(Exception):
            self._client.close(timeout=ANSWER_S)
        if self._cluster is not None:
            self._cluster.close()

    def _look(self) -> None:
        """Who is there by now; cells of those who are gone are given up, here."""
        if time.monotonic() - self._looked < LOOK_S:
            return
        self._looked = time.monotonic()
        if self._renew is not None:
            try:
                self._renew()
            except (OSError, RuntimeError) as error:  # the batch system's: it may take some at the next look
                warn(f"no job can be handed in: {' '.join(str(error).split())[:200]}")
        there = self._there()
        for address, threads in there.items():
            if address not in self._sees and address not in self._refused:
                problem = self._met(address, threads)
                if problem:
                    self._refused.add(address)
                    warn(f"worker {address} is left out: {problem}")
        self._sees = {address: sees for address, sees in self._sees.items() if address in there}
        self._refused &= set(there)  # one that comes back may be another by then
        self._lacking = {address: cells for address, cells in self._lacking.items() if address in there}
        for address, future in list(self._busy.values()):
            if address not in there:
                future.cancel()

    def _there(self) -> dict[str, int]:
        """The workers' addresses and threads; none while the scheduler cannot be reached."""
        there = self._asked_there()
        if there is None:
            warn("the scheduler cannot be reached; its workers' cells are taken up again once it can")
        return there or {}

    def _asked_there(self) -> dict[str, int] | None:
        """The same; None while the scheduler cannot be reached."""
        try:
            if self._client.status == "closed":
                self._join(self._connect())
            return dict(self._client.nthreads())
        except Exception:  # it may be back at the next look
            return None

    def _met(self, address: str, threads: int) -> str:
        """Take a worker in, or say why not."""
        if threads != 1:
            return f"it has {threads} threads; one each is wanted (dask worker --nthreads 1)"
        with self._token() as token:
            try:
                theirs = _asked(self._client, address, list(self._texts), token)
            except Exception as error:
                return f"it cannot be asked ({' '.join(str(error).split())[:80]})"
        problem = difference(self._ours, theirs)
        if not problem:
            self._sees[address] = theirs["sees"]
        return problem

    @contextlib.contextmanager
    def _token(self) -> Iterator[str]:
        """A file in the sweep's folder, by which a worker can tell that it sees the same one."""
        assert self._folder is not None
        token = self._folder / f".seen-{secrets.token_hex(8)}"
        token.touch()
        try:
            yield str(token.absolute())
        finally:
            token.unlink(missing_ok=True)


def _put(packed: bytes, folder: Path) -> None:
    """Put what came back where it belongs.

    Raises:
        RequestError: it cannot be written.
    """
    try:
        unpack(packed, folder / RUNS)
    except OSError as error:
        raise RequestError(f"{folder / RUNS}: cannot be written: {error.strerror or error}") from error


def _asked(client: Any, address: str, texts: list[str], token: str) -> dict[str, Any]:
    """What one worker has, by its own account; asked beside whatever it is at work on."""
    client.run(_never_pausing, workers=[address])
    return client.run(identity, texts, token, workers=[address])[address]


def _never_pausing(dask_worker: Any) -> None:
    """Have a worker begin what it is given however much memory it uses.

    Dask has one pause at 80 % of its share, which would wait for ever: what a cell needs is no result that could be
    put elsewhere. The share is of the machine's or the job's memory, torch alone takes most of a gigabyte.
    """
    from distributed.core import Status

    manager = dask_worker.memory_manager
    manager.memory_target_fraction = manager.memory_spill_fraction = manager.memory_pause_fraction = False
    if dask_worker.status == Status.paused:
        dask_worker.status = Status.running


def _on_worker(text: str, folder: str, cell: str, typed: bool) -> dict[str, Any]:
    with _ending_with_worker():
        return working.carry_out(text, folder, cell, typed=typed)


def _away_on_worker(text: str, cell: str, begun: bytes | None, typed: bool) -> dict[str, Any]:
    with _ending_with_worker():
        return carry_out_away(text, cell, begun, typed=typed)


@contextlib.contextmanager
def _ending_with_worker() -> Iterator[None]:
    """A worker that is being closed (its job's time is up, its scheduler is gone) stops its cell, to be resumed."""
    from distributed import get_worker

    worker, over = get_worker(), threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            if worker.status.name not in ("running", "paused", "init"):
                working.steer("stop")
                return

    threading.Thread(target=watch, name="nadtui-dask", daemon=True).start()
    try:
        yield
    finally:
        over.set()
