"""The workbench: its screens, which come and go, and what is the same on all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.theme import Theme

from engine.errors import RequestError
from nadtui import diagnostics, formatting
from nadtui.runs.detached import see_off
from nadtui.runs.hosting import Host, JobHost
from nadtui.runs.sweep_folders import is_sweep
from nadtui.workbench import garbage
from nadtui.workbench.base import WorkbenchBase
from nadtui.workbench.messages import HostChanged

if TYPE_CHECKING:
    from textual.command import Provider
    from textual.screen import ActiveBinding

    from engine.running.request import RunRequest
    from nadtui.runs.job import Job
    from nadtui.workbench.form import RunForm
    from nadtui.workbench.screens.run import RunScreen

REPAINTS_A_SECOND = 4
"""How often what the runs have told is taken over and painted, at most."""
HAND_OVER_S = 1.0
"""Seconds for which the shell waits to hear of a run that it cannot be handed over: the terminal is to be free soon,
while torch alone takes longer to load in the new process."""


def _anywhere(key: str, action: str, label: str, tooltip: str, *, show: bool = False) -> Binding:
    return Binding(key, action, label, tooltip=tooltip, show=show)


def _places() -> type[Provider]:
    """What the palette finds beside keys; loaded when it is opened first."""
    from nadtui.workbench.palette import Places

    return Places


class Workbench(WorkbenchBase):
    """Opens the screens, and tells them what the runs have told."""

    TITLE = "nadtui"
    CSS = """
    Screen { background: $background; color: $foreground; }
    ModalScreen { background: $background 60%; }  /* what is asked about stays in sight */
    Toast { width: auto; max-width: 70%; padding: 0 1; }
    /* Above the keys and above a chart's axis with its labels. */
    ToastRack { margin-bottom: 3; }
    CommandList { text-wrap: nowrap; text-overflow: ellipsis; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        _anywhere("q", "quit", "Quit", "Leave; asks when a run is under way", show=True),
        Binding("ctrl+q", "quit", "Quit", tooltip="Leave, from anywhere", show=False, priority=True),
        _anywhere("ctrl+c", "quit", "Quit", "Leave; asks when a run is under way"),
        _anywhere("question_mark", "help", "Help", "The keys of this screen", show=True),
        _anywhere("f1", "help", "Help", "The keys of this screen"),
        _anywhere("t", "light_or_dark", "Theme", "Light or dark; more themes are in the palette"),
    ]

    def __init__(
        self,
        runs_root: Path,
        *,
        start: RunRequest | Path | None = None,
        settings_file: Path | None = None,
        make_job: Callable[[RunRequest], Job] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`start` is a run to carry out, or the folder of one to watch; None = the workspace."""
        super().__init__(runs_root, settings_file=settings_file, make_job=make_job, clock=clock)
        self._start = start
        self._forms: dict[JobHost, RunForm] = {}
        """The forms from which runs under way were started."""

    # --- start and end ---

    def on_mount(self) -> None:
        """Open the first screen, and begin to listen to runs."""
        self.dress()
        if self._start is None:
            self.open_workspace()
        elif isinstance(self._start, Path) and is_sweep(self._start):
            self.open_sweep(self._start)
        else:
            self.open_run(self._start)
        self.theme_changed_signal.subscribe(self, self._theme_changed)
        self.set_interval(1 / REPAINTS_A_SECOND, self._pump)
        self.set_timer(garbage.START_S, garbage.begin)

    def action_quit(self) -> None:  # type: ignore[override]
        """Leave; ask first when a run is under way."""
        self.steering.ask_to_leave()

    def cut_off(self) -> None:
        """Leave without a question: the terminal is gone, or the system wants it, and the runs have stopped."""
        self.take_over()
        self.steering.leave(list(self.hosts.values()))

    # --- screens ---

    def open_workspace(self) -> None:
        """In place of the screen on top where that is the last one."""
        from nadtui.workbench.screens.workspace import WorkspaceScreen

        if len(self.screen_stack) > 1:
            self.switch_screen(WorkspaceScreen())
        else:
            self.push_screen(WorkspaceScreen())

    def open_run(self, run: Path | RunRequest | Host, *, form: RunForm | None = None) -> None:
        """On a run folder the host is this process's own where it carries the run out."""
        from nadtui.workbench.screens.run import RunScreen

        if isinstance(run, Path):
            run = self.host_of(run)
        host = run if isinstance(run, Host) else self.launch(run)
        if form is not None and isinstance(host, JobHost):
            self._forms[host] = form
        self.push_screen(RunScreen(host))

    def _back_to_form(self, host: JobHost) -> None:
        """A run that ended before it had a record: its form comes back as it was, and says why."""
        from nadtui.workbench.screens.new_run import NewRunScreen
        from nadtui.workbench.screens.run import RunScreen

        form = self._forms.pop(host)
        shown = isinstance(self.screen, RunScreen) and self.screen.host is host
        if shown and host.folder is None and host.error is not None:
            self.switch_screen(NewRunScreen(form=form, failed=host.remark))

    def open_form(self, *, preset: str | None = None, run: Path | None = None, field: str = "") -> None:
        """The form reads presets and the run by itself, behind its first paint."""
        from nadtui.workbench.screens.new_run import NewRunScreen

        self.push_screen(NewRunScreen(preset=preset, run=run, field=field))

    def open_comparison(self, folders: Sequence[Path]) -> None:
        """The screen reads the runs by itself, behind its first paint."""
        from nadtui.workbench.screens.compare import CompareScreen

        self.push_screen(CompareScreen(folders))

    def open_sweep(self, folder: Path) -> None:
        """The screen reads it by itself, behind its first paint."""
        from nadtui.workbench.screens.sweep import SweepScreen

        self.push_screen(SweepScreen(folder))

    def choose_sweep(self) -> None:
        """Those under the folder of runs, beside it, and where the workbench was started."""
        from nadtui.runs.sweep_folders import sweeps_in
        from nadtui.workbench.dialogs import Choose

        found = sweeps_in([self.runs_root, self.runs_root.parent, Path("sweeps"), Path()])
        if not found:
            self.notify("no sweep here; nadtui sweep makes one, nadtui watch DIR opens one from elsewhere")
            return
        choices = [(str(folder), formatting.cut_in_front(folder, 56)) for folder in found]
        self.push_screen(Choose("Open a sweep", choices), lambda folder: folder and self.open_sweep(Path(folder)))

    def replace_host(self, old: Host, new: JobHost) -> None:
        """Whether a screen is in front or behind another."""
        for screen in self._run_screens():
            if screen.host is old:
                screen.replace_host(new)
        self.release(old)

    def _run_screens(self) -> Iterable[RunScreen]:
        from nadtui.workbench.screens.run import RunScreen

        return [screen for screen in self.screen_stack if isinstance(screen, RunScreen)]

    def _pump(self) -> None:
        """Take over what the runs have told, and tell the screens once for however much it was."""
        if not self.is_running:
            return  # a last beat, while the screens are being taken down: they are there, their widgets are not
        changed = self.take_over()
        # To the screen in front alone: what stirs one behind it makes textual paint all of the front anew.
        for host in changed:
            self.screen.post_message(HostChanged(host))
        if changed:
            self._show_newest(changed)
        for host in [host for host in self._forms if not host.live]:
            self._back_to_form(host)
        self.steering.pump()

    def _show_newest(self, changed: Collection[Host]) -> None:
        for screen in self._run_screens():
            if screen.host in changed and screen is self.screen and screen.is_mounted:
                screen.refresh_run()

    def _theme_changed(self, theme: Theme) -> None:
        self.change_settings(theme=theme.name)

    # --- help and palette ---

    COMMANDS = WorkbenchBase.COMMANDS | {_places}

    def action_help(self) -> None:
        """All keys of the screen on top."""
        from nadtui.workbench.screens.help import HelpScreen, sections

        if not isinstance(self.screen, HelpScreen):
            about = getattr(self.screen, "ABOUT", "")
            self.push_screen(HelpScreen(self.screen.TITLE or "keys", sections(self, self.screen), about))

    def action_confusion(self) -> None:
        """What each model of the run on top takes each class for."""
        from nadtui.workbench.screens.confusion import ConfusionScreen

        for screen in self._run_screens():
            if screen is self.screen:
                self.push_screen(ConfusionScreen(screen.host))

    def action_defenses(self) -> None:
        """What the defenses of the run on top have come to, side by side."""
        from nadtui.workbench.screens.defenses import DefensesScreen

        for screen in self._run_screens():
            if screen is self.screen:
                self.push_screen(DefensesScreen(screen.host))

    def get_system_commands(self, screen: Screen) -> Iterable[SystemCommand]:
        """The palette: what the screen's keys do, then what Textual brings along."""
        for active in screen.active_bindings.values():
            binding = active.binding
            if active.enabled and binding.description and not binding.system and not _mere_moving(active):
                run = partial(self.run_action, binding.action, active.node)
                yield SystemCommand(f"{binding.description} ({self.get_key_display(binding)})", binding.tooltip, run)
        for command in super().get_system_commands(screen):
            if command.title in ("Theme", "Maximize", "Minimize"):
                yield command


def _mere_moving(active: ActiveBinding) -> bool:
    """Whether a key is one of Textual's own that scroll or move: nobody looks for these in the palette."""
    method = getattr(active.node, f"action_{active.binding.action.partition('(')[0]}", None)
    return not (active.binding.tooltip or active.binding.show) and getattr(method, "__module__", "").startswith(
        "textual."
    )


def run_app(start: RunRequest | Path | None = None, *, out: Path | None = None) -> bool:
    """Open the workbench in this terminal: on the workspace, on a new run, or on the run in a folder.

    Returns whether a person left it; else it was cut off, and its runs have stopped, resumable.

    Raises:
        RequestError: there is no terminal to open it in.
    """
    import sys

    from engine.storage.paths import runs_dir
    from nadtui.workbench.hanging_up import HangingUp

    # It draws on standard error, as textual does: standard output may be the name of another place.
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.__stderr__)):
        raise RequestError("the workbench needs a terminal; without one: nadtui run --headless, nadtui show RUN")
    app = Workbench(out or runs_dir(), start=start)
    with HangingUp(lambda: list(app.hosts.values()), lambda: app.call_later(app.cut_off)) as hanging_up:
        app.run()
    for run in app.detached:
        diagnostics.note(see_off(run, HAND_OVER_S))
    for said in app.parting:
        diagnostics.note(said)
    return not hanging_up.asked
