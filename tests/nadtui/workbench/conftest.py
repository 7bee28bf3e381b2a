"""What the workbench's tests have in common: a terminal of their own, runs to watch, jobs to carry out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.attacks.preview import TriggerPreview
from engine.config.presets import resolve
from engine.running.request import RunRequest
from nadtui.draw import trigger_process
from nadtui.workbench.app import Workbench
from tests import pilot, showcase
from tests.run_screen import NOW, Jobs


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pilot waits for what it has brought about."""
    pilot.patient(monkeypatch)


@pytest.fixture
def truecolor(monkeypatch) -> None:
    """The same terminal for every test, whatever the one they run in."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("nadtui.runs.watching.POLL_S", 0.05)
    monkeypatch.setattr("nadtui.runs.watching.REST_S", 0.05)


@pytest.fixture
def settings_file(tmp_path, truecolor) -> Path:
    return tmp_path / "settings" / "workbench.json"


@pytest.fixture
def watching(tmp_path, settings_file) -> Callable[..., Workbench]:
    def make(**more: Any) -> Workbench:
        folder = showcase.write(tmp_path / "runs", showcase.record(**more))
        return Workbench(tmp_path / "runs", start=folder, settings_file=settings_file, clock=lambda: NOW)

    return make


@pytest.fixture
def running(tmp_path, settings_file) -> Iterator[Callable[..., tuple[Workbench, Jobs]]]:
    """A workbench that carries out a scripted run; its record is written beforehand, as the engine would."""
    made: list[Jobs] = []

    def make(until: int = 60, error: BaseException | None = None, record: bool = True) -> tuple[Workbench, Jobs]:
        events = showcase.record(until=until)
        jobs = Jobs(events, error)
        made.append(jobs)
        runs = tmp_path / "runs"
        request = RunRequest(config=resolve("badnets", dataset="signs"), out=runs)
        if record:
            folder = showcase.write(runs, events)
            (folder / "config.yaml").write_text(request.config.to_yaml())
        app = Workbench(runs, start=request, settings_file=settings_file, make_job=jobs, clock=lambda: NOW)
        return app, jobs

    yield make
    for jobs in made:
        for job in jobs.made:
            job.stop()


@pytest.fixture(autouse=True)
def _drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No drawing process: a white picture with a black corner."""
    clean = bytes([255]) * 192
    picture = TriggerPreview(8, 8, "stop", clean, clean[:-3] + bytes(3))
    monkeypatch.setattr(trigger_process, "preview", lambda attack, data=None: picture)
