"""Runs that go on without the workbench."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from engine.config.presets import resolve
from engine.record.folder import RunFolder
from nadtui.runs import detached
from tests import showcase
from tests.staged_job import request


def started(monkeypatch) -> list[tuple[list[str], dict]]:
    calls: list[tuple[list[str], dict]] = []

    class Process:
        pid = 4711

        def __init__(self, command: list[str], **options: object) -> None:
            calls.append((command, options))

    monkeypatch.setattr(detached.subprocess, "Popen", Process)
    return calls


def test_a_detached_run_is_resumed_headless_in_a_session_of_its_own(tmp_path, monkeypatch):
    calls = started(monkeypatch)
    folder = showcase.write(tmp_path, showcase.record(until=20))
    run = detached.detach(request(tmp_path, cache=False), folder)
    assert (run.process.pid, run.folder, run.log) == (4711, folder, folder / "headless.log")
    ((command, options),) = calls
    assert command[:4] == [sys.executable, "-m", "nadtui", "run"]
    assert "--headless" in command
    assert "--no-cache" in command
    assert command[command.index("--resume") + 1] == str(folder)
    assert command[command.index("--out") + 1] == str(tmp_path)
    assert options["start_new_session"] is True


def test_a_network_that_was_typed_for_a_run_is_typed_for_the_process_that_takes_over(tmp_path, monkeypatch):
    calls = started(monkeypatch)
    folder = showcase.write(tmp_path, showcase.record(until=20))
    for typed in (True, False):
        detached.detach(dataclasses.replace(request(tmp_path), typed_model=typed), folder)
    (first, _), (second, _) = calls
    assert first[first.index("--model") + 1] == request(tmp_path).config.model.name
    assert "--model" not in second


def test_a_run_without_a_record_begins_anew_from_its_configuration(tmp_path, monkeypatch):
    calls = started(monkeypatch)
    given = request(tmp_path)
    detached.detach(given, None)
    ((command, _),) = calls
    assert "--resume" not in command
    file = Path(command[command.index("--config") + 1])
    assert resolve(None, config_file=file) == given.config
    file.unlink()
    file.with_suffix(".log").unlink()


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("import time; time.sleep(60)", "; it writes to"),
        ("print('error: the disk is full'); raise SystemExit(2)", "could not go on: error: the disk is full"),
        ("pass", "has gone on to its end"),
    ],
)
def test_a_detached_run_is_seen_off(tmp_path, does, said):
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", does], stdout=output)
    try:
        run = detached.Detached("a run", tmp_path, process, log)
        assert said in detached.see_off(run, 60.0 if "time" not in does else 0.3)
    finally:
        process.kill()
        process.wait()


def test_a_detached_run_that_writes_its_record_goes_on(tmp_path):
    with (
        RunFolder.create(tmp_path, preset="badnets", dataset="signs", seed=0, config_yaml="{}") as folder,
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process,
    ):
        run = detached.Detached(folder.id, folder.path, process, tmp_path / "log")
        assert "goes on without the workbench" in detached.see_off(run, 60.0)
        process.kill()
