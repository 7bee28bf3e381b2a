"""The workbench without its screens: the runs it carries out or watches, what it remembers, its look.

Screens know their app as this; the app itself, which knows every screen, stands above them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nadtui import formatting
from nadtui.runs.detached import Detached
from nadtui.runs.hosting import Host, JobHost, drain_all
from nadtui.runs.watching import Watcher
from nadtui.workbench import settings
from nadtui.workbench.exporting import Exporting
from nadtui.workbench.keys_in_turn import KeysInTurn
from nadtui.workbench.steering import Steering
from nadtui.workbench.themes import DARK, LIGHT

if TYPE_CHECKING:
    from engine.running.request import RunRequest
    from nadtui.runs.job import Job
    from nadtui.workbench.form import RunForm


class WorkbenchBase(KeysInTurn[None]):
    """Owns the runs that this process carries out, and the settings."""

    def __init__(
        self,
        runs_root: Path,
        *,
        settings_file: Path | None = None,
        make_job: Callable[[RunRequest], Job] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.runs_root = runs_root
        """The folder of run folders."""
        self.hosts: dict[str, JobHost] = {}
        """Runs that this process carries out or has carried out, by id (`new-N` before there is one)."""
        self.steering = Steering(self)
        self.exporting = Exporting(self)
        self.detached: list[Detached] = []
        """Runs that go on in processes of their own."""
        self.parting: list[str] = []
        """What is said on standard error once the terminal is a shell's again."""
        self._file = settings_file or settings.settings_file()
        self.settings, self._settings_problem = settings.load(self._file)
        self._make_job = make_job
        self._watchers: list[Watcher] = []
        self._clock = clock
        self._started = 0

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock()

    # --- screens, which the app opens ---

    def open_workspace(self) -> None:
        """Show the list of runs."""
        raise NotImplementedError

    def open_run(self, run: Path | RunRequest | Host, *, form: RunForm | None = None) -> None:
        """Open the run screen: on a run folder, on a host, or on a request, which is thereby started.

        `form` is the one that made the request: it comes back where the run cannot begin.
        """
        raise NotImplementedError

    def open_form(self, *, preset: str | None = None, run: Path | None = None, field: str = "") -> None:
        """Open the form for a new run, from a preset or with a recorded run's configuration; `field` to begin with."""
        raise NotImplementedError

    def open_comparison(self, folders: Sequence[Path]) -> None:
        """Open the screen that shows these runs side by side."""
        raise NotImplementedError

    def open_sweep(self, folder: Path) -> None:
        """Open the screen on a sweep's folder."""
        raise NotImplementedError

    def choose_sweep(self) -> None:
        """Ask which sweep to open, of those at hand."""
        raise NotImplementedError

    def replace_host(self, old: Host, new: JobHost) -> None:
        """Screens that show `old` show `new` from now on."""
        raise NotImplementedError

    def leave_run(self) -> None:
        """From the run screen back to where a person came from, which may be the shell."""
        if len(self.screen_stack) > 2:
            self.pop_screen()
        else:
            self.open_workspace()

    # --- runs ---

    def live_jobs(self) -> list[JobHost]:
        """The runs that this process is carrying out."""
        return [host for host in self.hosts.values() if host.live]

    def launch(self, request: RunRequest) -> JobHost:
        """Carry out a request in the background; it queues for the machine by itself."""
        host = JobHost(request, self._make_job)
        self._started += 1
        self.hosts[request.resume.name if request.resume else f"new-{self._started}"] = host
        host.start()
        return host

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

    def take_over(self) -> list[Host]:
        """Take over what the runs have told; those that have told something."""
        told = drain_all([*self.hosts.values(), *self._watchers])
        # Afterwards: the first that a run tells is its folder, by which it is found from now on.
        for key in [key for key, host in self.hosts.items() if key.startswith("new-") and host.folder is not None]:
            host = self.hosts.pop(key)
            self.hosts[host.folder.name] = host
        return told

    # --- settings and look ---

    def change_settings(self, **values: Any) -> None:
        """Change what is remembered from start to start, and keep it."""
        changed = self.settings.changed(**values)
        if changed == self.settings:
            return
        self.settings = changed
        problem = settings.save(changed, self._file)
        if problem and not self._settings_problem:  # once: what cannot be read as a rule cannot be written either
            self._settings_problem = problem
            self.notify(formatting.clean(problem), title="settings are not kept", severity="warning")

    def dress(self) -> None:
        """Put on the theme of last time, and say what of the settings was not understood."""
        for theme in (DARK, LIGHT):
            self.register_theme(theme)
        self.theme = self.settings.theme if self.settings.theme in self.available_themes else DARK.name
        if self._settings_problem:
            self.notify(formatting.clean(self._settings_problem), title="settings", severity="warning", timeout=10)

    def action_light_or_dark(self) -> None:
        """The workbench's light theme, or its dark one."""
        self.theme = LIGHT.name if self.current_theme.dark else DARK.name

    # --- files ---

    def export_run(self, run: Host | Path) -> None:
        """Ask for a format and a file, then write the run there."""
        folder = run if isinstance(run, Path) else run.folder
        if folder is None:
            self.notify("the run has recorded nothing yet", severity="warning")
        else:
            self.exporting.run(folder)

    def take_screenshot(self, name: str) -> None:
        """Save what is on screen as SVG into the working directory."""
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(self.now()))
        try:
            path = self.save_screenshot(f"nadtui-{stamp}.svg")
        except OSError as error:
            self.notify(f"no screenshot: {error.strerror}", severity="error")
            return
        self.notify(formatting.clean(f"saved: {path}"), title=formatting.clean(name))
