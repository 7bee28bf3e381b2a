"""What a person does to runs from the workbench: pause, stop, go on, extend, leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from engine import models
from engine.errors import RequestError
from engine.record.layout import CONFIG
from engine.record.stage_view import StageView
from engine.record.state import RunState
from engine.storage.paths import write_atomically
from nadtui import formatting
from nadtui.runs import detached, extending
from nadtui.runs.hosting import Host, JobHost
from nadtui.runs.naming import typed
from nadtui.runs.request import resume_request
from nadtui.runs.watching import Watcher
from nadtui.workbench.dialogs import Ask, Choose, Confirm, Leave, whole_number

if TYPE_CHECKING:
    from textual.screen import Screen

    from engine.running.request import RunRequest

MOST_EPOCHS = 1_000
"""Epochs by which a stage is extended at once."""


class Owner(Protocol):
    """What steering needs of the app that owns the runs."""

    screen: Screen
    detached: list[detached.Detached]
    parting: list[str]

    def live_jobs(self) -> list[JobHost]:
        """The runs that this process is carrying out."""

    def launch(self, request: RunRequest) -> JobHost:
        """Carry out a request in the background."""

    def open_run(self, run: RunRequest) -> None:
        """Carry out a request, with its screen in front."""

    def replace_host(self, old: Host, new: JobHost) -> None:
        """Show `new` wherever `old` was shown."""

    def push_screen(self, screen: Screen, callback: Callable[..., None]) -> object:
        """Ask; the callback gets the answer."""

    def notify(self, message: str, *, title: str = "", severity: str = "information", timeout: float = 5) -> None:
        """Say something in passing."""

    def exit(self) -> None:
        """Close the workbench."""


class Steering:
    """Acts on hosts for the workbench; what must wait for a run's end is kept until then."""

    def __init__(self, app: Owner) -> None:
        self._app = app
        self._after: list[tuple[JobHost, Callable[[], None]]] = []
        self._leaving: list[JobHost] | None = None
        self._detach = False

    @property
    def leaving(self) -> bool:
        """Whether the workbench closes as soon as its runs have stopped."""
        return self._leaving is not None

    def pump(self) -> None:
        """Do what has waited for a run's end."""
        due = [(host, action) for host, action in self._after if not host.live]
        self._after = [(host, action) for host, action in self._after if host.live]
        for _, action in due:
            action()
        if self._leaving is not None and not any(host.live for host in self._leaving):
            self._leave(self._leaving)

    # --- one run ---

    def pause(self, host: Host) -> None:
        """Pause the run, or let it go on."""
        if isinstance(host, Watcher):
            wish = "resume" if host.state in (RunState.PAUSING, RunState.PAUSED) else "pause"
            self._app.notify(formatting.clean(host.ask(wish)))
        elif isinstance(host, JobHost):
            host.resume() if host.paused else host.pause()

    def ask_to_stop(self, host: Host) -> None:
        """Stop the run after asking."""
        question = Confirm(
            f"Stop {host.title}?",
            "It is saved at the step where it is, and goes on from there with R: nothing is done twice.",
            yes="Stop",
            no="Keep it going",
        )
        self._app.push_screen(question, partial(self._stop_if, host))

    def _stop_if(self, host: Host, sure: bool | None) -> None:
        if not sure:
            return
        if isinstance(host, JobHost):
            host.stop()
        elif isinstance(host, Watcher):
            self._app.notify(formatting.clean(host.ask("stop")))

    def go_on(self, host: Host) -> None:
        """Go on with a run that has stopped, in this workbench."""
        try:
            request = self._request_of(host)
        except RequestError as error:
            self._app.notify(formatting.clean(error), title="cannot go on", severity="error")
            return
        self._start_again(host, request)

    def _request_of(self, host: Host) -> RunRequest:
        if host.folder is None:
            raise RequestError("the run has recorded nothing: start it anew")
        if isinstance(host, JobHost):
            return replace(host.request, resume=host.folder)
        return resume_request(host.folder)

    def _start_again(self, host: Host, request: RunRequest) -> None:
        self._app.replace_host(host, self._app.launch(request))

    def ask_to_extend(self, host: Host) -> None:
        """Ask which stage is to be extended, of those that have a number of epochs, and by how many."""
        try:
            known = extending.stages(self._request_of(host))
            stages = [stage.name for stage in extendable(host) if stage.name in known]
            if not stages:
                raise RequestError("no stage of this run has a number of epochs of its own")
        except RequestError as error:
            self._app.notify(formatting.clean(error), title="cannot extend", severity="error")
            return
        if len(stages) == 1:
            self._ask_epochs(host, stages[0])
        else:
            choices = [(name, f"{name} (done: in a new run)" if _done(host, name) else name) for name in stages]
            self._app.push_screen(Choose("Extend which stage?", choices), partial(self._ask_epochs, host))

    def _ask_epochs(self, host: Host, stage: str | None) -> None:
        if stage is None:
            return
        if _done(host, stage):
            note = (
                f"{stage} is done, and its record stays as it is: a new run trains it for that many epochs more, from "
                "the start, and the other stages as before; an attack already trained comes from the cache."
            )
        else:
            note = (
                "The run is saved at the step where it is, and goes on from there; the learning rate then follows its "
                "schedule over the new number of epochs."
            )
        check = whole_number(1, MOST_EPOCHS)
        question = Ask(f"Extend {stage} by how many epochs?", "5", note=note, check=check)
        self._app.push_screen(question, partial(self._extend, host, stage))

    def _extend(self, host: Host, stage: str, epochs: str | None) -> None:
        if epochs is None:
            return
        if _done(host, stage):
            self._extend_anew(host, stage, int(epochs))
            return
        action = partial(self._extend_now, host, stage, int(epochs))
        if isinstance(host, JobHost) and host.live:
            host.stop()
            self._after.append((host, action))
        else:
            action()

    def _extend_now(self, host: Host, stage: str, more: int) -> None:
        try:
            if _done(host, stage):
                raise RequestError(f"{stage} was done before the run stopped: R goes on with what is left")
            request, wanted = self._lengthened(host, stage, more)
            assert request.resume is not None
            content = request.config.to_yaml().encode()
            write_atomically(request.resume / CONFIG, content, within=request.resume)
        except RequestError as error:
            self._app.notify(formatting.clean(error), title="cannot extend", severity="error")
            return
        self._start_again(host, request)
        self._app.notify(f"{stage} now has {formatting.plural(wanted, 'epoch')}")

    def _extend_anew(self, host: Host, stage: str, more: int) -> None:
        try:
            request, wanted = self._lengthened(host, stage, more)
        except RequestError as error:
            self._app.notify(formatting.clean(error), title="cannot extend", severity="error")
            return
        self._app.open_run(replace(request, resume=None))
        self._app.notify(f"a new run: {stage} with {formatting.plural(wanted, 'epoch')}")

    def _lengthened(self, host: Host, stage: str, more: int) -> tuple[RunRequest, int]:
        """The run's request with so many epochs more for the stage, and how many it then has."""
        request = self._request_of(host)
        wanted = extending.epochs_of(request, stage) + more
        return extending.with_more_epochs(request, stage, wanted), wanted

    # --- leaving ---

    def ask_to_leave(self) -> None:
        """Close the workbench; with a run under way ask what becomes of it."""
        if isinstance(self._app.screen, Leave):
            return  # it is being asked
        live = self._app.live_jobs()
        if not live or self._leaving is not None:  # asked again while it stops: leave at once, records are sound
            self._app.exit()
            return
        one = len(live) == 1
        title = f"{live[0].title} is under way" if one else f"{len(live)} runs are under way"
        it = "it" if one else "them"
        choices = [
            ("detach", f"keep {it} going without the workbench"),
            ("stop", f"stop {it}, resumable, and leave"),
            ("stay", "stay"),
        ]
        note = (
            "Both save at the step under way. To keep going, a process of its own takes over from there, within "
            "seconds; to watch it again: nadtui watch RUN"
        )
        self._app.push_screen(Leave(title, choices, note), self._leave_as)

    def _leave_as(self, choice: str | None) -> None:
        if choice not in ("detach", "stop"):
            return
        self._detach = choice == "detach"
        self._leaving = self._app.live_jobs()
        for host in self._leaving:
            host.stop()
        doing = "handing over" if self._detach else "stopping"
        self._app.notify(f"{doing}: saved after this step; leaving again leaves at once", timeout=30)
        self.pump()

    def leave(self, hosts: list[JobHost]) -> None:
        """Close the workbench, whose runs these are: none of them is at work any more."""
        self._detach = False
        self._leave(hosts)

    def _leave(self, hosts: list[JobHost]) -> None:
        for host in hosts:
            name = host.folder.name if host.folder else host.title
            if host.state is RunState.STOPPED and self._detach:
                try:
                    self._app.detached.append(detached.detach(host.request, host.folder))
                except (OSError, RequestError) as error:
                    self._app.parting.append(f"{name} could not go on: {error}")
                    continue
                if host.folder is not None:
                    self._app.parting.append(f"to watch it: nadtui watch {typed(host.folder)}")
            elif host.state is RunState.STOPPED and host.folder is not None:
                self._app.parting.append(f"{name} is stopped; to go on: nadtui run --resume {typed(host.folder)}")
        self._leaving = None
        self._app.exit()


