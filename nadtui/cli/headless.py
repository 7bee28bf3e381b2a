"""A run without the workbench: progress on standard error, results on standard output."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Protocol

from engine import events
from engine.errors import RequestError
from engine.record.summary import summarize
from engine.record.view import RunView, fold
from engine.storage.paths import runs_dir
from nadtui import diagnostics
from nadtui.cli import output
from nadtui.cli.exits import ExitCode

if TYPE_CHECKING:
    from engine.running.request import RunRequest
    from nadtui.runs.job import Job

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

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """First: stop at the next step. Again: leave at once; the record is sound at any moment."""
        if self.asked:
            diagnostics.leave_terminal()
            os._exit(ExitCode.INTERRUPTED)
        self.asked = True
        self._stop()

    def announce(self) -> None:
        """Say once what happens: not in the handler, which may have come in the middle of another line."""
        if self.asked and not self.announced:
            self.announced = True
            diagnostics.note("stopping after this step; Ctrl-C again leaves at once")


def run_request(request: RunRequest, *, json: bool) -> ExitCode:
    """Carry out a request in this process, its job in the background.

    Raises:
        RequestError: the request proved wrong before anything was recorded.
    """
    from engine.record.reading import read_events
    from engine.running.job import Job

    view = fold(read_events(request.resume).events) if request.resume is not None else RunView()
    return follow(Job(request), view, request.out, json=json)


def follow(job: Job, view: RunView, runs: Path, *, json: bool) -> ExitCode:
    """Start the job and see it through; `view` already holds what a resumed run had recorded.

    `runs` is the folder of run folders.
    With `json`, standard output gets one JSON document, the summary; else a table of the stages.

    Raises:
        RequestError: the job found the request wrong before it began its record.
    """
    recorded = False
    with _stoppable(job) as request, _display(view) as display:
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
        return _broken(job.error, recorded=recorded)
    if not recorded:
        diagnostics.note("stopped before anything was recorded")
        return ExitCode.INTERRUPTED
    return _conclude(view, runs / view.run, json=json)


@contextmanager
def _stoppable(job: Job) -> Iterator[StopRequest]:
    request = StopRequest(job.stop)
    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _display(view: RunView) -> Display:
    console = diagnostics.console()
    if not console.is_terminal or console.is_dumb_terminal:
        from nadtui.cli.plain_display import PlainDisplay

        return PlainDisplay(view)
    from nadtui.cli.live import LiveDisplay

    return LiveDisplay(view, keep=not sys.stdout.isatty())


def _broken(error: BaseException, *, recorded: bool) -> ExitCode:
    """The job ended outside its record: by a wrong request, a record that cannot be written, or a mistake of ours."""
    if isinstance(error, RequestError) and not recorded:
        raise error
    if isinstance(error, RequestError):
        diagnostics.error(f"the run cannot go on: {error}")
        return ExitCode.FAILED
    diagnostics.traceback("".join(traceback.format_exception(error)))
    diagnostics.error(f"nadtui itself failed ({type(error).__name__}: {error}); please report this")
    return ExitCode.FAILED


def _conclude(view: RunView, folder: Path, *, json: bool) -> ExitCode:
    if json:
        output.json_document(summarize(view))
    elif any(stage.metrics for stage in view.stages.values()):
        from nadtui.cli import tables
        from nadtui.runs.digest import missing

        summary = summarize(view)
        output.show(lambda width: tables.stages(summary, width))
        for said in missing(summary):
            output.line(said)
    return _outcome(view, folder)


def _outcome(view: RunView, folder: Path) -> ExitCode:
    """Say how the run ended, where its record is and what can be done next."""
    if view.failure is not None:
        diagnostics.error(f"the run failed in {view.failure.stage}: {view.failure.message}")
        diagnostics.note(f"record: {folder}")
        return ExitCode.FAILED
    diagnostics.note(f"record: {folder}")
    name = view.run if folder.parent == runs_dir() else folder
    if view.stopped is not None:
        diagnostics.note(f"stopped in {view.stopped.stage} after epoch {view.stopped.epoch}")
        diagnostics.note(f"to go on: nadtui run --resume {name} --headless")
        return ExitCode.INTERRUPTED
    diagnostics.note(f"next: nadtui show {name} · nadtui export {name} --format md")
    return ExitCode.DONE
