"""The preview of what is selected in the workspace: read from records, resolved and drawn in threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import work
from textual.timer import Timer
from textual.worker import get_current_worker

from engine.config.presets import Preset, resolve
from engine.data import present
from engine.errors import RequestError
from engine.record.layout import RECORD
from engine.record.state import RunState
from engine.running.plan import epochs_fields
from nadtui.draw import trigger_process
from nadtui.runs.catalog import RunRow
from nadtui.runs.digest import flatten
from nadtui.workbench import run_sketch
from nadtui.workbench.threads import hand_over
from nadtui.workbench.widgets.preview import Preview

if TYPE_CHECKING:
    from engine.config.run import DataSettings

SETTLE_S = 0.12
"""Seconds for which the cursor must rest before its run is read."""
KEPT = 32
"""Sketches of runs at rest that are kept."""
SHOWN = ("attack", "data.name")
"""Fields of a preset's configuration that the preview shows beside its stages' epochs, tables with all below them."""


class SelectionPreview(Preview):
    """Follows the selection: a preset, or a run."""

    def __init__(self, followed: Callable[[Path], bool], look: Callable[[], None], *, id: str | None = None) -> None:
        """`followed` tells whether a run's record is being folded as it grows; its sketch comes of the next `look`."""
        super().__init__(id=id)
        self.border_title = "preview"
        self.subject: RunRow | Preset | None = None
        self._is_followed = followed
        self._look = look
        self._settling: Timer | None = None
        self._sketches: dict[tuple[Any, ...], run_sketch.Sketch] = {}
        self._pencil = threading.Lock()

    @property
    def dark(self) -> bool:
        """Whether the theme is a dark one."""
        return self.app.current_theme.dark

    def select(self, subject: RunRow | Preset | None) -> None:
        """Show this, as soon as the cursor rests on it."""
        if subject == self.subject:
            return
        before, self.subject = self.subject, subject
        if subject is None:
            self.show_nothing()
            return
        if self._followed(subject) and isinstance(before, RunRow) and before.path == subject.path:
            return  # it only went on: the next look draws it from what is folded already
        if self._settling is not None:
            self._settling.stop()
        self._settling = self.set_timer(SETTLE_S, partial(self._preview, subject))

    def redraw(self) -> None:
        """Curves have colors of their own for light and dark."""
        if self.subject is not None:
            self._preview(self.subject)

    def _followed(self, subject: RunRow | Preset) -> bool:
        return isinstance(subject, RunRow) and subject.alive and self._is_followed(subject.path)

    def _preview(self, subject: RunRow | Preset) -> None:
        if subject != self.subject:
            return
        if isinstance(subject, Preset):
            self._read_preset(subject)
        elif self._followed(subject):
            self._look()
        else:
            self._read_run(subject)

    # --- a run ---

    @work(thread=True, group="preview", exclusive=True, exit_on_error=False)
    def _read_run(self, row: RunRow) -> None:
        """Fold a run's record into its sketch."""
        key = (row.path, row.state, _stamp(row.path), self.dark)
        drawn = self._sketches.get(key)
        if row.state is RunState.PREPARING:
            drawn = run_sketch.Sketch(row.id, row.state)
        elif drawn is None:
            drawn = run_sketch.read(row.path, row.state, dark=self.dark)
            self._sketches[key] = drawn
            while len(self._sketches) > KEPT:
                self._sketches.pop(next(iter(self._sketches)))
        hand_over(self, partial(self.take_run, row, drawn))

    def take_run(self, row: RunRow, drawn: run_sketch.Sketch) -> None:
        """Show this sketch, where its run is still the one selected."""
        if isinstance(self.subject, RunRow) and self.subject.path == row.path:
            self.show_run(drawn)

    # --- a preset ---

    @work(thread=True, group="preview", exclusive=True, exit_on_error=False)
    def _read_preset(self, preset: Preset) -> None:
        """Resolve a preset and have its trigger drawn, the first time in a process of its own."""
        try:
            config = resolve(preset.name)
            data = self._data_for(config.data)
            known = trigger_process.cached(config.attack, data)
        except RequestError as error:
            hand_over(self, partial(self._take_preset, preset, (), str(error)))
            return
        settings = [
            (name, value)
            for name, value in flatten(config.to_dict())
            if any(name == shown or name.startswith(f"{shown}.") for shown in (*SHOWN, *epochs_fields(config).values()))
        ]
        if known is None:
            hand_over(self, partial(self._take_preset, preset, settings, "drawing the trigger …"))
        worker = get_current_worker()
        with self._pencil:  # one drawing process at a time, and none for a preset that was only passed by
            if worker.is_cancelled:
                return
            try:
                shown: Any = trigger_process.preview(config.attack, data)
            except RequestError as error:
                shown = str(error)
        hand_over(self, partial(self._take_preset, preset, settings, shown))

    def _data_for(self, own: DataSettings) -> DataSettings | None:
        """Whose images a trigger is shown on: those of the last new run, else the preset's own; None = signs.

        Only data that is on this machine is looked at: a preview is no reason for a download.
        """
        chosen = self.app.settings.workspace.get("data")
        names = [chosen if isinstance(chosen, str) else "", own.name]
        name = next((name for name in names if name and present(name)), "signs")
        return None if name == "signs" else own.model_copy(update={"name": name})

    def _take_preset(self, preset: Preset, settings: Sequence[tuple[str, Any]], trigger: Any) -> None:
        if self.subject == preset:
            self.show_preset(preset, settings, trigger)


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes with a run's record."""
    try:
        stat = (path / RECORD).stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size
