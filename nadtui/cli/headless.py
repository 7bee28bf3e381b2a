"""A run without the workbench: progress on standard error, results on standard output."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Protocol

from engine import events
from engine.errors import RecordError, RequestError
from engine.record.summary import summarize
from engine.record.view import RunView, fold
from nadtui import diagnostics
from nadtui.cli import output
from nadtui.cli.exits import ExitCode
from nadtui.runs import narrate, side_by_side
from nadtui.runs.naming import typed
from nadtui.runs.wishes import Wish

if TYPE_CHECKING:
    from engine.running.request import RunRequest
    from nadtui.runs.job import Job

HANG_UP = getattr(signal, "SIGHUP", None)
"""The terminal is gone; None on systems that have no such signal."""
POLL = 0.25
"""Seconds within which a signal is answered and the picture moves, however quiet the job is."""


class Display(Protocol):
    """Something that shows a run on standard error while it goes on."""

    def __enter__(self) -> Display: ...

    def __exit__(self, *error: object) -> None: ...

    def tell(self, event: events.Event) -> None:
        """Show an event that the view has taken in."""

    def refresh(self) -> None:
        """Show that time goes by."""


class StopRequest:
    """What the signals of a person or a system that wants the run to end have asked for so far."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self.asked = False
        self.announced = False
        self._wish = Wish()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """First: stop at the next step. Again, and later: leave at once; the record is sound at any moment.

        A terminal that goes away may say so several times: that is no impatience.
        """
        impatient = self._wish.renewed() and number != HANG_UP
        if not self.asked:
            self.asked = True
            self._stop()
        elif impatient:
            diagnostics.leave_terminal()
            os._exit(ExitCode.INTERRUPTED)

    def announce(self) -> None:
        """Say once what happens: not in the handler, which may have come in the middle of another line."""
        if self.asked and not self.announced:
            self.announced = True
            diagnostics.note("stopping after this step, where it can go on; Ctrl-C again leaves at once")


def run_request(request: RunRequest, *, json: bool, sort: str = side_by_side.AS_RUN) -> ExitCode:
    """Carry out a request in this process, its job in the background.

    Raises:
        RequestError: the request proved wrong before anything was recorded.
    """
    from engine.record.reading import read_events
    from engine.running.job import Job

    view = fold(read_events(request.resume).events) if request.resume is not None else RunView()
    return follow(Job(request), view, request.out, json=json, sort=sort)


def follow(job: Job, view: RunView, runs: Path, *, json: bool, sort: str = side_by_side.AS_RUN) -> ExitCode:
    """Start the job and see it through; `view` already holds what a resumed run had recorded.

    `runs` is the folder of run folders.
    With `json`, standard output gets one JSON document, the summary; else a table of the stages, and one of the
    defenses where there are several, in the order `sort`.

    Raises:
        RequestError: the job found the request wrong before it began its record.
    """
    recorded = False
    with stoppable(job.stop) as request, _display(view) as display:
        job.start()
        for event in job.events(timeout=POLL):
            request.announce()
            if event is None:
                display.refresh()
            else:
                recorded = recorded or event.seq > 0
                view.apply(event)
                display.tell(event)
    if job.error is not None:
        return _broken(job.error, runs / view.run if recorded else None)
    if not recorded:
        diagnostics.note("stopped before anything was recorded")
        return ExitCode.INTERRUPTED
    return _conclude(view, runs / view.run, json=json, sort=sort)


@contextmanager
def stoppable(stop: Callable[[], None]) -> Iterator[StopRequest]:
    """Have `stop` called, within the block, when a person or a system wants this process to end."""
    request = StopRequest(stop)
    numbers = [signal.SIGINT, signal.SIGTERM]
    if HANG_UP is not None and signal.getsignal(HANG_UP) is not signal.SIG_IGN:  # as nohup has it
        numbers.append(HANG_UP)
    before = {number: signal.signal(number, request) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _display(view: RunView) -> Display:
    if not diagnostics.on_terminal():
        from nadtui.cli.plain_display import PlainDisplay

        return PlainDisplay(view)
    from nadtui.cli.live import LiveDisplay

    return LiveDisplay(view, keep=not output.on_terminal())


def _broken(error: BaseException, folder: Path | None) -> ExitCode:
    """The job ended outside its record: by a wrong request, a record that cannot be written, or a mistake of ours.

    `folder` is the run's, None where nothing was recorded.
    """
    if isinstance(error, RequestError) and folder is None:
        raise error
    if isinstance(error, RequestError | RecordError):
        diagnostics.error(f"the run cannot go on: {error}")
        if folder is not None and folder.is_dir():
            diagnostics.note(f"record: {folder}")
            diagnostics.note(f"to go on: nadtui run --resume {typed(folder)} --headless")
        return ExitCode.FAILED
    diagnostics.traceback("".join(traceback.format_exception(error)))
    diagnostics.error(f"nadtui itself failed ({type(error).__name__}: {error}); please report this")
    return ExitCode.FAILED


def _conclude(view: RunView, folder: Path, *, json: bool, sort: str) -> ExitCode:
    """Show the figures and say how the run ended: its exit code is the run's, whoever can still read the figures."""
    try:
        _show_figures(view, json=json, sort=sort)
    except output.ReaderGoneError:
        pass
    except output.UnwritableError as error:
        diagnostics.error(f"{error}; the figures are in the record")
    return _outcome(view, folder)


def _show_figures(view: RunView, *, json: bool, sort: str) -> None:
    summary = summarize(view)
    if json:
        output.json_document(summary)
    elif summary["stages"]:
        from nadtui.cli import tables
        from nadtui.runs.digest import missing

        output.show(lambda width: tables.stages(summary, width))
        for said in missing(summary):
            output.line(said)
        side = tables.defenses(summary, sort)
        if side is not None:
            output.line()
            output.show(lambda width: side)


def _outcome(view: RunView, folder: Path) -> ExitCode:
    """Say how the run ended, where its record is and what can be done next."""
    if view.failure is not None:
        diagnostics.error(f"the run failed in {view.failure.stage}: {view.failure.message}")
        diagnostics.note(f"record: {folder}")
        return ExitCode.FAILED
    diagnostics.note(f"record: {folder}")
    name = typed(folder)
    if view.stopped is not None:
        diagnostics.note(f"stopped in {narrate.place(view.stopped, view)}")
        diagnostics.note(f"to go on: nadtui run --resume {name} --headless")
        return ExitCode.INTERRUPTED
    diagnostics.note(f"next: nadtui show {name} · nadtui export {name} --format md")
    return ExitCode.DONE
