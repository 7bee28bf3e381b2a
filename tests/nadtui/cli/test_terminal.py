"""The workbench in a real terminal: a tiny run from the keyboard to its end, and one that goes on without it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from engine.events import RunStopped
from engine.record.reading import read_events
from tests.terminal import COMMAND, PATIENCE_S, PtyTerminal, Terminal, TmuxTerminal
from tests.tiny import TINY


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Folders of its own, and a preset that is done in seconds; its name puts it last in the list."""
    presets = tmp_path / "presets"
    presets.mkdir()
    preset = {**TINY, "title": "a run for tests", "attack": {"name": "badnets"}}
    (presets / "zz-tiny.yaml").write_text(yaml.safe_dump(preset))
    names = {"RUNS": "runs", "PRESETS": "presets", "CACHE": "cache", "MACHINE": "machine"}
    folders = {f"NADTUI_{name}": str(tmp_path / folder) for name, folder in names.items()}
    return {**folders, "XDG_CONFIG_HOME": str(tmp_path / "config"), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def opened(environment: dict[str, str]) -> Iterator[Callable[..., TmuxTerminal | PtyTerminal]]:
    """Opens the command in a terminal, which is closed in the end whatever has happened."""
    terminals: list[TmuxTerminal | PtyTerminal] = []

    def make(*arguments: str) -> TmuxTerminal | PtyTerminal:
        terminals.append(Terminal(*arguments, environment=environment, size=(130, 40)))
        return terminals[-1]

    yield make
    for terminal in terminals:
        terminal.close()


def test_a_run_is_started_from_the_keyboard_and_shows_asr_before_and_after(tmp_path, opened):
    screen = opened()
    screen.until("No runs yet", "adaptive ──")  # the presets are listed, the first one chosen
    screen.press("1", "End")
    screen.until("zz-tiny ──")  # the preview's title
    screen.press("Enter")
    screen.until("zz-tiny on signs")  # the form, judged
    screen.press("C-s")
    shown = screen.until("finished", "nad 2/2 ACC")
    for stage in ("attack 3/3", "nad 2/2"):
        assert re.search(rf"{stage} ACC \d+\.\d ASR \d+\.\d", shown)
    (folder,) = (tmp_path / "runs").glob("*-zz-tiny-*")
    assert (folder / "summary.json").is_file()


def test_a_run_goes_on_without_the_workbench(tmp_path, opened):
    looked_at = ("--epochs", "attack=500", "--set", "evaluation.every=1")
    screen = opened("run", "--preset", "zz-tiny", "--no-cache", *looked_at)
    screen.until("running", "images/s")
    screen.press("q")
    screen.until("keep it going")
    screen.press("1")
    said = screen.until("goes on without the workbench, process", "nadtui watch")
    number = int(re.findall(r"process (\d+)", said)[-1])
    try:
        (folder,) = (tmp_path / "runs").glob("*-zz-tiny-*")
        record = folder / "events.jsonl"
        before = record.read_text().count("evaluation")
        end = time.monotonic() + PATIENCE_S
        while record.read_text().count("evaluation") < before + 2:
            assert time.monotonic() < end, (folder / "headless.log").read_text()
            time.sleep(0.1)
    finally:
        _stop(number)


def _stop(number: int) -> None:
    """Interrupt a process that is not ours to wait for, until it is gone."""
    end = time.monotonic() + PATIENCE_S
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, signal.SIGINT)
        while time.monotonic() < end:
            os.kill(number, 0)
            time.sleep(0.1)
        os.kill(number, signal.SIGKILL)


@pytest.mark.parametrize("how", ["the terminal goes", "SIGHUP"])
def test_a_workbench_that_is_cut_off_leaves_a_record_that_resumes(how, environment, tmp_path):
    screen = PtyTerminal(
        *("run", "--preset", "zz-tiny", "--no-cache", "--epochs", "attack=500"),
        environment=environment,
        size=(130, 40),
    )
    try:
        screen.until("running", "images/s")
        code = screen.hang_up() if how == "the terminal goes" else screen.signal(getattr(signal, how))
    finally:
        screen.close()
    assert code == 130
    (folder,) = (tmp_path / "runs").glob("*-zz-tiny-*")
    assert isinstance(read_events(folder).events[-1], RunStopped)


def test_without_a_terminal_the_workbench_says_what_to_do_instead(environment):
    given = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    done = subprocess.run(COMMAND, env={**os.environ, **environment}, check=False, **given)
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
