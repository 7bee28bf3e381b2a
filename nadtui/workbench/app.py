"""The workbench: its screens, the runs it carries out or watches, theme, settings, palette and help."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.theme import Theme

from engine.errors import RequestError
from nadtui import diagnostics, formatting
from nadtui.runs.hosting import Detached, Host, JobHost, Watcher, drain_all, see_off
from nadtui.workbench import settings
from nadtui.workbench.steering import Steering

if TYPE_CHECKING:
    from engine.running.job import RunRequest
    from nadtui.runs.hosting import Job
    from nadtui.workbench.recomputed_maps import Recomputed, Task
    from nadtui.workbench.screens.run import RunScreen

REPAINTS_A_SECOND = 4
"""How often what the runs have told is taken over and painted, at most."""
HAND_OVER_S = 60.0
"""Seconds for which the shell waits to hear whether a detached run has gone on; torch alone takes some to load."""

THEMES = (
    Theme(
        name="nadtui-dark",
        primary="#56b4e9",
        secondary="#2fbf95",
        accent="#ee8d33",
        warning="#f0e442",
        error="#ff6b4a",
        success="#2fbf95",
        foreground="#d8dee6",
        background="#0f1216",
        surface="#161b21",
        panel="#1f262e",
        dark=True,
    ),
    Theme(
        name="nadtui-light",
        primary="#0072b2",
        secondary="#00775a",
        accent="#b34700",
        warning="#7a6c00",
        error="#b3261e",
        success="#00775a",
        foreground="#1c2127",
        background="#fbfbfa",
        surface="#f1f1ef",
        panel="#e3e5e8",
        dark=False,
    ),
)


def _anywhere(key: str, action: str, label: str, tooltip: str, *, show: bool = False) -> Binding:
    return Binding(key, action, label, tooltip=tooltip, show=show)


class HostChanged(Message):
    """A run has told something new; sent to the screen in front, however many events there were."""

    bubble = False

    def __init__(self, host: Host) -> None:
        self.host = host
        super().__init__()


class Workbench(App[None]):
    """Owns the runs that this process carries out; screens come and go."""

    TITLE = "nadtui"
    CSS = """
    Screen { background: $background; color: $foreground; }
    Toast { max-width: 70%; }
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
        super().__init__()
        self.runs_root = runs_root
        """The folder of run folders."""
        self.hosts: dict[str, JobHost] = {}
        """Runs that this process carries out or has carried out, by id (`new-N` before there is one)."""
        self.steering = Steering(self)
        self.detached: list[Detached] = []
        """Runs that go on in processes of their own."""
        self.parting: list[str] = []
        """What is said on standard error once the terminal is a shell's again."""
        self._start = start
        self._file = settings_file or settings.settings_file()
        self.settings, self._settings_problem = settings.load(self._file)
        self._make_job = make_job
        self._watchers: list[Watcher] = []
        self._clock = clock
        self._started = 0
        self._computing = threading.Lock()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock()

    # --- start and end ---

    def on_mount(self) -> None:
        """Open the first screen, and begin to listen to runs."""
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self.settings.theme if self.settings.theme in self.available_themes else THEMES[0].name
        if self._start is None:
            self.open_workspace()
        else:
            self.open_run(self._start)
        self.theme_changed_signal.subscribe(self, self._theme_changed)
        self.set_interval(1 / REPAINTS_A_SECOND, self._pump)
        if self._settings_problem:
            self.notify(formatting.clean(self._settings_problem), title="settings", severity="warning", timeout=10)

    def open_workspace(self) -> None:
        """Show the list of runs, in place of the screen on top where that is the last one."""
        from nadtui.workbench.screens.workspace import WorkspaceScreen

        if len(self.screen_stack) > 1:
            self.switch_screen(WorkspaceScreen())
        else:
            self.push_screen(WorkspaceScreen())

    def action_quit(self) -> None:  # type: ignore[override]
        """Leave; ask first when a run is under way."""
        self.steering.ask_to_leave()

    def live_jobs(self) -> list[JobHost]:
        """The runs that this process is carrying out."""
        return [host for host in self.hosts.values() if host.live]

    # --- runs ---

    def launch(self, request: RunRequest) -> JobHost:
        """Carry out a request in the background; it queues for the machine by itself."""
        host = JobHost(request, self._make_job)
        self._started += 1
        self.hosts[request.resume.name if request.resume else f"new-{self._started}"] = host
        host.start()
        return host

    def open_run(self, run: Path | RunRequest) -> None:
        """Open the run screen: on a run folder, or on a request, which is thereby started."""
        from nadtui.workbench.screens.run import RunScreen

        self.push_screen(RunScreen(self.launch(run) if not isinstance(run, Path) else self.host_of(run)))

    def host_of(self, folder: Path) -> Host:
        """The host of a run folder: of this process where it carries the run out, else one that watches it."""
        own = self.hosts.get(folder.name)
        if own is not None and own.live:
            return own
        watcher = Watcher(folder)
        self._watchers.append(watcher)
        watcher.start()
        return watcher

    def release(self, host: Host) -> None:
        """No screen shows this host any more."""
        if isinstance(host, Watcher) and host in self._watchers:
            self._watchers.remove(host)
            host.close()

    def replace_host(self, old: Host, new: JobHost) -> None:
        """Screens that show `old` show `new` from now on."""
        for screen in self._run_screens():
            if screen.host is old:
                screen.replace_host(new)
        self.release(old)

    def leave_run(self) -> None:
        """From the run screen back to where a person came from, which may be the shell."""
        if len(self.screen_stack) > 2:
            self.pop_screen()
        else:
            self.open_workspace()

    def _pump(self) -> None:
        """Take over what the runs have told, and tell the screens once for however much it was."""
        if not self.is_running:
            return  # a last beat, while the screens are being taken down: they are there, their widgets are not
        for key in [key for key, host in self.hosts.items() if key.startswith("new-") and host.folder is not None]:
            host = self.hosts.pop(key)
            self.hosts[host.folder.name] = host
        changed = drain_all([*self.hosts.values(), *self._watchers])
        # To the screen in front alone: what stirs one behind it makes textual paint all of the front anew.
        for host in changed:
            self.screen.post_message(HostChanged(host))
        for screen in self._run_screens():
            if screen.host in changed and screen is self.screen and screen.is_mounted:
                screen.refresh_run()
        self.steering.pump()

    def _run_screens(self) -> Iterable[RunScreen]:
        from nadtui.workbench.screens.run import RunScreen

        return [screen for screen in self.screen_stack if isinstance(screen, RunScreen)]

    # --- settings and theme ---

    def change_settings(self, **values: Any) -> None:
        """Change what is remembered from start to start, and keep it."""
        changed = self.settings.changed(**values)
        if changed == self.settings:
            return
        self.settings = changed
        problem = settings.save(changed, self._file)
        if problem and problem != self._settings_problem:
            self._settings_problem = problem
            self.notify(formatting.clean(problem), title="settings are not kept", severity="warning")

    def action_light_or_dark(self) -> None:
        """The workbench's light theme, or its dark one."""
        self.theme = THEMES[1].name if self.current_theme.dark else THEMES[0].name

    def _theme_changed(self, theme: Theme) -> None:
        self.change_settings(theme=theme.name)
        for screen in self._run_screens():
            screen.refresh_run(everything=True)

    # --- help and palette ---

    def action_help(self) -> None:
        """All keys of the screen on top."""
        from nadtui.workbench.screens.help import HelpScreen, sections

        if not isinstance(self.screen, HelpScreen):
            about = getattr(self.screen, "ABOUT", "")
            self.push_screen(HelpScreen(self.screen.TITLE or "keys", sections(self, self.screen), about))

    def get_system_commands(self, screen: Screen) -> Iterable[SystemCommand]:
        """The palette: what the screen's keys do, then what Textual brings along."""
        for active in screen.active_bindings.values():
            binding = active.binding
            if active.enabled and binding.description and not binding.system:
                said = binding.tooltip or binding.description
                run = partial(self.run_action, binding.action, active.node)
                yield SystemCommand(f"{binding.description} ({self.get_key_display(binding)})", said, run)
        for command in super().get_system_commands(screen):
            if command.title in ("Theme", "Maximize", "Minimize"):
                yield command

    # --- work in the background ---

    def recompute(self, screen: RunScreen, operator: str) -> Recomputed:
        """Begin to compute a run's maps under another operator; what is shown until they are there."""
        from nadtui.workbench import recomputed_maps

        folder = screen.host.folder
        if folder is None:
            return recomputed_maps.Recomputed(operator, "no checkpoint yet")
        try:
            task = recomputed_maps.task(screen.host.view, folder, operator)
        except RequestError as error:
            return recomputed_maps.Recomputed(operator, str(error))
        self._compute_maps(screen, task)
        return recomputed_maps.Recomputed(operator, f"computing {operator} from the checkpoints …")

    @work(thread=True, group="maps", exit_on_error=False)
    def _compute_maps(self, screen: RunScreen, task: Task) -> None:
        from nadtui.workbench import recomputed_maps

        with self._computing:  # one at a time: a training may want the processor
            if not screen.wants_maps(task.operator):
                return  # a person has gone on to the next one
            try:
                done = recomputed_maps.compute(task)
            except Exception as error:  # a stranger's checkpoint may be wrong in any way
                done = recomputed_maps.Recomputed(task.operator, f"cannot be computed: {error}")
        self.call_later(screen.maps_recomputed, done)

    def export_run(self, run: Host | Path) -> None:
        """Ask for a format and a file, then write the run there."""
        from nadtui.export import FORMATS
        from nadtui.workbench.screens.dialogs import Choose

        folder = run if isinstance(run, Path) else run.folder
        if folder is None:
            self.notify("the run has recorded nothing yet", severity="warning")
            return
        choices = [(form, form) for form in FORMATS]
        self.push_screen(Choose(f"Export {folder.name} as", choices), partial(self._ask_file, folder))

    def _ask_file(self, folder: Path, form: str | None) -> None:
        from nadtui.workbench.screens.dialogs import Ask

        if form is None:
            return
        question = Ask("Write to", f"{folder.name}.{form}", note="A file of that name is replaced.", check=_file_wrong)
        self.push_screen(question, partial(self._write_if, folder, form))

    def _write_if(self, folder: Path, form: str, name: str | None) -> None:
        if name is not None:
            self._write_export(folder, form, Path(name).expanduser())

    @work(thread=True, group="export", exit_on_error=False)
    def _write_export(self, folder: Path, form: str, file: Path) -> None:
        from engine.storage.paths import write_atomically
        from nadtui.cli.runs import load
        from nadtui.export import render

        try:
            document = render(load(str(folder.absolute()), self.runs_root), form)
            write_atomically(file, document if isinstance(document, bytes) else document.encode())
        except RequestError as error:
            self.call_from_thread(self.notify, formatting.clean(error), title="export", severity="error")
        else:
            self.call_from_thread(self.notify, formatting.clean(f"written: {file.absolute()}"), title="export")

    def take_screenshot(self, name: str) -> None:
        """Save what is on screen as SVG into the working directory."""
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(self.now()))
        try:
            path = self.save_screenshot(f"nadtui-{stamp}.svg")
        except OSError as error:
            self.notify(f"no screenshot: {error.strerror}", severity="error")
            return
        self.notify(formatting.clean(f"saved: {path}"), title=formatting.clean(name))


def _file_wrong(name: str) -> str:
    path = Path(name).expanduser()
    if not name.strip():
        return "a file name is wanted"
    return "that is a folder" if path.is_dir() else ""


def run_app(start: RunRequest | Path | None = None, *, out: Path | None = None) -> None:
    """Open the workbench in this terminal: on the workspace, on a new run, or on the run in a folder.

    Raises:
        RequestError: there is no terminal to open it in.
    """
    import sys

    from engine.storage.paths import runs_dir

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise RequestError("the workbench needs a terminal; without one: nadtui run --headless, nadtui show RUN")
    app = Workbench(out or runs_dir(), start=start)
    app.run()
    for run in app.detached:
        diagnostics.note(f"{run.name} is handed over …")
        diagnostics.note(see_off(run, HAND_OVER_S))
    for said in app.parting:
        diagnostics.note(said)