def resumable(host: Host) -> bool:
    """Whether the run can go on from where it ended."""
    return not host.live and host.state.resumable and host.view.writable and host.folder is not None


def extendable(host: Host) -> list[StageView]:
    """Stages that are done, and others where the run is, or can be, carried out here; none taken from a file.

    Whether they have a number of epochs is for the configuration to say.
    """
    view = host.view
    if not view.run or host.folder is None or not host.state.readable:
        return []
    here = isinstance(host, JobHost) or resumable(host)
    stages = view.stages.values()
    return [stage for stage in stages if not stage.untrained and (here or stage.state == "finished")]


def why_not(host: Host, action: str) -> str | None:
    """Why a run cannot be paused, stopped, resumed or extended now, in a line; None where it can, and for all else."""
    state = host.state
    if action in ("pause", "stop") and not host.live:
        return f"this run is {state}: there is nothing to {action}"
    if action == "resume" and not resumable(host):
        if host.live:
            return f"this run is {state}: p pauses it, x stops it"
        if state is RunState.FINISHED:
            return "this run is finished: + extends a stage of it, in a new run"
        if not host.view.writable:
            return "this run was recorded by another version of nadtui, which alone can go on with it"
        return f"this run is {state}: there is nothing to go on from"
    if action == "extend" and not extendable(host):
        return f"this run is {state}: it has no stage that can be extended here"
    network = _untyped_network(host) if action in ("resume", "extend") else ""
    if network:
        again = formatting.command(["nadtui", "run", "--resume", host.folder, "--model", network])
        way = again if action == "resume" else "r in the list of runs opens a form to type it in"
        return f"its network's file is executed only when it is typed: {way}"
    return None


def _untyped_network(host: Host) -> str:
    """The run's network, where it comes from a file that was not typed for the run here; else empty."""
    name = str(host.view.model.get("name", ""))
    typed_here = isinstance(host, JobHost) and host.request.typed_model
    return name if models.from_file(name) and not typed_here else ""


def _done(host: Host, stage: str) -> bool:
    known = host.view.stages.get(stage)
    return known is not None and known.state == "finished"
